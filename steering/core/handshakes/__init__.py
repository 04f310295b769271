"""Knows: how a SYN, its answer and a join are handled, in every mode.
May touch: sessions, by the public methods of core.sessions.
Must not: read the state of a switch, or make a static rule but the one that blocks a flow with an unknown token.
"""
