"""From which address and port a server leg comes: pools, what each subscriber has of them, and the record of it.

Pure but for the record's file. Must not know of sockets or sessions: it hands out addresses, others bind them.
"""
