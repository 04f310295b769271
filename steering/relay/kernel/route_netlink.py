"""Links, addresses and default routes of this machine by rtnetlink (rtnetlink(7)): questions, and events.

Messages of a netlink socket are checked, since another process may send to it, and messages are decoded by their own
length fields. Their size and number are bounded, they have to come from the kernel, and they have to hold what their
type needs. Other messages are refused with a name of `NetlinkRefusal`, and counted.

pyroute2 decodes the messages. It is loaded when the first socket is opened, so that a relay without uplinks does not
load it.
"""

import errno
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from importlib import import_module
from importlib.util import find_spec
from ipaddress import ip_address
from types import ModuleType
from typing import Any, NamedTuple

from steering.relay.kernel.readable import readable
from steering.relay.model import PlatformError

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
_NOOP, _ERROR, _DONE, _OVERRUN = 1, 2, 3, 4  # NLMSG_*
_REQUEST, _DUMP = 0x1, 0x300  # NLM_F_*
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_GROUPS = (
    0x1 | 0x10 | 0x100 | 0x40 | 0x400
)  # RTMGRP_LINK, _IPV4_IFADDR, _IPV6_IFADDR, _IPV4_ROUTE, _IPV6_ROUTE
_SOL_NETLINK, _STRICT = 270, 12  # NETLINK_GET_STRICT_CHK: the kernel applies the filters of a dump request
_IFLA_IFNAME, _RTA_OIF = 3, 4
_TABLE_MAIN = 254
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x1_0000
_SCOPE_GLOBAL = 0
_UNUSABLE = 0x08 | 0x40  # IFA_F_DADFAILED, IFA_F_TENTATIVE
_TEMPORARY, _DEPRECATED = 0x01, 0x20  # IFA_F_TEMPORARY (IPv6), IFA_F_DEPRECATED
_HEADER = struct.Struct("=IHHII")

MAX_MESSAGE = 1 << 16
MOST_MESSAGES = 4_096
"""Most messages of one answer, and of one reading of events. An uplink has only a few addresses and routes."""
ANSWER_S = 2.0


class NetlinkRefusal(StrEnum):
    """Why a netlink message, or a whole answer, is refused."""

    SENDER = "sender"
    """It did not come from the kernel."""
    TRUNCATED = "truncated"
    """It is longer than MAX_MESSAGE, or its length is not the one that it says."""
    MALFORMED = "malformed"
    """It lacks something that its type needs."""
    TOO_MANY = "too-many"
    OVERRUN = "overrun"
    """The kernel sent more than the socket can hold, so messages were lost."""
    SILENT = "silent"
    """There was no answer in ANSWER_S."""
    ERROR = "error"
    """The kernel refused the request."""
    INTERRUPTED = "interrupted"
    """The data changed while the kernel was sending them."""


class NetlinkRefused(OSError):
    """An answer that cannot be used, with the reason."""

    def __init__(self, reason: NetlinkRefusal) -> None:
        super().__init__(f"netlink: {reason.value}")
        self.reason = reason


class LinkState(NamedTuple):
    """An interface. `link`: its number. `up`: whether it is up and has a carrier."""

    link: int
    name: str
    up: bool


class LinkAddress(NamedTuple):
    """A global address of an interface that may be used. `link`: the number of the interface. `preferred`: seconds.
    `length`: of its prefix, 0 where that is not known."""

    link: int
    text: str
    temporary: bool = False
    deprecated: bool = False
    preferred: int = 0
    length: int = 0

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.text else 4


class DefaultRoute(NamedTuple):
    """A default route by an interface. `gateway`: "" where there is none (PPP). `source`: the address that the kernel
    sends from by this route, "" where the route names none."""

    link: int
    version: int
    gateway: str
    metric: int
    source: str = ""


Refusals = Counter[NetlinkRefusal]
NetlinkMessage = tuple[int, bytes]
"""The type of a message, and the whole message with its header."""


