"""The MCP of labs and small sites: kernel MPTCP on the host's side, TCP or MPTCP on the server's side.

A process of its own: it knows nothing of OpenFlow and imports only the standard library.
"""
