"""The records that all other layers use. Most are frozen, and compute nothing but from their own fields.

Knows no package but itself. May be used by all.
It must not do I/O, read a clock, or decide anything.
"""
