"""rtnetlink messages are bounded and have to hold what their type promises; the rest is refused by name and counted."""

import errno
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steering.relay.kernel import route_netlink
from steering.relay.kernel.route_netlink import (
    MOST_MESSAGES,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    DefaultRoute,
    LinkAddress,
    LinkState,
    NetlinkRefusal,
    NetlinkRefused,
    Refusals,
    RouteSocket,
)
from steering.relay.model import PlatformError

DONE, ERROR, OVERRUN = 3, 2, 4
UP = 0x1 | 0x1_0000


def message(kind: int, body: bytes, serial: int = 1, flags: int = 0) -> bytes:
    data = struct.pack("=IHHII", 16 + len(body), kind, flags, serial, 0) + body
    return data + bytes(-len(data) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    size = 4 + len(value)
    return struct.pack("=HH", size, kind) + value + bytes(-size % 4)


def address(text: str = "10.1.0.2", flags: int = 0, scope: int = 0, link: int = 4, **more: bytes) -> bytes:
    packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    body = struct.pack("=BBBBI", family, 24, flags & 0xFF, scope, link)
    body += attribute(1, packed) + attribute(8, struct.pack("=I", flags))
    return body + attribute(6, struct.pack("=IIII", 300, 600, 0, 0)) + b"".join(more.values())


def link(name: bytes = b"dsl0", flags: int = UP) -> bytes:
    return struct.pack("=BxHiII", 0, 1, 4, flags, 0) + attribute(3, name + b"\0")


def route(gateway: bytes | None = bytes([10, 1, 0, 1]), length: int = 0, table: int = 254) -> bytes:
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, length, 0, 0, table, 3, 0, 1, 0)
    body += attribute(4, struct.pack("=I", 4)) + attribute(6, struct.pack("=I", 100))
    return body + (b"" if gateway is None else attribute(5, gateway))


def several_hops(version: int, *hops: tuple[int, str], length: int = 0) -> bytes:
    """A route with several next hops: interface and gateway of each."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    told = b""
    for index, gateway in hops:
        way = attribute(5, socket.inet_pton(family, gateway))
        told += struct.pack("=HBBi", 8 + len(way), 0, 0, index) + way
    body = struct.pack("=BBBBBBBBI", family, length, 0, 0, 254, 3, 0, 1, 0)
    return body + attribute(6, struct.pack("=I", 100)) + attribute(9, told)


class Told:
    """In the place of a netlink socket: what is received, in datagrams or errors."""

    def __init__(
        self, *told: bytes | OSError, port: int = 0, flags: int = 0, full: OSError | None = None
    ) -> None:
        self.told = list(told)
        self.port, self.flags, self.full = port, flags, full
        self._readable, self._writer = os.pipe()
        os.write(self._writer, b".")

    def fileno(self) -> int:
        return self._readable if self.told else self._writer

    def send(self, data: bytes) -> None:
        if self.full is not None:
            raise self.full
        assert struct.unpack_from("=I", data)[0] == len(data)

    def recvmsg(self, size: int) -> tuple[bytes, list[Any], int, tuple[int, int]]:
        if not self.told:
            raise BlockingIOError
        found = self.told.pop(0)
        if isinstance(found, OSError):
            raise found
        return found[:size], [], self.flags | (socket.MSG_TRUNC if len(found) > size else 0), (self.port, 0)

    def close(self) -> None:
        os.close(self._readable)
        os.close(self._writer)


@pytest.fixture
def kernel() -> Iterator[RouteSocket]:
    made = RouteSocket(Refusals())
    yield made
    made.close()


def asked(kernel: RouteSocket, *told: bytes | OSError, **how: Any) -> None:
    """What answers the next question."""
    kernel._asking.close()
    kernel._asking = Told(*told, **how)  # type: ignore[assignment]
    kernel._serial = 0


def only(kernel: RouteSocket) -> dict[NetlinkRefusal, int]:
    return {reason: count for reason, count in kernel._refused.items() if count}


def test_the_machines_own_loopback_is_read(kernel: RouteSocket) -> None:
    found = kernel.link("lo")
    assert found is not None and found.name == "lo"
    assert kernel.addresses(found.link) == [] == kernel.default_routes(found.link)  # of scope host
    assert kernel.link("nosuch0") is None and not only(kernel)


def test_what_the_kernel_tells_of_an_uplink_is_read(kernel: RouteSocket) -> None:
    asked(kernel, message(RTM_NEWLINK, link()))
    assert kernel.link("dsl0") == LinkState(4, "dsl0", True)
    asked(kernel, message(RTM_NEWLINK, link(flags=0x1)))  # no carrier
    assert kernel.link("dsl0") == LinkState(4, "dsl0", False)
    six = address("2001:db8::7", flags=0x01 | 0x20)
    asked(kernel, message(RTM_NEWADDR, address()) + message(RTM_NEWADDR, six), message(DONE, bytes(4)))
    assert kernel.addresses(4) == [
        LinkAddress(4, "10.1.0.2", False, False, 300, 24), LinkAddress(4, "2001:db8::7", True, True, 300, 24),
    ]  # fmt: skip
    asked(kernel, message(RTM_NEWROUTE, route()) + message(DONE, bytes(4)), message(DONE, bytes(4), 2))
    assert kernel.default_routes(4) == [DefaultRoute(4, 4, "10.1.0.1", 100)]
    own = route() + attribute(7, bytes([10, 1, 0, 2]))  # RTA_PREFSRC
    asked(kernel, message(RTM_NEWROUTE, own) + message(DONE, bytes(4)), message(DONE, bytes(4), 2))
    assert kernel.default_routes(4) == [DefaultRoute(4, 4, "10.1.0.1", 100, "10.1.0.2")]


def test_addresses_that_carry_nothing_are_left_out(kernel: RouteSocket) -> None:
    told = [address(scope=253), address(flags=0x40), address(flags=0x08), address(link=5)]
    asked(kernel, b"".join(message(RTM_NEWADDR, one) for one in told) + message(DONE, bytes(4)))
    assert kernel.addresses(4) == [] and not only(kernel)


def test_a_default_route_of_several_uplinks_is_one_of_each(kernel: RouteSocket) -> None:
    """A machine with two lines of equal worth has one such route, and neither line's gateway stands anywhere else."""
    four = several_hops(4, (4, "10.1.0.1"), (5, "10.2.0.1"))
    six = several_hops(6, (4, "fe80::1"), (5, "fe80::2"))
    for link, gateways in ((4, ("10.1.0.1", "fe80::1")), (5, ("10.2.0.1", "fe80::2"))):
        asked(
            kernel,
            message(RTM_NEWROUTE, four) + message(DONE, bytes(4)),
            message(RTM_NEWROUTE, six, 2) + message(DONE, bytes(4), 2),
        )
        assert kernel.default_routes(link) == [
            DefaultRoute(link, version, gateway, 100)
            for version, gateway in zip((4, 6), gateways, strict=True)
        ]
    asked(
        kernel,
        message(RTM_NEWROUTE, several_hops(4, (4, "10.1.0.1"), length=8)) + message(DONE, bytes(4)),
        message(DONE, bytes(4), 2),
    )
    assert kernel.default_routes(4) == [] and not only(kernel)


