"""Knows: every session and subflow, their keys, tokens, states and ends.
May touch: the session table, alone.
Must not: read a policy's rules, or decide what a SYN becomes.
"""
