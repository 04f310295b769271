"""The event loop's parts: who is told of which descriptor, and when listeners are left alone for lack of resources.

Knows sockets by number only. Must not know what a session, a server or a controller is.
"""
