"""Mininet labs that use the real kernel's MPTCP: each scenario is one file, and all scenarios share one kit.

`catalogue` lists the scenarios. `custom` offers their networks to Mininet's own command `mn`. `scenarios` holds one
file for each scenario. `networks` holds the network plans that several scenarios share, `measures` the steps and
checks that several scenarios share. `kit` builds, runs and removes every lab. `programs` holds the programs that run
inside hosts or beside them. `campaign` runs many labs.
"""
