"""The parts of the event loop: the handlers of descriptors, and pauses of listeners when resources have run out.

Knows sockets by their numbers only. Must not know sessions, servers or the controller.
"""
