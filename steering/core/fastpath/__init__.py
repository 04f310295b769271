"""Knows: the results of the usual segments of a handshake, where nothing unusual is in force.
May touch: the same as the handlers of handshakes, by the same methods.
Must not: decide anything that the handlers do not decide. A segment that is not usual goes to the handlers.
"""
