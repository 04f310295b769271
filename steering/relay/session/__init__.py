"""One host's connection from its accept to its end: who it is, where it wants to go, the dial, the bytes, the ends.

Knows the kernel's sockets and the event loop. Must not know of the controller, and keeps no counters of its own.
"""
