"""Knows: the rules of the policy, the MCPs' health and load, limits.
May touch: its own caches, and the health of MCPs.
Must not: know a session, send anything to a switch.
"""
