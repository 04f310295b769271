"""What a switch is to hold and holds: sent in the order that correctness needs, filled at a start, read back, compared.

Knows messages and answers about entries. Must not decide which rule is wanted: the engine does.
"""
