"""What this machine's kernel is told and asked: sockets, nft, routes, sysctls, path manager, uplinks, and its check.

Knows the options that it makes rules from. Must not know of sessions, of the controller, or of the event loop.
"""
