"""Knows: the tables of a switch: what stands in which, with which priority.
May touch: nothing: it makes rules and meters of what it is given.
Must not: decide on a connection, or keep what it was asked.
"""
