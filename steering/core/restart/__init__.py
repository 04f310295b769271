"""Knows: the sessions of an earlier controller, from switches and from the store.
May touch: the session table, to restore these sessions.
Must not: read a file, or decide on a connection.
"""
