"""Decides which servers are offered MPTCP: all (N-5.6.1a) except those of --mptcp-off, those that were slow (N-5.6.1c-g), and
for a while those that answered with plain TCP (plain_servers).

Where a server, or a middlebox before it, drops SYNs with MP_CAPABLE, each connection waits three seconds for the
kernel's plain SYN. The relay measures the time of its dials. A server that was slow once is dialled by plain TCP at
once, until its entry expires. A dial without any answer says nothing about MPTCP, and makes no entry.
"""

import socket
import struct
from collections import OrderedDict
from ipaddress import ip_address
from typing import Any

from steering.relay.kernel.sockets import IPPROTO_MPTCP, fell_back, mptcp_info
from steering.relay.model import (
    PLAIN_TTL_S,
    SLOW_THRESHOLD_S,
    SLOW_TTL_S,
    Endpoint,
    MptcpOffering,
    OptionError,
    ServerLeg,
)
from steering.relay.options.values import parse_bound, parse_prefixes
from steering.relay.session.plain_servers import PlainServers

SLOW_SERVERS = 16_384
SHOWN = 256
"""Most slow servers that a status document lists, beside their number."""

_INFO_SIZE = 104
_TOTAL_RETRANS = 100


def parse_offering(
    off: list[str], threshold: str | None, ttl: str | None, plain_ttl: str | None
) -> MptcpOffering:
    """The settings of four options. None stands for the default. Raises OptionError."""
    return MptcpOffering(
        parse_prefixes(off, "--mptcp-off"),
        SLOW_THRESHOLD_S if threshold is None else _seconds("--slow-threshold", threshold),
        SLOW_TTL_S if ttl is None else parse_bound("--slow-ttl", ttl, 0, 30 * SLOW_TTL_S),
        PLAIN_TTL_S if plain_ttl is None else parse_bound("--plain-ttl", plain_ttl, 0, SLOW_TTL_S),
    )


def _seconds(option: str, value: str) -> float:
    plain = value.isascii() and len(value) <= 6 and value.replace(".", "", 1).isdigit()
    if not (plain and 0.1 <= float(value) <= 60):
        raise OptionError(f"{option} {value}: seconds from 0.1 to 60")
    return float(value)


class SlowServerCache:
    """Servers that were slow, with the end of each entry. Bounded: the oldest entry is removed first.

    Using an entry does not extend it (N-5.6.1f). A server that is slow again after its entry has expired gets a new
    one.
    """

    def __init__(self, ttl: float, most: int = SLOW_SERVERS) -> None:
        self._ttl = ttl
        self._most = most
        self._until: OrderedDict[str, float] = OrderedDict()  # address -> end; the first entry ends first

    def __contains__(self, asked: tuple[str, float]) -> bool:
        address, now = asked
        return self._until.get(address, now) > now

    def add(self, address: str, now: float) -> None:
        """Add a server that was slow."""
        if self._ttl and (address, now) not in self:
            self._until.pop(address, None)
            self._until[address] = now + self._ttl
            if len(self._until) > self._most:
                self._until.popitem(last=False)

    def left(self, now: float) -> list[tuple[str, float]]:
        """Address and remaining seconds of each entry, the oldest first. Expired entries are removed."""
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
        return [(address, until - now) for address, until in self._until.items()]


class ServerLegs:
    """Decides the protocol of each server leg, and learns from the dials. All times are of one steady clock."""

    def __init__(self, wanted: ServerLeg, offering: MptcpOffering) -> None:
        self._wanted = wanted
        self._offering = offering
        self.slow = SlowServerCache(offering.ttl)
        self.plain = PlainServers(offering.plain_ttl)
        self.plain_for_off = 0
        self.plain_for_slow = 0
        self.plain_for_fallback = 0
        self.listed = 0

    def towards(self, server: Endpoint, now: float) -> ServerLeg:
        """The protocol that a server is offered now."""
        if self._wanted is ServerLeg.TCP:
            return ServerLeg.TCP
        known = ip_address(server.address)
        if any(known in prefix for prefix in self._offering.off):
            self.plain_for_off += 1
            return ServerLeg.TCP
        if (server.address, now) in self.slow:
            self.plain_for_slow += 1
            return ServerLeg.TCP
        if self.plain.knows(server, now):
            self.plain_for_fallback += 1
            return ServerLeg.TCP
        return ServerLeg.MPTCP

    def connected(self, server: Endpoint, sock: socket.socket, took: float, now: float) -> bool:
        """A server has answered after `took` seconds. Returns whether it counts as slow from now on."""
        if sock.proto != IPPROTO_MPTCP:
            return False
        late = gave_up(sock)
        if self._offering.ttl and (late or took >= self._offering.threshold):
            self.slow.add(server.address, now)
            self.listed += 1
            return True
        # Where MPTCP was not answered at all, nothing is known of the server.
        if not late and fell_back(sock):
            self.plain.add(server, now)
        return False

    def document(self, now: float) -> dict[str, Any]:
        """For the status: what is offered, and the slow servers."""
        slow = self.slow.left(now)
        return {
            "mptcp_off": [str(prefix) for prefix in self._offering.off],
            "slow_threshold_s": self._offering.threshold,
            "slow_ttl_s": self._offering.ttl,
            "plain_ttl_s": self._offering.plain_ttl,
            "plain_count": self.plain.count(now),
            "slow_count": len(slow),
            "slow": [{"address": address, "left_s": round(left, 1)} for address, left in slow[:SHOWN]],
        }

    def counters(self) -> dict[str, int]:
        """The number of entries that were made, and of connections that were not offered MPTCP."""
        return {
            "slow_listed": self.listed,
            "plain_for_slow": self.plain_for_slow,
            "plain_for_off": self.plain_for_off,
            "plain_for_fallback": self.plain_for_fallback,
            "plain_listed": self.plain.listed,
            "plain_not_listed": self.plain.refused,
        }


def gave_up(sock: socket.socket) -> bool:
    """Whether an MPTCP dial became plain TCP only after its SYN was sent again."""
    if mptcp_info(sock) is not None:
        return False
    try:
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
    except OSError:
        return False
    if len(raw) < _INFO_SIZE:
        return False
    again: int = struct.unpack_from("=I", raw, _TOTAL_RETRANS)[0]
    return again > 0
