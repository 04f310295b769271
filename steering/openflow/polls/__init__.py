"""Questions that are put to switches time and again, and what their answers count: ports, SYN meters, entries, foreign tags.

Knows messages and ports. Must not change what a switch holds.
"""
