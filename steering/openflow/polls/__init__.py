"""Requests for counters that switches get again and again, and the counters in their answers: of ports, SYN meters,
session entries, and refused VLAN tags.

Knows messages and ports. Must not change what a switch holds.
"""
