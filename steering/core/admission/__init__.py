"""Knows: who may use an MCP, by lists, the registry and authorisers; floods of SYNs.
May touch: its own records of questions and answers, and the meters of flooded ports.
Must not: choose an MCP, or keep a session.
"""
