"""The kernel's MPTCP path manager by generic netlink: sets the priority of a subflow, or ends it.

With `net.mptcp.pm_type=1` the kernel leaves decisions to user space (Linux uapi mptcp_pm.h; netlink.h and genetlink.h
for the framing). SET_FLAGS with a token and both addresses sends MP_PRIO (RFC 8684 section 3.3.8) on exactly that
subflow. From then on neither side sends data on it while a subflow that is no backup works. The kernel accepts
incoming subflows only while a process listens to its events, so a socket of this module does.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

FAMILY = b"mptcp_pm\0"
EVENTS_GROUP = b"mptcp_pm_events"
_CONTROLLER_ID, _GETFAMILY = 0x10, 3  # GENL_ID_CTRL, CTRL_CMD_GETFAMILY
_CTRL_ID, _CTRL_NAME, _CTRL_GROUPS = 1, 2, 7  # CTRL_ATTR_*
_GROUP_NAME, _GROUP_ID = 1, 2  # CTRL_ATTR_MCAST_GRP_*
_REQUEST, _ACK, _NESTED = 1, 4, 0x8000  # NLM_F_*, NLA_F_NESTED
_ERROR = 2  # NLMSG_ERROR
_SET_FLAGS, _SUBFLOW_DESTROY = 7, 11  # MPTCP_PM_CMD_*
_ADDR, _TOKEN, _REMOTE = 1, 4, 6  # MPTCP_PM_ATTR_*
_FAMILY, _ID, _ADDR4, _ADDR6, _PORT, _FLAGS = 1, 2, 3, 4, 5, 6  # MPTCP_PM_ADDR_ATTR_*
_BACKUP = 4  # MPTCP_PM_ADDR_FLAG_BACKUP
_HEADER = struct.Struct("=IHHII")
_GENERIC = struct.Struct("=BBH")
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_GENERIC_PROTOCOL = 16  # NETLINK_GENERIC
_BUFFER = 1 << 16
_KERNEL = 0  # the port number of the kernel, as the sender of a netlink message
_MOST_MESSAGES = 64  # messages that are read to find an answer
_MOST_EVENTS = 4_096  # events that are read in a row
ANSWER_S = 2.0
PM_TYPE = "net.mptcp.pm_type"


class PathManagerError(OSError):
    """The kernel refused, has no MPTCP path manager, or did not answer."""


class KernelSubflow(NamedTuple):
    """A subflow of this machine's kernel. Addresses are text; IPv4 addresses are not mapped."""

    token: int
    local: str
    local_port: int
    remote: str
    remote_port: int


def attribute(kind: int, value: bytes) -> bytes:
    """A netlink attribute, padded to four bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The kind and value of each attribute, up to one that is cut off."""
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4 or at + length > len(data):
            return
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += length + -length % 4


def _address(kind: int, address: str, port: int, flags: int | None = None) -> bytes:
    """The attribute MPTCP_PM_ATTR_ADDR or ADDR_REMOTE. Raises ValueError for a text that is no address."""
    known = ip_address(address)
    four = known.version == 4
    inside = attribute(_FAMILY, struct.pack("=H", socket.AF_INET if four else socket.AF_INET6))
    inside += attribute(_ADDR4 if four else _ADDR6, known.packed)
    inside += attribute(_PORT, struct.pack("=H", port))
    if flags is not None:
        inside += attribute(_FLAGS, struct.pack("=I", flags))
    return attribute(kind | _NESTED, inside)


def priority_body(subflow: KernelSubflow, backup: bool) -> bytes:
    """The payload of SET_FLAGS."""
    return (
        attribute(_TOKEN, struct.pack("=I", subflow.token))
        + _address(_ADDR, subflow.local, subflow.local_port, _BACKUP if backup else 0)
        + _address(_REMOTE, subflow.remote, subflow.remote_port)
    )


def end_body(subflow: KernelSubflow) -> bytes:
    """The payload of SUBFLOW_DESTROY. The kernel compares addresses in the family of the socket, which is IPv6 for
    the relay's."""
    local, remote = (a if ":" in a else f"::ffff:{a}" for a in (subflow.local, subflow.remote))
    return (
        attribute(_TOKEN, struct.pack("=I", subflow.token))
        + _address(_ADDR, local, subflow.local_port)
        + _address(_REMOTE, remote, subflow.remote_port)
    )


