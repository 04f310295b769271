"""The connections to switches: the listener, each connection's handshake, TLS, turn and bounds, and who may be which switch.

Knows messages as bytes and the ports of a switch. Must not know the engine, rules, or what is polled.
"""
