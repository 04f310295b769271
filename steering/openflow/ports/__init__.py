"""The ports of a switch: which ports are known, their changes at a bounded rate, and their log lines.

Knows messages and budgets. Must not know what is polled, or which links there are.
"""
