"""Knows: what a SYN, its answer and a join mean, in every mode.
May touch: sessions, by what the room of sessions offers.
Must not: make a static rule, or look into a switch.
"""
