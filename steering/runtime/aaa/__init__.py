"""Authorisers that are asked over the network, by RADIUS and by an HTTP hook, a bounded number at once.

Knows the site's list of authorisers. Must not know sessions: an answer is an input of the engine.
"""
