"""Knows: what is reserved, for whom, until when, over which links.
May touch: its own records, the capacity of links, the rules of reserved paths.
Must not: end a session, or choose its MCP.
"""
