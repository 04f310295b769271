"""What more than one scenario does on its network, and the checks of what was seen.

May use `kit`, `networks` and `programs`; knows no scenario.
"""
