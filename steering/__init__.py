"""Steers Multipath TCP connections through MPTCP proxies (MCPs) and pins every later subflow to them."""

__version__ = "0.1.0"
