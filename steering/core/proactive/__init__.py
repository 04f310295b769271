"""Knows: subscribers whose connections are led to an MCP by entries set in advance, and the sessions of these connections.
May touch: the assignment of subscribers to MCPs, and the entries of sessions that need entries of their own.
Must not: handle a SYN. It learns of a session by its MCP's SYN/ACK.
"""
