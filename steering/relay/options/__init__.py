"""The operator's options, checked before anything is opened. An error is one line that names the option and the
value.

Knows the relay's `model` and nothing else of the relay. Opens no socket and runs no command. The only file that it
reads is that of a token.
"""
