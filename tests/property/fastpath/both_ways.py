"""Two controllers over one network, to be fed the same bytes: one takes the fast path, one the general way."""

from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum
from types import FunctionType, MethodType
from typing import Any

from steering.core.inputs import Input
from steering.core.network.graph import Graph
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.selection.chooser import Chooser
from steering.core.sessions.record_pages import PagedSession, PagedSubflow
from steering.model.network import Site
from steering.model.policy import Policy
from steering.openflow.dispatch import Dispatch
from steering.openflow.fastpath.reader import UsualMessages
from steering.openflow.messages.packetin import parse_packet_in
from steering.openflow.messages.reader import Type, cut
from steering.openflow.switch_tables.sender import Sender
from steering.wire.errors import WireError
from tests.support.sites import Driver


class WrittenLine:
    """A switch's connection that keeps what was written to it."""

    names = None

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


class BytesController:
    """Bytes of switches in, bytes to switches out: reader, engine and sender, as the application ties them together."""

    def __init__(self, site: Site, policy: Policy, fast: bool, driver: Driver | None = None) -> None:
        self.driver = driver or Driver(site, policy)
        self.engine = self.driver.engine
        self.lines = {dpid: WrittenLine() for dpid in self.engine.map.switches}
        self.inbox: deque[Input] = deque()
        self.sender = Sender(self.lines, self.engine.counters, self.inbox.append)
        self.dispatch = Dispatch(self.engine.counters, lambda *_: None)
        self.usual = (
            UsualMessages(self.engine.counters, self.give_all, self.sender.barrier_reply) if fast else None
        )
        self.by_fast = self.by_general = 0

    def give(self, given: Input, now: float) -> None:
        self.give_all([given], now)

    def give_all(self, many: list[Input], now: float) -> None:
        """As the application does it."""
        outputs: list[Output] = []
        for given in many:
            try:
                outputs += self.engine.handle(given, now)
            except WireError as refused:
                self.engine.counters.malformed[refused.reason.value] += 1
        self.sender.execute(outputs, now)

    def read(self, dpid: int, stream: bytes, now: float) -> bytes:
        """One read of a switch's connection; the bytes that are left of it."""
        at = 0
        while True:
            if self.usual is not None:
                before, at = at, self.usual.take(dpid, stream, at, 32, now)
                self.by_fast += at != before
                if at != before:
                    continue
            messages, at, refused = cut(stream, at, 1)
            assert refused is None
            for message in messages:
                self.by_general += 1
                if message.type == Type.PACKET_IN:
                    given = self.dispatch.read(dpid, parse_packet_in(message.data), now)
                    if given is not None:
                        self.give(given, now)
                elif message.type == Type.BARRIER_REPLY:
                    self.sender.barrier_reply(dpid, message.xid, now)
            if not messages:
                return stream[at:]

    def settle(self, now: float) -> dict[int, bytes]:
        """The end of a turn: what leaves, by switch."""
        self.sender.end_batch(now)
        found: dict[int, bytes] = {
            dpid: b"".join(line.written) for dpid, line in self.lines.items() if line.written
        }
        for line in self.lines.values():
            line.written.clear()
        return found

    def later(self, now: float) -> dict[int, bytes]:
        self.driver.now = now
        self.sender.execute(self.driver.later(0.0), now)
        self.sender.expire(now)
        return self.settle(now)

    def state(self) -> list[Any]:
        """All that the sessions' half of the engine and the sender know, in a form that compares."""
        seen: dict[int, tuple[int, Any]] = {}
        pieces, sender = self.engine.sessions, self.sender
        known = [
            {name: one for name, one in vars(pieces).items() if name not in NEVER_CHANGED},
            self.engine.counters,
            [*map(pieces.table.loads_of, pieces.table)],
        ]
        known += [
            self.engine.chooser._previous,
            sender._barriers,
            sender._waiting,
            sender._steers,
            sender._deadlines,
        ]
        return list(plain(known, seen))


LEFT_OUT = (SiteMap, Graph, Neighbours, Chooser, Policy, FunctionType, MethodType, UsualMessages, Iterator)
NEVER_CHANGED = (
    "decision_seconds",
    "_rulings",
    "_map",
    "_chooser",
    "_in_force",
    "in_force",
    "_policy",
    "policy",
    "usual",
)
CAN_BE_COMPARED = (int, float, str, bytes, bool, type(None), Enum, type)


# Numbers in pages are read by their names. The page and the place say nothing about a session.
IN_PAGES: Mapping[type, tuple[str, ...]] = {
    PagedSession: ("id", "created", "active", "extras"),
    PagedSubflow: ("isn", "packets", "bytes", "active", "watch", "progress", "_extras"),
}


def plain(value: Any, seen: dict[int, tuple[int, Any]]) -> Iterator[Any]:
    """A value with all that it holds, one plain value after the other; what was met before by its number."""
    if isinstance(value, CAN_BE_COMPARED):
        # What is kept by the id() of an object is another number in the other controller.
        yield "an id" if type(value) is int and 1 << 44 < value < 1 << 48 else value
        return
    if isinstance(value, LEFT_OUT) or callable(value):
        return
    if id(value) in seen:
        yield ("again", seen[id(value)][0])
        return
    if not isinstance(value, tuple):  # these may be shared or not, which says nothing
        seen[id(value)] = (len(seen), value)  # kept, so that no other gets its id
    yield type(value).__name__
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from plain(key, seen)
            yield from plain(one, seen)
    elif isinstance(value, set | frozenset):
        yield sorted(value, key=repr)
    elif isinstance(value, list | tuple | deque | bytearray):
        for one in value:
            yield from plain(one, seen)
    else:
        names = [
            name
            for kind in type(value).__mro__
            for name in IN_PAGES.get(kind, getattr(kind, "__slots__", ()))
        ]
        for name in [*names, *getattr(value, "__dict__", ())]:
            if name not in NEVER_CHANGED:
                yield name
                yield from plain(getattr(value, name, None), seen)
