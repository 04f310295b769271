"""What a running relay shows of itself: the status document and its socket, counters over HTTP.

Reads all other rooms and changes none of them; nobody but the relay itself may import it.
"""
