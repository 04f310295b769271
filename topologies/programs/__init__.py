"""Programs that a lab starts inside a host or beside it: traffic, attackers, authorisers, slow channels.

Programs that run inside a host use the standard library only. No program knows a scenario.
"""
