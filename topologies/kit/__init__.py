"""What every lab stands on: the plan of a network, how it is built, run, watched and taken down, and what it reports.

Knows Mininet, Open vSwitch and the kernel; knows no scenario, no shared network and no measure.
"""
