"""The ports of a switch: which are known, their changes at a bounded rate, and what the log says of them.

Knows messages and budgets. Must not know what is polled, or which links there are.
"""
