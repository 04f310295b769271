"""A sender, and switches that keep what it sent them."""

import struct

from steering.core.counters import Counters
from steering.core.outputs import Release
from steering.model.rules import Rule, static_cookie
from steering.model.session import Entry, EntryKind, Refusal, pack_cookie
from steering.openflow.messages.reader import Disconnect
from steering.openflow.switch_tables.sender import Sender
from tests.support.fakes.rawswitch import BARRIER_REQUEST, FLOW_MOD

COOKIE = pack_cookie(EntryKind.INITIAL, 0, 7, 0x11223344)


def entry(dpid: int, sport: int = 1000) -> Entry:
    return Entry(dpid, 1, 4, b"\x0a\1\0\2", b"\x0a\x09\0\2", sport, 443, 99, 0, COOKIE)


def held(dpid: int = 1) -> Release:
    return Release(dpid, 1, b"a frame", 99, 0, 1)


def rule(table: int, priority: int = 1) -> Rule:
    return Rule(table, priority, (("eth_type", 0x0800),), cookie=static_cookie(5))


class Line:
    """A switch that keeps what it was sent."""

    def __init__(self) -> None:
        self.data = b""
        self.reason: Disconnect | None = None

    def write(self, data: bytes) -> None:
        self.data += data

    def disconnect(self, reason: Disconnect) -> None:
        self.reason = reason

    def take(self) -> list[tuple[int, int, bytes]]:
        """(type, xid, bytes) of the messages since the last call."""
        found, data, self.data = [], self.data, b""
        while data:
            _, kind, length, xid = struct.unpack_from(">BBHI", data)
            found.append((kind, xid, data[:length]))
            data = data[length:]
        return found

    def kinds(self) -> list[int]:
        return [kind for kind, _, _ in self.take()]


class Bench:
    """A sender of switches with these datapath ids. `fed`: the inputs that came of it."""

    def __init__(self, *dpids: int) -> None:
        self.lines = {dpid: Line() for dpid in dpids}
        self.counters = Counters()
        self.fed: list[object] = []
        self.sender = Sender(self.lines, self.counters, self.fed.append)

    def do(self, *outputs: object, now: float = 0.0) -> None:
        self.sender.execute(list(outputs), now)  # type: ignore[arg-type]
        self.sender.end_batch(now)

    def confirm(self, dpid: int, now: float = 0.1) -> list[tuple[int, int, bytes]]:
        """Answer the barriers among a switch's messages; the messages."""
        found = self.lines[dpid].take()
        for kind, xid, _ in found:
            if kind == BARRIER_REQUEST:
                self.sender.barrier_reply(dpid, xid, now)
        return found

    @property
    def refused(self) -> int:
        return self.counters.refusals[Refusal.BARRIER_TIMEOUT]


def tables(messages: list[tuple[int, int, bytes]]) -> list[int]:
    """Table numbers of the changes of entries among some messages."""
    return [data[24] for kind, _, data in messages if kind == FLOW_MOD]


def stats(cookie: int, table: int) -> bytes:
    """An entry of a flow-stats answer, with an empty match."""
    return struct.pack(">HBxIIHHHH4xQQQHH4x", 56, table, 1, 0, 1, 0, 0, 0, cookie, 3, 300, 1, 4)


def multipart(xid: int, body: bytes, more: int = 0, kind: int = 1) -> bytes:
    """A statistics answer, or a part of one."""
    return struct.pack(">BBHIHH4x", 4, 19, 16 + len(body), xid, kind, more) + body
