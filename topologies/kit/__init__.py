"""The kit of every lab: the plan of a network, how the network is built, run, watched and removed, and the report.

Knows Mininet, Open vSwitch and the kernel. Knows no scenario, no shared network and no measure.
"""