class PathManager:
    """Two sockets: one for orders, and one for events, by which the kernel accepts joins. Raises PathManagerError."""

    def __init__(self) -> None:
        self._orders = _open()
        self.events = _open()
        self._sequence = 0
        try:
            self._family, group = self._resolve()
            self.events.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        except OSError as error:
            self.close()
            raise PathManagerError(
                error.errno or errno.EIO, f"no MPTCP path manager: {error.strerror}"
            ) from None
        self.events.setblocking(False)

    def close(self) -> None:
        """Close the sockets. From now on the kernel refuses joins, unless another process listens."""
        self._orders.close()
        self.events.close()

    def drain(self) -> bool:
        """Read the events that have come, a bounded number of them; whether there were any. An event only means that
        something may have changed."""
        heard = False
        for _ in range(_MOST_EVENTS):
            try:
                self.events.recv(_BUFFER)
            except BlockingIOError:
                break
            except OSError:  # more events came than the buffer holds, which counts as an event
                pass
            heard = True
        return heard

    def priority(self, subflow: KernelSubflow, backup: bool) -> None:
        """Send MP_PRIO on one subflow. Raises PathManagerError, for example where the subflow does not exist (yet)."""
        self._order(_SET_FLAGS, priority_body(subflow, backup))

    def end(self, subflow: KernelSubflow) -> None:
        """Close one subflow; its session goes on over the others. Raises PathManagerError."""
        self._order(_SUBFLOW_DESTROY, end_body(subflow))

    def _order(self, command: int, body: bytes) -> None:
        self._ask(self._family, command, body)

    def _ask(self, family: int, command: int, body: bytes) -> bytes:
        """Send one request; the data that came before its acknowledgement. Messages that are not the kernel's, or not of
        this request, are passed over, a bounded number of them. Raises PathManagerError."""
        self._sequence += 1
        payload = _GENERIC.pack(command, 1, 0) + body
        head = _HEADER.pack(_HEADER.size + len(payload), family, _REQUEST | _ACK, self._sequence, 0)
        self._orders.send(head + payload)
        found = b""
        for _ in range(_MOST_MESSAGES):
            try:
                data, sender = self._orders.recvfrom(_BUFFER)
            except TimeoutError:
                raise PathManagerError(errno.ETIMEDOUT, "the kernel does not answer") from None
            for kind, sequence, answer in _messages(data) if sender[0] == _KERNEL else ():
                if sequence != self._sequence:
                    continue
                if kind != _ERROR:
                    found = answer
                    continue
                if len(answer) < 4:
                    raise PathManagerError(errno.EBADMSG, "the kernel's answer is cut off")
                code = -struct.unpack_from("=i", answer)[0]
                if code:
                    raise PathManagerError(code, os.strerror(code))
                return found
        raise PathManagerError(errno.EBADMSG, "no answer among what came")

    def _resolve(self) -> tuple[int, int]:
        """The number of the netlink family, and the number of its group of events."""
        answer = self._ask(_CONTROLLER_ID, _GETFAMILY, attribute(_CTRL_NAME, FAMILY))
        number = group = 0
        for kind, value in attributes(answer[_GENERIC.size :]):
            if kind == _CTRL_ID and len(value) >= 2:
                number = struct.unpack_from("=H", value)[0]
            elif kind == _CTRL_GROUPS:
                group = _group(value)
        if not number or not group:
            raise PathManagerError(errno.ENOENT, "it does not tell of its events")
        return number, group


def _group(groups: bytes) -> int:
    for _, one in attributes(groups):
        told = dict(attributes(one))
        if told.get(_GROUP_NAME, b"").rstrip(b"\0") == EVENTS_GROUP and len(told.get(_GROUP_ID, b"")) >= 4:
            number: int = struct.unpack_from("=I", told[_GROUP_ID])[0]
            return number
    return 0


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, sequence number and payload of netlink messages, up to one that is cut off."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            return
        yield kind, sequence, data[at + _HEADER.size : at + length]
        at += length + -length % 4


def _open() -> socket.socket:
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _GENERIC_PROTOCOL)
    except OSError as error:
        raise PathManagerError(error.errno or errno.EIO, f"no generic netlink: {error.strerror}") from None
    sock.settimeout(ANSWER_S)
    return sock
