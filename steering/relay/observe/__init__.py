"""The status of a running relay: the status document with its socket, and counters over HTTP.

Reads all other rooms and changes none of them. Only the relay itself may import it.
"""
