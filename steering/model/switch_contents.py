"""What a switch says that it holds."""

from typing import NamedTuple

from steering.model.ids import DatapathId, PortNumber
from steering.model.session import Entry


class ObservedEntry(NamedTuple):
    """A session entry as a switch reported it."""

    entry: Entry
    packets: int
    bytes: int = 0


class ObservedHost(NamedTuple):
    """A neighbour's entry as a switch reported it: `waypoint` may be none of the site's."""

    dpid: DatapathId
    waypoint: int
    address: bytes
    mac: bytes
    port: PortNumber
