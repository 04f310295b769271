"""What the operator says, checked before anything is opened: one line names the option and the value.

Knows the relay's words (`model`) and nothing else of the relay. Opens no socket and runs no command; a token's file is
all that it reads.
"""
