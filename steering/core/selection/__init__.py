"""Knows: the rules of the policy, the health and load of MCPs, limits.
May touch: its own caches, and the health of MCPs.
Must not: know a session, or change the rules of a switch.
"""
