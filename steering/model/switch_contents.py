"""Entries that a switch reported."""

from typing import NamedTuple

from steering.model.ids import DatapathId, PortNumber
from steering.model.session import Entry


class ObservedEntry(NamedTuple):
    """A session entry as a switch reported it, with the counters of packets and bytes that matched it."""

    entry: Entry
    packets: int
    bytes: int = 0


class ObservedHost(NamedTuple):
    """The entry of a host or next hop as a switch reported it. `waypoint` may be unknown to the site. `address`: 4 or 16
    bytes, `mac`: 6."""

    dpid: DatapathId
    waypoint: int
    address: bytes
    mac: bytes
    port: PortNumber
