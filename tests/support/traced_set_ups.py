"""An engine whose set-ups are traced, with feed and sender as in a controller; switches confirm when the test says."""

import struct
from typing import Any

from steering.core.inputs import CountersRead, ObservedEntry, SynAckSeen, SynSeen, Tick
from steering.core.outputs import Steer
from steering.core.packet_inputs import NeighbourSeen
from steering.model.policy import Policy
from steering.openflow.switch_tables.sender import Sender
from steering.openflow.traced_feed import TracedFeed
from steering.runtime.traces.set_up_traces import SetUpTraces
from steering.wire.handshake import Handshake
from tests.support.clustered import Cluster
from tests.support.fakes.rawswitch import BARRIER_REQUEST
from tests.support.sites import UE_LTE, Driver, answer, capable


class WrittenTrace:
    """A root span that writes down what it is told."""

    def __init__(self, name: str, now: float, attributes: Any) -> None:
        self.name = name
        self.began = now
        self.attributes = dict(attributes)
        self.children: list[tuple[str, float, float, dict[str, Any]]] = []
        self.notes: list[str] = []
        self.links: list[Any] = []
        self.ended: float | None = None
        self.is_failed = False

    @property
    def context(self) -> Any:
        return self

    @property
    def phases(self) -> list[str]:
        return [name for name, *_ in self.children]

    @property
    def outcome(self) -> Any:
        return self.attributes.get("steering.outcome")

    def child(self, name: str, begun: float, ended: float, attributes: Any) -> None:
        assert self.began <= begun <= ended, (name, begun, ended)
        self.children.append((name, begun, ended, dict(attributes)))

    def note(self, name: str, now: float) -> None:
        self.notes.append(name)

    def add(self, attributes: Any) -> None:
        self.attributes |= attributes

    def link(self, other: Any) -> None:
        self.links.append(other)

    def end(self, now: float, attributes: Any, is_failed: bool) -> None:
        assert self.ended is None
        self.ended, self.is_failed = now, is_failed
        self.attributes |= attributes


class KeptLine:
    """A switch that keeps what it was sent."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def disconnect(self, reason: Any) -> None:
        raise AssertionError(reason)

    def barriers(self) -> list[int]:
        """Transaction ids of the barriers since the last call."""
        found, data, self.data = [], self.data, b""
        while data:
            _, kind, length, xid = struct.unpack_from(">BBHI", data)
            found += [xid] if kind == BARRIER_REQUEST else []
            data = data[length:]
        return found


class TracedCluster(Cluster):
    """Several engines, each with its traces; what a segment waits for is confirmed at once. `written`: by controller."""

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[str, list[WrittenTrace]] = {name: [] for name in self.names}
        self.traces = {name: self._traced(name) for name in self.names}

    def _traced(self, name: str) -> SetUpTraces:
        engine, handle, written = self.engines[name], self.engines[name].handle, self.written[name]

        def begin(kind: str, now: float, attributes: Any) -> WrittenTrace:
            written.append(WrittenTrace(kind, now, attributes))
            return written[-1]

        traces = SetUpTraces(engine, engine.counters, begin, 10, lambda: self.now)

        def watched(given: Any, now: float) -> Any:
            is_wanted = traces.wants(given, now)
            outputs = handle(given, now)
            if is_wanted:
                traces.handled(given, outputs, now, now, now)
            traces.written(now)
            for output in outputs:
                if isinstance(output, Steer) and output.release is not None:
                    traces.let_go(output.release, True)
            return outputs

        engine.handle = watched  # type: ignore[method-assign]
        return traces


class TracedSetUps:
    """The lab's site; all inputs go through `give`."""

    def __init__(self, rate: int = 10, policy: Policy | None = None) -> None:
        self.driver = driver = Driver(policy=policy)
        self.written: list[WrittenTrace] = []
        self.counters = driver.counters
        self.traces = SetUpTraces(driver.engine, self.counters, self._begin, rate, lambda: driver.now)
        self.lines = {dpid: KeptLine() for dpid in range(1, 6)}
        self.sender = Sender(self.lines, self.counters, lambda given: None)
        self.feed = TracedFeed(
            driver.engine, self.counters, self.sender.execute, self.traces, lambda: driver.now
        )
        self.sender.let_go = self.feed.let_go

    def _begin(self, name: str, now: float, attributes: Any) -> WrittenTrace:
        self.written.append(WrittenTrace(name, now, attributes))
        return self.written[-1]

    @property
    def last(self) -> WrittenTrace:
        return self.written[-1]

    def give(self, given: Any) -> None:
        """One input and the turn's end, a millisecond later than the last one."""
        self.driver.now += 0.001
        self.feed.give(given, self.driver.now)
        self.sender.end_batch(self.driver.now)

    def confirm(self) -> None:
        """All switches answer their barriers."""
        self.driver.now += 0.001
        for dpid, line in self.lines.items():
            for xid in line.barriers():
                self.sender.barrier_reply(dpid, xid, self.driver.now)

    def syn(self, seen: Handshake, dpid: int = 1) -> None:
        self.give(SynSeen(dpid, 1, seen, Driver.frame(seen)))

    def answer(self, to: Handshake) -> None:
        """The SYN/ACK of the session's MCP."""
        subflow = self.driver.table.flows[key_of(to)]
        place = self.driver.engine.map.inside[subflow.session.mcp].port
        self.give(SynAckSeen(place.dpid, place.port, answer(to)))

    def host_goes_on(self, to: Handshake) -> None:
        """A switch tells that the host has sent data."""
        subflow = self.driver.table.flows[key_of(to)]
        entry = subflow.session.entry(subflow)
        counted = ObservedEntry(entry, 3, 3_000)
        self.give(CountersRead(entry.dpid, [counted]))

    def later(self, seconds: float) -> None:
        """Time goes by in ticks, and MCPs go on answering."""
        until = self.driver.now + seconds
        while self.driver.now < until:
            self.driver.now = min(until, self.driver.now + 0.05)
            for one in self.driver.site.mcps:
                place = one.inside
                mac = bytes([2, 0, 0, 8, place.dpid, place.port])
                self.feed.give(
                    NeighbourSeen(place.dpid, place.port, one.addresses[0].packed, mac), self.driver.now
                )
            self.feed.give(Tick(), self.driver.now)
            self.sender.expire(self.driver.now)
            self.sender.end_batch(self.driver.now)

    def established(self, sport: int = 40_000, src: str = UE_LTE) -> Handshake:
        """A whole set-up; its SYN."""
        seen = capable(src, sport)
        self.syn(seen)
        self.confirm()
        self.answer(seen)
        self.host_goes_on(seen)
        return seen


def key_of(seen: Handshake) -> bytes:
    return seen.src + seen.dst + seen.sport.to_bytes(2, "big") + seen.dport.to_bytes(2, "big")
