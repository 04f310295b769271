"""Mininet labs over the real kernel's MPTCP: one file a scenario, over one shared base (`plan`, `network`, `lab`)."""
