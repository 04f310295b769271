"""Knows: switches, links, paths, and the hosts, MCPs and next hops at their ports.
May touch: the graph, the site index, the table of neighbours.
Must not: know a session, choose an MCP, or say how a rule looks.
"""
