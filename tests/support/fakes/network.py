"""Several fake switches joined by links: where a packet ends up, and what engine outputs do to it."""

from collections.abc import Iterable
from typing import NamedTuple

from steering.core.outputs import (
    Authorise,
    FillSwitch,
    Output,
    ProveChannel,
    ReadCounters,
    ReadEntries,
    Release,
    RemoveEntries,
    RenewRules,
    SendFrame,
    Steer,
    SweepEntries,
    SyncRules,
)
from steering.core.pipeline.priorities import faults_of
from steering.model.network import Link, PortRef
from steering.model.rules import Rule
from tests.support.fakes.flowtable import Copy, FakeFlowTable, Loop
from tests.support.fakes.packet import Packet, packet_of

_HOPS = 64
_Arrival = tuple[int, Release | tuple[int, Packet]]  # at a switch: a packet-out, or a packet at a port


def _check(rules: Iterable[Rule]) -> None:
    """Whatever a test is about: no rule leads where its own level may not."""
    for rule in rules:
        assert not list(faults_of(rule)), (rule, list(faults_of(rule)))


class Delivery(NamedTuple):
    """A packet that left the network at a port."""

    dpid: int
    port: int
    packet: Packet


class Result(NamedTuple):
    """`hops`: the (dpid, ingress port) pairs that were visited, in order."""

    deliveries: list[Delivery]
    copies: list[Copy]
    hops: list[tuple[int, int]]


class FakeNetwork:
    """Switches joined by links; a port without a link is an attachment."""

    def __init__(self, links: Iterable[Link] = ()) -> None:
        self.switches: dict[int, FakeFlowTable] = {}
        self._peer: dict[PortRef, PortRef] = {}
        for link in links:
            self.connect(link)

    def __getitem__(self, dpid: int) -> FakeFlowTable:
        """The switch; made at first use."""
        return self.switches.setdefault(dpid, FakeFlowTable(dpid))

    def connect(self, link: Link) -> None:
        self._peer[link.a], self._peer[link.b] = link.b, link.a

    def cut(self, link: Link, silently: bool = False) -> None:
        """What is sent into it is lost from now on: its ports are still no attachments. Its switches see it, unless it
        is `silently` cut."""
        for end in (link.a, link.b):
            if not silently:
                self[end.dpid].dead.add(end.port)
        nowhere = PortRef(0, 0)
        self._peer[link.a] = self._peer[link.b] = nowhere

    def mend(self, link: Link) -> None:
        """A link that was cut is whole again."""
        self.connect(link)
        for end in (link.a, link.b):
            self[end.dpid].dead.discard(end.port)

    def apply(self, outputs: Output | list[Output]) -> Result:
        """Carry out engine outputs in order; the result is what their packets became."""
        result = Result([], [], [])
        for output in outputs if isinstance(outputs, list) else [outputs]:
            self._apply(output, result)
        return result

    def _apply(self, output: Output, result: Result) -> None:
        match output:
            case Steer(entries, rel):
                for dpid in dict.fromkeys(entry.dpid for entry in entries):
                    self[dpid].apply(output)
                if rel is not None:
                    self._walk([(rel.dpid, rel)], result)
            case RemoveEntries(entries):
                for dpid in dict.fromkeys(entry.dpid for entry in entries):
                    self[dpid].apply(output)
            case SyncRules(dpid, add):
                _check(add)
                self[dpid].apply(output)
            case RenewRules(dpid, rules):
                _check(rules)
                self[dpid].apply(output)
            case FillSwitch(dpid):
                _check((*output.forwarding, *output.admission))
                self[dpid].apply(output)
            case Release(dpid):
                self._walk([(dpid, output)], result)
            case SendFrame(dpid, port, frame):
                todo: list[_Arrival] = []
                self._leave(dpid, [(port, packet_of(frame))], result, todo)
                self._walk(todo, result)
            case Authorise() | ReadEntries() | SweepEntries() | ReadCounters() | ProveChannel():
                pass  # answered when the test says so, entries by FakeFlowTable.read
            case _:
                raise TypeError(f"not an engine output: {output!r}")

    def age(self, seconds: float) -> None:
        """Time passes at all switches, with or without a controller."""
        for switch in self.switches.values():
            switch.age(seconds)

    def send(self, dpid: int, port: int, packet: Packet) -> Result:
        """A packet comes in at an attachment (or any port); Loop after 64 switches."""
        result = Result([], [], [])
        self._walk([(dpid, (port, packet))], result)
        return result

    def _walk(self, todo: list[_Arrival], result: Result) -> None:
        while todo:
            dpid, arrival = todo.pop(0)
            if len(result.hops) >= _HOPS:
                raise Loop(f"{arrival} after {result.hops}")
            if isinstance(arrival, Release):
                result.hops.append((dpid, arrival.in_port))
                outputs, copies = self[dpid].release(arrival)
            else:
                result.hops.append((dpid, arrival[0]))
                outputs, copies = self[dpid].output_of(*arrival)
            result.copies.extend(copies)
            self._leave(dpid, outputs, result, todo)

    def _leave(
        self,
        dpid: int,
        outputs: list[tuple[int, Packet]],
        result: Result,
        todo: list[_Arrival],
    ) -> None:
        for port, packet in outputs:
            peer = self._peer.get(PortRef(dpid, port))
            if peer is None:
                result.deliveries.append(Delivery(dpid, port, packet))
            elif peer.dpid:
                todo.append((peer.dpid, (peer.port, packet)))
