"""Switches that several controllers share: which controller is MASTER, and how one writes to another's switches.

Knows messages, budgets and the connections. Must not decide who owns a switch: the cluster does.
"""
