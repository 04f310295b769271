"""Knows: what the usual segments of a handshake come to where nothing unusual is in force.
May touch: whatever handlers of handshakes may, by the same methods.
Must not: decide anything that a handler does not; what it does not do in one go, it gives to the handlers.
"""
