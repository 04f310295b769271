"""The fast path: one pass over the bytes of a read for the messages that come with every connection.

Knows where the fields of usual messages stand, and the engine's inputs. Must not know a connection, or any other message.
"""
