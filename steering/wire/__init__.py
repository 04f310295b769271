"""Bytes to values and back: frames, TCP options, MPTCP, and the protocols that MCPs and gateways speak.

Knows no sessions and no policies, imports no other package, and does no I/O. Bytes that are refused raise WireError.
"""
