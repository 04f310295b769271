"""The source address and port of a server leg: pools, the mappings of subscribers, and the log of mappings.

This package does no I/O but for the log's file. It must not know sockets or sessions: it gives out addresses, and its callers
bind sockets to them.
"""
