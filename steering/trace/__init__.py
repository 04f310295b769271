"""What a capture shows: segments become TCP connections (legs), and legs become MPTCP connections.

Knows the segments of a capture in the order in which they were captured. May import `wire` only. Must not read files:
`cli` opens captures and prints what is found here.
"""
