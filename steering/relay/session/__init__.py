"""A host's connection from accept to end: its identity, its destination, the dial, the data, the end.

Knows the kernel's sockets and the event loop. Must not know the controller, and keeps no counters of its own.
"""
