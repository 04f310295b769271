"""Knows: the engine, as others may see it.
May touch: nothing: it only reads.
Must not: change the engine, or be imported by any other room.
"""