HOSTILE: dict[str, tuple[dict[str, Any], list[bytes | OSError], NetlinkRefusal]] = {
    "another sender": ({"port": 77}, [message(RTM_NEWADDR, address())], NetlinkRefusal.SENDER),
    "longer than a message may be": ({"flags": socket.MSG_TRUNC}, [b""], NetlinkRefusal.TRUNCATED),
    "an overrun": ({}, [OSError(errno.ENOBUFS, "")], NetlinkRefusal.OVERRUN),
    "a refusal of the kernel": (
        {}, [message(ERROR, struct.pack("=i", -errno.EPERM) + bytes(16))], NetlinkRefusal.ERROR,
    ),
    "a kernel without room for the question": ({"full": OSError(errno.ENOBUFS, "")}, [], NetlinkRefusal.ERROR),
    "a table that changed meanwhile": (
        {}, [message(RTM_NEWADDR, address(), flags=0x10)], NetlinkRefusal.INTERRUPTED,
    ),
    "an answer without end": (
        {}, [message(RTM_NEWADDR, address()) * 500] * (MOST_MESSAGES // 500 + 1), NetlinkRefusal.TOO_MANY,
    ),
    "no answer": ({}, [], NetlinkRefusal.SILENT),
    "an answer to another question": ({}, [message(DONE, bytes(4), 9)], NetlinkRefusal.SILENT),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_an_answer_that_cannot_be_used_is_refused_by_name(
    kernel: RouteSocket, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    how, told, reason = HOSTILE[what]
    if reason is NetlinkRefusal.SILENT:
        monkeypatch.setattr(route_netlink, "ANSWER_S", 0.05)
    asked(kernel, *told, **how)
    with pytest.raises(NetlinkRefused) as refused:
        kernel.addresses(4)
    assert refused.value.reason is reason and only(kernel) == {reason: 1}


BROKEN = {
    "no attribute at all": struct.pack("=BBBBI", 2, 24, 0, 0, 4),
    "an address of three bytes": struct.pack("=BBBBI", 2, 24, 0, 0, 4) + attribute(2, b"abc"),
    "an attribute longer than the message": struct.pack("=BBBBIHH", 2, 24, 0, 0, 4, 4_000, 2) + b"abcd",
    "an attribute of no length": struct.pack("=BBBBIHH", 2, 24, 0, 0, 4, 0, 2) + b"abcd",
    "a header cut short": b"\2\x18",
    "an IPv6 address under IPv4": struct.pack("=BBBBI", 2, 24, 0, 0, 4) + attribute(2, bytes(16)),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_message_that_does_not_hold_what_it_promises_is_passed_over(kernel: RouteSocket, what: str) -> None:
    good = message(RTM_NEWADDR, address("10.1.0.9"))
    asked(kernel, message(RTM_NEWADDR, BROKEN[what]) + good + message(DONE, bytes(4)))
    assert [one.text for one in kernel.addresses(4)] == ["10.1.0.9"]
    assert only(kernel) == {NetlinkRefusal.MALFORMED: 1}


@pytest.mark.parametrize("name", [b"", b"x" * 16, b"\xff\xfe"])
def test_a_name_that_is_none_is_no_link(kernel: RouteSocket, name: bytes) -> None:
    asked(kernel, message(RTM_NEWLINK, link(name)))
    assert kernel.link("dsl0") is None


@pytest.mark.parametrize("data", [b"\x01", b"\xff" * 15, struct.pack("=IHHII", 8, 20, 0, 0, 0), b"\xff" * 32])
def test_a_datagram_that_is_not_as_long_as_it_says_ends_there(kernel: RouteSocket, data: bytes) -> None:
    asked(kernel, message(RTM_NEWADDR, address()) + data, message(DONE, bytes(4)))
    assert len(kernel.addresses(4)) == 1 and only(kernel) == {NetlinkRefusal.TRUNCATED: 1}


def happened(kernel: RouteSocket, *told: bytes | OSError, **how: int) -> set[int]:
    kernel._events.close()
    kernel._events = Told(*told, **how)  # type: ignore[assignment]
    return kernel.happened()


def test_events_say_that_something_happened_and_nothing_more(kernel: RouteSocket) -> None:
    assert happened(kernel, message(RTM_NEWADDR, b"") + message(RTM_NEWLINK, b"")) == {
        RTM_NEWADDR, RTM_NEWLINK,
    }  # fmt: skip
    assert happened(kernel) == set()
    assert happened(kernel, OSError(errno.ENOBUFS, "")) == {OVERRUN}
    assert only(kernel) == {NetlinkRefusal.OVERRUN: 1}
    assert happened(kernel, message(RTM_NEWADDR, b""), port=5) == set()
    assert only(kernel)[NetlinkRefusal.SENDER] == 1


def test_a_flood_of_events_is_read_in_bounded_turns(kernel: RouteSocket) -> None:
    flood = [message(RTM_NEWADDR, b"")] * (MOST_MESSAGES + 5)
    assert happened(kernel, *flood) == {RTM_NEWADDR}
    assert only(kernel) == {NetlinkRefusal.TOO_MANY: 1}
    assert len(kernel._events.told) == 5  # type: ignore[attr-defined]


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), kind=st.sampled_from((RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE)))
def test_no_bytes_raise(data: bytes, kind: int) -> None:
    kernel = RouteSocket(Refusals())
    try:
        hops = several_hops(4, (4, "10.1.0.1"))
        for body in (
            data,
            address()[:4] + data,
            link() + data,
            route() + data,
            hops + data,
            hops[:-4] + data,
        ):
            asked(kernel, message(kind, body), message(DONE, bytes(4)), message(DONE, bytes(4), 2))
            kernel.link("dsl0")
            asked(kernel, message(kind, body), message(DONE, bytes(4)))
            kernel.addresses(4)
            asked(kernel, message(kind, body), message(DONE, bytes(4)), message(DONE, bytes(4), 2))
            kernel.default_routes(4)
    finally:
        kernel.close()


@pytest.mark.parametrize(
    "module", ["steering.relay.launch", "steering.cli.commands.relay", "steering.cli.commands.connect"]
)
def test_a_relay_without_uplinks_and_controller_does_without_pyroute2_and_tls(module: str) -> None:
    heavy = ("pyroute2", "ssl", "http.client")
    code = f"import sys, {module}; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_where_it_is_not_installed_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyroute2.netlink.rtnl.ifinfmsg", None)
    with pytest.raises(PlatformError, match="pyroute2, which is not installed"):
        RouteSocket(Refusals())
