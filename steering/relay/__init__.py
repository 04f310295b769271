"""The MCP of labs and small sites: kernel MPTCP on the host's side, TCP or MPTCP on the server's side.

A relay is a process of its own. It knows nothing of OpenFlow and imports only `steering.wire`, the standard library, and
pyroute2 where it has uplinks. `launch` puts a relay together, `relay` is its event loop, `model` has the records that all
subpackages share. `tests/architecture/test_relay_rooms.py` says which subpackage may import which.
"""
