"""Knows: the tables of a switch: what stands in which, with which priority; what each switch holds and is to hold.
May touch: nothing but that: it makes rules and meters of what it is given, and the difference to what is installed.
Must not: decide on a connection.
"""
