"""Programs that a lab starts in a host or beside it: traffic, attackers, authorisers, slow channels.

Those that run inside a host use the standard library only; none knows a scenario.
"""
