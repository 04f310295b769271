"""All that the relay sets in this machine's kernel and asks of it: sockets, nft, routes, sysctls, the path manager,
uplinks; and the check of these settings.

Knows the options from which it makes rules. Must not know sessions, the controller or the event loop.
"""
