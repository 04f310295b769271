"""Switches that this controller shares with others: who is MASTER, and what is written to switches of other controllers.

Knows messages, budgets and the connections. Must not decide who owns a switch: the cluster does.
"""
