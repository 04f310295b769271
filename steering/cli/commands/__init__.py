"""The commands: a file of this room is the subcommand of its name, and nothing else stands here.

Knows the client, and how values are worded and tables drawn. Must not be imported by what commands share.
"""
