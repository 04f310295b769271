"""Knows: the tables of a switch, the rules and priorities of each table, what each switch holds and what it should hold.
May touch: only these. It makes rules and meters from its inputs, and compares them with what is installed.
Must not: decide on a connection.
"""
