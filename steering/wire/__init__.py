"""Bytes to values and back: frames, TCP options, MPTCP, and the protocols that MCPs and gateways speak.

Knows nothing of sessions and policies, imports no other package, and does no I/O. Every refusal is a WireError.
"""