class RouteSocket:
    """The sockets for questions and events. Raises PlatformError when they cannot be opened. `refused` counts refused
    messages."""

    def __init__(self, refused: Refusals) -> None:
        self._refused = refused
        self._decoders = _decoders()
        self._serial = 0
        self._events = _open(_GROUPS)
        try:
            self._asking = _open(0)
        except PlatformError:
            self._events.close()
            raise

    def fileno(self) -> int:
        """The descriptor that becomes readable when there are events."""
        return self._events.fileno()

    def close(self) -> None:
        """Close both sockets."""
        self._events.close()
        self._asking.close()

    # -- events -----------------------------------------------------------------------------------------------------

    def happened(self) -> set[int]:
        """The types of events since the last call, including those of refused messages, as something has happened.
        Never waits."""
        found: set[int] = set()
        for _ in range(MOST_MESSAGES):
            try:
                data = self._receive(self._events)
            except BlockingIOError:
                return found
            except NetlinkRefused as error:
                self._refused[error.reason] += 1
                if error.reason is not NetlinkRefusal.SENDER:  # a message of another process means nothing
                    found.add(_OVERRUN)
                continue
            found |= {kind for kind, _ in self._split(data)}
        self._refused[NetlinkRefusal.TOO_MANY] += 1
        return found

    # -- questions --------------------------------------------------------------------------------------------------

    def link(self, name: str) -> LinkState | None:
        """The interface of a name; None where there is none. Raises NetlinkRefused."""
        attribute = _attribute(_IFLA_IFNAME, name.encode() + b"\0")
        answer = self._ask(RTM_GETLINK, 0, struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attribute)
        return next((state for state in self._read(answer, RTM_NEWLINK, _link) if state.name == name), None)

    def addresses(self, index: int) -> list[LinkAddress]:
        """The addresses of an interface that may be used. Raises NetlinkRefused."""
        answer = self._ask(RTM_GETADDR, _DUMP, struct.pack("=BBBBI", 0, 0, 0, 0, index))
        return [one for one in self._read(answer, RTM_NEWADDR, _address) if one.link == index]

    def default_routes(self, index: int) -> list[DefaultRoute]:
        """The default routes of the main table by an interface. Raises NetlinkRefused."""
        found: list[DefaultRoute] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            asked = struct.pack("=BBBBBBBBI", family, 0, 0, 0, _TABLE_MAIN, 0, 0, 0, 0)
            answer = self._ask(RTM_GETROUTE, _DUMP, asked + _attribute(_RTA_OIF, struct.pack("=I", index)))
            read = self._read(answer, RTM_NEWROUTE, _routes)
            found += [one for routes in read for one in routes if one.link == index]
        return found

    def _read(
        self, answer: list[NetlinkMessage], kind: int, decode: Callable[[Any], Any | None]
    ) -> Iterator[Any]:
        for found, data in answer:
            if found != kind:
                continue
            try:
                message = self._decoders[kind](data)
                message.decode()
                made = decode(message)
            except (
                Exception
            ):  # a decoder of a library gets untrusted bytes here, so any exception is a refusal
                self._refused[NetlinkRefusal.MALFORMED] += 1
                continue
            if made is not None:
                yield made

    def _ask(self, kind: int, flags: int, body: bytes) -> list[NetlinkMessage]:
        """Ask; the messages of the answer, [] where the thing does not exist. Raises NetlinkRefused, which is
        counted."""
        try:
            return self._answer(kind, flags, body)
        except NetlinkRefused as error:
            self._refused[error.reason] += 1
            raise

    def _answer(self, kind: int, flags: int, body: bytes) -> list[NetlinkMessage]:
        self._serial += 1
        size = _HEADER.size + len(body)
        try:
            self._asking.send(_HEADER.pack(size, kind, _REQUEST | flags, self._serial, 0) + body)
        except OSError:  # ENOBUFS, ENOMEM: the kernel has no room for the question now
            raise NetlinkRefused(NetlinkRefusal.ERROR) from None
        until = time.monotonic() + ANSWER_S
        found: list[NetlinkMessage] = []
        while True:
            left = until - time.monotonic()
            if left <= 0 or not readable([self._asking], left):
                raise NetlinkRefused(NetlinkRefusal.SILENT)
            for answered, data in self._split(self._receive(self._asking)):
                _, _, told, serial, _ = _HEADER.unpack_from(data)
                if serial != self._serial:
                    continue  # it belongs to an answer that was given up
                if told & _INTERRUPTED:
                    raise NetlinkRefused(NetlinkRefusal.INTERRUPTED)
                if answered in (_DONE, _ERROR):
                    _check_end(data)
                    return found
                found.append((answered, data))
                if not flags:
                    return found
                if len(found) > MOST_MESSAGES:
                    raise NetlinkRefused(NetlinkRefusal.TOO_MANY)

    # -- bytes ------------------------------------------------------------------------------------------------------

    def _receive(self, sock: socket.socket) -> bytes:
        """One datagram. Raises BlockingIOError and NetlinkRefused."""
        try:
            data, _, flags, (port, _groups) = sock.recvmsg(MAX_MESSAGE)
        except BlockingIOError:
            raise
        except OSError:  # ENOBUFS
            raise NetlinkRefused(NetlinkRefusal.OVERRUN) from None
        if port != 0:
            raise NetlinkRefused(NetlinkRefusal.SENDER)
        if flags & socket.MSG_TRUNC:
            raise NetlinkRefused(NetlinkRefusal.TRUNCATED)
        return data

    def _split(self, data: bytes) -> Iterator[NetlinkMessage]:
        """The messages of a datagram, up to one whose length is wrong."""
        at = 0
        while at < len(data):
            size = kind = 0
            if len(data) - at >= _HEADER.size:
                size, kind, *_ = _HEADER.unpack_from(data, at)
            if not _HEADER.size <= size <= len(data) - at:
                self._refused[NetlinkRefusal.TRUNCATED] += 1
                return
            if kind != _NOOP:
                yield kind, data[at : at + size]
            at += (size + 3) & ~3


