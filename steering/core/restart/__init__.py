"""Knows: what switches and the store tell of an earlier controller.
May touch: the session table while it is empty of what they tell.
Must not: read a file, or decide on a connection.
"""
