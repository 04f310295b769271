"""Analysis of captures: segments are put together to TCP connections (legs), and legs to MPTCP connections.

It takes the segments of a capture in the order in which they were captured. It may import `wire` only, and must not
read files: `cli` opens captures and prints the results.
"""
