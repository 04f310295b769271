"""Keyrings, which find the identity of a bearer token, and the pseudonyms by which subscribers are shown.

This package reads the file of tokens through `store`. It knows no request and no resource, and writes no token and no
subscriber's own name to a log or an answer.
"""
