"""Everything that the relay sets or reads in this machine's kernel: sockets, nft, routes, sysctls, the path manager, uplinks;
and the check of these settings.

This package makes rules from the relay's options. It must not know sessions, the controller or the event loop.
"""
