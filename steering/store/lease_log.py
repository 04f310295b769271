"""DHCP leases that the controller saw, on disk. Without them a host could not send until it renews its lease, where its switch
has lost its entries as well.

A lease is one line: its number in the file, the switch, the port, the client's MAC, its address, and its end in seconds since
1970, null for a lease without end.
"""

import json
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

from steering.model.ids import DatapathId, PortNumber
from steering.model.kept import KeptLease
from steering.model.network import PortRef
from steering.store.change_log import ChangeLog

FILE = "leases.jsonl"
LATEST = 1 << 34  # seconds since 1970; the longest lease ends before that
MOST_NUMBER = 1 << 63


class LeaseLog(ChangeLog[KeptLease]):
    """The log; a record's key is the leased address. `wall`: seconds since 1970."""

    def __init__(self, directory: Path, wall: Callable[[], float]) -> None:
        super().__init__(
            directory / FILE,
            lambda number, kept: lease_line(number, kept, wall()),
            lambda line: read_lease(line, wall()),
        )


def lease_line(number: int, kept: KeptLease | None, wall: float) -> str:
    """The line of a lease that began or was renewed; `kept` None: the lease with this number ended."""
    told: list[Any] = [number]
    if kept is not None:
        until = None if kept.remaining == inf else round(wall + kept.remaining, 3)
        told += [kept.port.dpid, kept.port.port, kept.client.hex(), kept.address.hex(), until]
    return json.dumps(told, separators=(",", ":")) + "\n"


def read_lease(line: str, wall: float) -> tuple[int, KeptLease | None]:
    """The lease of one line. `remaining` is 0 or less where the lease has ended since. Raises ValueError for a line that
    this program did not write, or that is cut off."""
    try:
        told = json.loads(line)
        if type(told) is not list or len(told) not in (1, 6):
            raise ValueError(line)
        number = _number(told[0], MOST_NUMBER)
        if len(told) == 1:
            return number, None
        _, dpid, port, client, address, until = told
        place = PortRef(DatapathId(_number(dpid, 2**64)), PortNumber(_number(port, 2**32)))
        return number, KeptLease(place, _packed(client, 6), _packed(address, 4), _remaining(until, wall))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(type(error).__name__) from None


def _number(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value < most:
        raise ValueError(value)
    return value


def _packed(value: Any, length: int) -> bytes:
    found = bytes.fromhex(value)
    if len(found) != length or not any(found):
        raise ValueError(value)
    return found


def _remaining(value: Any, wall: float) -> float:
    if value is None:
        return inf
    if type(value) not in (int, float) or not 0 <= value <= LATEST:
        raise ValueError(value)
    return float(value) - wall
