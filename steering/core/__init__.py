"""The engine: from inputs and the time to outputs. Its rooms stand in docs/design/architecture.rst.

Knows the site, the switches, the policy in force and all sessions. Others see the engines, inputs, outputs, counters and
`snapshots`. It must not do I/O, read a clock, use chance, or make JSON.
"""
