"""The tables of switches: sends entries in the order that correctness needs, fills a switch that connects, reads its
entries back, and compares them with the wanted ones.

Knows messages and answers about entries. Must not decide which rule is wanted: the engine does.
"""
