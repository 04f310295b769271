"""Finds which switch ports are connected by a link, from signed announcements, and measures how long these take.

Knows the engine's inputs. Must not know a connection, or what a switch holds.
"""