def _open(groups: int) -> socket.socket:
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    except OSError as error:
        raise PlatformError(f"no netlink socket: {error.strerror}") from None
    try:
        sock.setblocking(False)
        sock.setsockopt(_SOL_NETLINK, _STRICT, 1)
        sock.bind((0, groups))
    except OSError as error:
        sock.close()
        raise PlatformError(f"no netlink socket: {error.strerror}") from None
    return sock


def _package() -> None:
    """Register the package without running its `__init__`. That would load all of the package and asyncio, 7 MB more
    than the three classes need, and a CPE is a small device."""
    if "pyroute2" in sys.modules:
        return
    found = find_spec("pyroute2")
    if found is not None and found.submodule_search_locations is not None:
        package = ModuleType("pyroute2")
        package.__path__ = list(found.submodule_search_locations)
        sys.modules["pyroute2"] = package


def _decoders() -> dict[int, Callable[[bytes], Any]]:
    """pyroute2's classes by message type. Raises PlatformError where it is not installed."""
    try:
        _package()
        base = "pyroute2.netlink.rtnl"
        return {
            RTM_NEWLINK: import_module(f"{base}.ifinfmsg").ifinfmsg,
            RTM_NEWADDR: import_module(f"{base}.ifaddrmsg").ifaddrmsg,
            RTM_NEWROUTE: import_module(f"{base}.rtmsg").rtmsg,
        }
    except ImportError:
        raise PlatformError("uplinks are followed by pyroute2, which is not installed") from None


def _check_end(data: bytes) -> None:
    """Check the last message of an answer, which holds 0 or a negative errno. For an interface that is gone the
    answer is empty. Raises NetlinkRefused."""
    if len(data) >= _HEADER.size + 4:
        (code,) = struct.unpack_from("=i", data, _HEADER.size)
        if -code not in (0, errno.ENODEV, errno.ENXIO):
            raise NetlinkRefused(NetlinkRefusal.ERROR)


def _attribute(kind: int, value: bytes) -> bytes:
    size = 4 + len(value)
    return struct.pack("=HH", size, kind) + value + bytes(-size % 4)


def _link(message: Any) -> LinkState:
    name = message.get_attr("IFLA_IFNAME")
    if not (isinstance(name, str) and 0 < len(name) < 16):
        raise ValueError("no name")
    up = _IFF_UP | _IFF_LOWER_UP
    return LinkState(int(message["index"]), name, message["flags"] & up == up)


def _address(message: Any) -> LinkAddress | None:
    """The address in a message; None for one that may not be used, or only for this machine's own traffic."""
    flags = message.get_attr("IFA_FLAGS")
    flags = message["flags"] if flags is None else flags
    # On a point-to-point link, IFA_ADDRESS is the address of the peer.
    text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    known = ip_address(text if isinstance(text, str) else "")
    if (known.version == 4) != (message["family"] == socket.AF_INET):
        raise ValueError("another family")
    if message["scope"] != _SCOPE_GLOBAL or flags & _UNUSABLE:
        return None
    lasts = message.get_attr("IFA_CACHEINFO") or {}
    return LinkAddress(
        int(message["index"]),
        str(known),
        known.version == 6 and bool(flags & _TEMPORARY),
        bool(flags & _DEPRECATED),
        int(lasts.get("ifa_preferred", 0)),
        int(message["prefixlen"]),
    )


def _routes(message: Any) -> list[DefaultRoute] | None:
    """The default routes in a message, one for each interface of a route with several next hops. None for another route,
    or one of another table."""
    if message["dst_len"] or message["table"] != _TABLE_MAIN or message["type"] != 1:  # RTN_UNICAST
        return None
    version = 4 if message["family"] == socket.AF_INET else 6
    metric = int(message.get_attr("RTA_PRIORITY") or 0)
    source = _text(message.get_attr("RTA_PREFSRC"))
    hops = message.get_attr("RTA_MULTIPATH")
    ways = [(message.get_attr("RTA_OIF"), message)] if hops is None else [(hop["oif"], hop) for hop in hops]
    return [
        DefaultRoute(int(index or 0), version, _text(way.get_attr("RTA_GATEWAY")), metric, source)
        for index, way in ways
    ]


def _text(found: Any) -> str:
    return "" if found is None else str(ip_address(found))
