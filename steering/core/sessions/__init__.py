"""Knows: every session and subflow, their keys, tokens, states and ends.
May touch: the session table, which no other room changes but by the methods here.
Must not: read a policy's rules, or decide how a SYN is handled.
"""
