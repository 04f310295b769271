"""Knows: how a SYN, its answer and a join are handled, in every mode.
May touch: sessions, by the public methods of core.sessions.
Must not: make a static rule, or read the state of a switch.
"""
