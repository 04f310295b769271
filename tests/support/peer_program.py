"""A controller without switches of its own kind, as a process: an engine, its streams, and commands on standard input.

Each command is one line of JSON, and so is its answer. Switches are fakes of this process: what the engine wants written to
one of another controller is sent there, and is in its `written`.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from steering.runtime.hub import prepare

prepare()

from time import monotonic  # noqa: E402

from eventlet.green import os as green_os  # noqa: E402
from os_ken.lib import hub  # noqa: E402

from steering.core.clustered_engine import ClusteredEngine  # noqa: E402
from steering.core.inputs import EntriesRead, Input, SwitchUp, SynAckSeen, SynSeen, Tick  # noqa: E402
from steering.core.outputs import Output, Steer  # noqa: E402
from steering.core.packet_inputs import NeighbourSeen  # noqa: E402
from steering.core.peer_facts import ClusterChanged, TellPeer, TurnOver  # noqa: E402
from steering.core.sessions.flow_key import flow_key  # noqa: E402
from steering.model.policy import Policy  # noqa: E402
from steering.runtime.cluster.peer_places import PeerCertificates  # noqa: E402
from steering.runtime.cluster.peer_streams import PeerStreams  # noqa: E402
from steering.wire.crypto import token  # noqa: E402
from steering.wire.peer_messages import Hello  # noqa: E402
from tests.support.clustered import SHARES  # noqa: E402
from tests.support.sites import Driver, answer, capable, join, off_path_site  # noqa: E402

FEW = 20  # handshakes in one turn


class Process:
    def __init__(self, name: str, folder: str, site: str) -> None:
        self.name = name
        self.site = off_path_site()
        self.engine = ClusteredEngine(self.site, Policy(), epoch=7)
        certificates = PeerCertificates(f"{folder}/{name}.crt", f"{folder}/{name}.key", f"{folder}/ca.pem")
        hello = Hello(name, 1, site.encode().ljust(32)[:32])
        self.streams = PeerStreams(hello, certificates, self.give, self.turn_over)
        self.steered: list[int] = []  # switches at which a held segment was let go
        self.steered_at: list[float] = []  # and when, seconds of the machine's clock
        self.port = self.streams.start("127.0.0.1", 0)

    # ---- the engine -------------------------------------------------------------------------------

    def give(self, given: Input) -> None:
        self._do(self.engine.handle(given, monotonic()))

    def _do(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, TellPeer):
                self.streams.tell(output)
            elif isinstance(output, Steer) and output.release is not None:
                self.steered.append(output.release.dpid)
                self.steered_at.append(monotonic())

    def turn_over(self) -> None:
        self.give(TurnOver())
        self.streams.flush()

    def tick(self) -> None:
        while True:
            hub.sleep(0.05)
            self._mcps()
            self.give(Tick())
            self.turn_over()

    def _mcps(self) -> None:
        for one in self.site.mcps:
            if SHARES[one.inside.dpid] == self.name:
                mac = bytes([2, 0, 0, 8, one.inside.dpid, one.inside.port])
                self.give(NeighbourSeen(one.inside.dpid, one.inside.port, one.addresses[0].packed, mac))

    # ---- commands ---------------------------------------------------------------------------------

    def members(self, addresses: dict[str, int]) -> None:
        self.give(ClusterChanged(self.name, frozenset(addresses), SHARES))
        for dpid in (d for d, owner in SHARES.items() if owner == self.name):
            ports = {p.port: True for p in self.engine.map.attachments if p.dpid == dpid}
            ports |= {e.port: True for item in self.site.links for e in (item.a, item.b) if e.dpid == dpid}
            self.give(SwitchUp(dpid, ports))
            self.give(EntriesRead(dpid, [], []))
        self._mcps()
        self.streams.members({name: ("127.0.0.1", port) for name, port in addresses.items()})
        hub.spawn(self.tick)

    def begin(self, count: int, first: int) -> list[int]:
        """First SYNs of so many connections of a host at s1. The switches of their MCPs."""
        found: list[int] = []
        for number in self._in_turns(first, count):
            opening = capable("10.1.0.2", 10_000 + number)
            self.give(SynSeen(1, 1, opening, Driver.frame(opening)))
            flow = flow_key(opening.src, opening.dst, opening.sport, opening.dport)
            found.append(self.engine.map.inside[self.engine.sessions.table.flows[flow].session.mcp].port.dpid)
        self.turn_over()
        return found

    def _in_turns(self, first: int, count: int) -> Iterator[int]:
        """So many numbers from `first` on. A slow machine takes long for all of them, and whoever is not heard meanwhile is
        taken for gone: the streams have their turn after a few."""
        for number in range(first, first + count):
            yield number
            if (number - first) % FEW == FEW - 1:
                self.turn_over()
                hub.sleep(0)

    def answers(self, places: list[int], first: int) -> None:
        """The SYN/ACKs of their MCPs."""
        for number in self._in_turns(first, len(places)):
            opening = capable("10.1.0.2", 10_000 + number)
            self.give(SynAckSeen(places[number - first], 1, answer(opening, number.to_bytes(8, "big"))))
        self.turn_over()

    def joins(self, count: int, first: int, port: int = 10_000) -> float:
        """Joins of all of them at s2. When the first came."""
        began = monotonic()
        for number in self._in_turns(first, count):
            seen = join("10.2.0.2", port + number, token(1, number.to_bytes(8, "big")))
            self.give(SynSeen(2, 1, seen, Driver.frame(seen)))
        self.turn_over()
        return began

    def last(self) -> float:
        """When a segment was let go last."""
        return self.steered_at[-1]

    def report(self) -> dict[str, Any]:
        peers, counters = self.engine.peers, self.engine.counters
        return {
            "reached": sorted(peers.reached), "whole": peers.is_whole, "sessions": len(self.engine.sessions.table),
            "tokens": {name: len(one.facts) for name, one in peers.replicas.of.items()},
            "events": {event.value: count for event, count in peers.events.items() if count},
            "refusals": {refusal.value: count for refusal, count in counters.refusals.items() if count},
            "faults": {fault.value: count for fault, count in self.streams.faults.items()},
            "steered": self.steered, "subflows": sum(len(s.subflows) for s in self.engine.sessions.table),
        }  # fmt: skip


def main() -> None:
    name, folder, site = sys.argv[1:]
    process = Process(name, folder, site)
    print(json.dumps({"port": process.port}), flush=True)
    rest = b""
    while True:
        data = green_os.read(0, 65_536)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            command, arguments = json.loads(line)
            answer_ = getattr(process, command)(**arguments)
            print(json.dumps(answer_), flush=True)


if __name__ == "__main__":
    main()
