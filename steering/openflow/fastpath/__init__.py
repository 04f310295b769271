"""The fast path: one pass over the bytes of a read for the messages that come with every connection."""
