"""OpenFlow 1.3 as bytes: model records become messages, and messages of a switch are cut and read.

Knows the model and the specification. Must not know a connection, the engine, or what was sent before.
"""
