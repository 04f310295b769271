"""Which switch ports are connected by a link, from announcements that nobody else can make, and how long these take.

Knows the engine's inputs. Must not know a connection, or what a switch holds.
"""
