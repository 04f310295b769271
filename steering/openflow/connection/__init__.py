"""The connections to switches: the listener, and each connection's handshake, TLS, turns and bounds. Also decides which
connection may be which switch.

Knows messages as bytes and the ports of a switch. Must not know the engine, rules, or what is polled.
"""
