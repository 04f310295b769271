"""Knows: subscribers who are led by entries set ahead, and the sessions that came of it.
May touch: who is led where, and the entries of sessions that need their own.
Must not: see a SYN: what it learns comes with an MCP's answer.
"""
