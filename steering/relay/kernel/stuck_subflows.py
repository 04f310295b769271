"""Finds uplinks that are dead, by the subflows of live sessions: data was sent and nothing is acknowledged.

The kernel treats a subflow as stale after four time-outs in a row, which take some seconds. Until then the data that
were sent by it wait. Here one time-out is enough, if a subflow by another uplink is acknowledged at the same time:
where the peer is gone, or a common part of all paths is broken, nothing is known about uplinks. It reads
sock_diag(7), as `ss -ti` does.
"""

import socket
import struct
import time
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import NamedTuple

from steering.relay.kernel.readable import readable
from steering.relay.kernel.uplinks import Uplink
from steering.relay.model import PlatformError

_BY_FAMILY, _DONE, _ERROR = 20, 3, 2  # SOCK_DIAG_BY_FAMILY, NLMSG_*
_REQUEST_DUMP = 0x301
_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_INFO = 2  # INET_DIAG_INFO
_ESTABLISHED = 1 << 1
_HEADER = struct.Struct("=IHHII")
_MESSAGE = 72  # sizeof(struct inet_diag_msg)
_SOURCE = 16 + 8  # of the message with its header: idiag_src
_RETRANSMITS, _UNACKED, _LAST_ACK = 2, 24, 56  # in struct tcp_info
_MAX_DATAGRAM = 1 << 16
MOST_SOCKETS = 4_096
ANSWER_S = 0.5
QUIET_MS = 400
"""Milliseconds without an acknowledgement: longer than the kernel's shortest time-out of 200 ms, and than most round trips."""


class SubflowProgress(NamedTuple):
    """An established connection of this machine: its source address, and its progress."""

    source: str
    unacked: int
    timeouts: int
    last_ack_ms: int

    @property
    def stuck(self) -> bool:
        """Whether data was sent, was sent again, and was not acknowledged."""
        return bool(self.unacked and self.timeouts) and self.last_ack_ms >= QUIET_MS

    @property
    def moving(self) -> bool:
        """Whether data was acknowledged just now."""
        return not self.timeouts and self.last_ack_ms < QUIET_MS


def stuck_uplinks(uplinks: Iterable[Uplink], subflows: Iterable[SubflowProgress]) -> list[Uplink]:
    """The uplinks of which all subflows with unacknowledged data are stuck, while those of another uplink are
    acknowledged."""
    found = list(subflows)
    stuck, moving = [], 0
    for uplink in uplinks:
        mine = [one for one in found if one.source in uplink.all_addresses]
        if any(one.moving for one in mine):
            moving += 1
        elif any(one.stuck for one in mine):
            stuck.append(uplink)
    return stuck if moving else []


class SubflowReader:
    """Reads all established TCP connections. Raises PlatformError when its socket cannot be opened."""

    def __init__(self) -> None:
        try:
            self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG)
        except OSError as error:
            raise PlatformError(f"no netlink socket: {error.strerror}") from None
        self._sock.setblocking(False)
        self._serial = 0
        self.refused = 0  # messages that do not come from the kernel, or lack something

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def read(self) -> list[SubflowProgress]:
        """The connections of both families, MOST_SOCKETS at most. After an error: those that could be read."""
        return [*self._family(socket.AF_INET), *self._family(socket.AF_INET6)][:MOST_SOCKETS]

    def _family(self, family: int) -> Iterator[SubflowProgress]:
        self._serial += 1
        body = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 1 << (_INFO - 1), _ESTABLISHED) + bytes(48)
        head = _HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _REQUEST_DUMP, self._serial, 0)
        found = 0
        until = time.monotonic() + ANSWER_S
        try:
            self._sock.send(head + body)
            while (left := until - time.monotonic()) > 0 and readable([self._sock], left):
                data, _, _, (port, _) = self._sock.recvmsg(_MAX_DATAGRAM)
                if port != 0:
                    self.refused += 1
                    continue
                for kind, message in self._messages(data):
                    if kind in (_DONE, _ERROR) or found >= MOST_SOCKETS:
                        return
                    read = parse(message)
                    if read is None:
                        self.refused += 1
                    else:
                        found += 1
                        yield read
        except OSError:  # the kernel sent more than the socket can hold
            self.refused += 1

    def _messages(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + _HEADER.size <= len(data):
            size, kind, _, serial, _ = _HEADER.unpack_from(data, at)
            if not _HEADER.size <= size <= len(data) - at:
                self.refused += 1
                return
            if serial == self._serial:
                yield kind, data[at : at + size]
            at += (size + 3) & ~3


def parse(message: bytes) -> SubflowProgress | None:
    """The connection in one message with its header; None for another message."""
    at = _HEADER.size + _MESSAGE
    if len(message) < at:
        return None
    family = message[_HEADER.size]
    packed = message[_SOURCE : _SOURCE + (4 if family == socket.AF_INET else 16)]
    address = ip_address(packed)
    source = str((address.version == 6 and address.ipv4_mapped) or address)
    while at + 4 <= len(message):
        size, kind = struct.unpack_from("=HH", message, at)
        if size < 4 or at + size > len(message):
            return None
        if kind == _INFO:
            info = message[at + 4 : at + size]
            if len(info) < _LAST_ACK + 4:
                return None
            unacked, last = (struct.unpack_from("=I", info, place)[0] for place in (_UNACKED, _LAST_ACK))
            return SubflowProgress(source, unacked, info[_RETRANSMITS], last)
        at += (size + 3) & ~3
    return None
