"""Steps and checks that more than one scenario needs.

May use `kit`, `networks` and `programs`. Knows no scenario.
"""
