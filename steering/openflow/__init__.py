"""The OS-Ken application: bytes of switches to inputs of the engine, and the engine's outputs to bytes.

Knows OpenFlow, the switches' connections, and what each switch was sent. May use the hub.
It must not decide on a connection, or know REST, files or settings.
"""
