"""The MCP of labs and small sites: kernel MPTCP on the host's side, TCP or MPTCP on the server's side.

A process of its own: it knows nothing of OpenFlow and imports only the standard library and `steering.wire`. `launch`
puts a relay together, `relay` is its event loop, `model` has the words that all rooms share; the rooms stand in
`tests/architecture/test_relay_rooms.py` with the arrows that are allowed between them.
"""
