"""Knows: who may use an MCP: lists, the registry, authorisers; floods of SYNs.
May touch: its own answers and questions, the meters of flooded ports.
Must not: choose an MCP, or keep a session.
"""
