"""Who asks, and by what name subscribers are shown: keyrings and pseudonyms.

It reads the file of tokens through `store`, knows no request and no resource, and never tells a token or an identity.
"""
