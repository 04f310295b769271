"""Knows: what is reserved for which subscribers and sessions, until when, and over which links.
May touch: its own records, the capacity of links, the rules of reserved paths.
Must not: end a session, or choose its MCP.
"""
