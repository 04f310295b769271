"""What filling all switches at once costs the controller, slice by slice; and a link that goes down: until the first rule
leaves, slice by slice, and in the decision.

Processor time: the engine never waits, so on a machine that does nothing else it is the time that passes.

Run by itself for one size: `python -m tests.bench.resync SWITCHES LINKS`; prints JSON.
"""

import gc
import json
import random
import sys
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_network
from statistics import median
from time import thread_time
from typing import Any

from steering.core.engine import Engine
from steering.core.inputs import (
    Confirmed,
    Continue,
    EntriesRead,
    Input,
    LinkWeighed,
    PortLoad,
    PortStatus,
    SwitchUp,
    Tick,
)
from steering.core.outputs import FillSwitch, GoOn, SyncRules
from steering.core.selection.active_sessions import ActiveSessions
from steering.model.network import (
    AccessNetwork,
    Gateway,
    Link,
    NetworkAccessType,
    PortRef,
    Site,
    Trust,
)
from steering.model.policy import Policy, Terms
from steering.runtime import collector
from steering.wire.handshake import Handshake, Kind
from tests.bench import decision

SWITCHES, QUICK_SWITCHES = (100, 300, 1_000), (20, 60)
MCPS, GATEWAYS = 64, 8
ACCESS_PORT, GATEWAY_PORT, FIRST_LINK_PORT = 101, 102, 110
WEIGHED = 5  # links that get another weight
TICK = 0.05  # seconds
SETTLED = 40  # ticks
BUSY_LINKS = 4  # so that the score's loaded distances are asked for too

Json = dict[str, Any]


def site(switches: int) -> Site:
    """The ring with chords of the decision's benchmark; six of ten switches have an access network."""
    chance = random.Random(switches)
    whole = decision.site(switches, min(MCPS, switches // 2))
    accesses = []
    for n, dpid in enumerate(sorted(chance.sample(range(1, switches + 1), switches * 6 // 10))):
        port, network = PortRef(dpid, ACCESS_PORT), ip_network((0x0A40_0000 + (n << 8), 24))
        name = f"access{n}"
        accesses.append(
            AccessNetwork(name, NetworkAccessType.WLAN, Trust.OPERATOR, (network,), (port,), (network[1],))
        )
    gateways = []
    for n, dpid in enumerate(chance.sample(range(1, switches + 1), min(GATEWAYS, switches // 4))):
        port, network = PortRef(dpid, GATEWAY_PORT), ip_network((0xAC10_0000 + (n << 16), 16))
        name = f"gateway{n}"
        gateways.append(Gateway(name, (network,), (port,), (network[1],)))
    return Site(tuple(accesses), tuple(gateways), whole.mcps, _links(whole.links), {}, False)


def _links(links: tuple[Link, ...]) -> tuple[Link, ...]:
    """The same between ports that are numbered as on real switches: from a low number on at each."""
    used: Counter[int] = Counter()

    def port(dpid: int) -> PortRef:
        used[dpid] += 1
        return PortRef(dpid, FIRST_LINK_PORT + used[dpid])

    return tuple(replace(link, a=port(link.a.dpid), b=port(link.b.dpid)) for link in links)


class Collector:
    """The pauses of Python's garbage collector, milliseconds: all of them, and the longest."""

    def __init__(self) -> None:
        self.ms = self.longest_ms = self._began = 0.0
        gc.callbacks.append(self._told)

    def _told(self, phase: str, _about: dict[str, int]) -> None:
        if phase == "start":
            self._began = thread_time()
            return
        paused = 1000 * (thread_time() - self._began)
        self.ms += paused
        self.longest_ms = max(self.longest_ms, paused)


class Network:
    """An engine with all its switches filled: all of them connect at once."""

    def __init__(self, switches: int) -> None:
        self.site = site(switches)
        began = thread_time()
        self.engine = Engine(self.site, Policy(max_stretch=1000.0), epoch=7)
        collector.settle()  # as the controller does before a switch connects
        self.now = 100.0
        self.rules = 0
        ports: dict[int, dict[int, bool]] = {dpid: {} for dpid in range(1, switches + 1)}
        ends = [end for link in self.site.links for end in (link.a, link.b)]
        for port in (*ends, *self.engine.map.attachments):
            ports[port.dpid][port.port] = True
        self.fill_slices: list[float] = []
        self.collector = Collector()
        self._fill([SwitchUp(dpid, known) for dpid, known in ports.items()])
        self._fill([EntriesRead(dpid, [], []) for dpid in ports])  # all of them at once
        self.fill_s = thread_time() - began
        for link in self.site.links[:BUSY_LINKS]:
            self.engine.handle(PortLoad(link.a.dpid, link.a.port, 0.8), self.now)
        self._tick()

    def _fill(self, told: Sequence[Input]) -> None:
        """Give some inputs, and go on as long as the engine wants to."""
        waiting = deque(told)
        going_on = False
        while waiting or going_on:
            # As the hub does it: whoever has something to say has a turn between two slices.
            given = waiting.popleft() if waiting else Continue()
            began, paused = thread_time(), self.collector.ms
            outputs = self.engine.handle(given, self.now)
            self.fill_slices.append(1000 * (thread_time() - began) - (self.collector.ms - paused))
            going_on &= not isinstance(given, Continue)
            going_on |= any(isinstance(output, GoOn) for output in outputs)
            filled = [output for output in outputs if isinstance(output, FillSwitch)]
            self.rules += sum(len(fill.forwarding) + len(fill.admission) for fill in filled)

    def _tick(self) -> None:
        """Time goes by, and everything that is under way is over."""
        for _ in range(3):
            self.now += 3.0
            outputs = self.engine.handle(Tick(), self.now)
            while any(isinstance(output, GoOn) for output in outputs):
                outputs = self.engine.handle(Continue(), self.now)

    def lose(self, link: Link) -> Json:
        """One port goes down, and comes back unmeasured; milliseconds."""
        given: PortStatus | Continue = PortStatus(link.a.dpid, link.a.port, False, False)
        first, slices, rules = 0.0, [], 0
        while True:
            began = thread_time()
            outputs = self.engine.handle(given, self.now)
            slices.append(1000 * (thread_time() - began))
            changed = sum(len(o.add) + len(o.delete) for o in outputs if isinstance(o, SyncRules))
            if changed and not rules:
                first = sum(slices)
            rules += changed
            if not any(isinstance(output, GoOn) for output in outputs):
                break
            given = Continue()
        self._restore(link)
        return {
            "first": first,
            "longest": max(slices),
            "total": sum(slices),
            "slices": len(slices),
            "rules": rules,
        }

    def weigh(self, link: Link) -> Json:
        """A link gets another weight, and its own again; milliseconds until the first rule leaves, and of the longest
        slice."""
        for _ in range(SETTLED):
            self.now += TICK
            self.engine.handle(Tick(), self.now)  # what was due since the last change is not to be counted
        first, slices, rules = 0.0, [], 0
        given: deque[Input] = deque([LinkWeighed(link.a, link.b, 3.0)])
        while given or not self.engine.old_paths.settled:
            if not given:
                self.now += TICK
                given.append(Tick())
            began, paused = thread_time(), self.collector.ms
            outputs = self.engine.handle(given.popleft(), self.now)
            slices.append(1000 * (thread_time() - began) - (self.collector.ms - paused))
            synced = [output for output in outputs if isinstance(output, SyncRules)]
            changed = sum(len(one.add) + len(one.delete) for one in synced)
            if changed and not rules:
                first = sum(slices)
            rules += changed
            given.extend(Confirmed(one.dpid, one.confirm) for one in synced if one.confirm)
            if any(isinstance(output, GoOn) for output in outputs):
                given.append(Continue())
        self._restore_weight(link)
        return {"first": first, "longest": max(slices), "rules": rules}

    def _restore_weight(self, link: Link) -> None:
        self.engine.handle(LinkWeighed(link.a, link.b, None), self.now)
        while not self.engine.old_paths.settled or self.engine.old_paths.kept:
            self.now += 1.0
            given: deque[Input] = deque([Tick()])
            while given:
                outputs = self.engine.handle(given.popleft(), self.now)
                given.extend(
                    Confirmed(o.dpid, o.confirm) for o in outputs if isinstance(o, SyncRules) and o.confirm
                )
                if any(isinstance(output, GoOn) for output in outputs):
                    given.append(Continue())

    def relink(self, link: Link, edge: int) -> float:
        """Milliseconds of the first decision after a link went down, before any label followed."""
        self._decide(edge)
        self.engine.handle(PortStatus(link.a.dpid, link.a.port, False, False), self.now)
        began = thread_time()
        self._decide(edge)
        took = 1000 * (thread_time() - began)
        self._restore(link)
        return took

    def _decide(self, edge: int) -> None:
        opening = Handshake(
            kind=Kind.CAPABLE, version=1, family=4, src=b"\x0a\x40\0\2", dst=b"\xac\x10\0\2", sport=40_000,
            dport=443, flags=2, key=b"", peer_key=b"", token=b"", address_id=0, backup=False, nonce=b"",
            deny_join=False, uncommon=False, options_length=24, payload_offset=78, seq=1, ack=0,
        )  # fmt: skip
        chooser = self.engine.chooser
        exits = self.site.gateways[0].ports
        chooser.choose(
            TERMS, edge, exits, opening, ActiveSessions(dict.fromkeys(self.engine.map.mcps, 0)), self.now
        )

    def _restore(self, link: Link) -> None:
        self.now += 100.0
        self.engine.handle(PortStatus(link.a.dpid, link.a.port, True, False), self.now)
        self._tick()


TERMS = Terms()


def measure(switches: int, links: int) -> Json:
    """One size: medians over several links, and the longest slice of all."""
    network = Network(switches)
    filled_gc = network.collector.longest_ms
    network.collector.longest_ms = 0.0
    gc.collect()
    whole_gc = network.collector.longest_ms
    gc.freeze()
    chance = random.Random(1)
    chosen = chance.sample(network.site.links, min(links, len(network.site.links)))
    lost = [network.lose(link) for link in chosen]
    edges = [chance.choice(network.site.access_networks).ports[0].dpid for _ in chosen]
    weighed = [network.weigh(link) for link in chosen[:WEIGHED]]
    decided = [network.relink(link, edge) for link, edge in zip(chosen, edges, strict=True)]
    return {
        "switches": switches,
        "rules": network.rules,
        "fill_s": round(network.fill_s, 2),
        "fill_longest_slice_ms": round(max(network.fill_slices), 2),
        "fill_longest_gc_ms": round(filled_gc, 2),
        "filled_whole_gc_ms": round(whole_gc, 2),  # a collection that looks at everything that is not frozen
        "fill_slices": len(network.fill_slices),
        "resync_first_ms": round(median(one["first"] for one in lost), 2),
        "resync_first_worst_ms": round(max(one["first"] for one in lost), 2),
        "resync_longest_slice_ms": round(max(one["longest"] for one in lost), 2),
        "resync_total_ms": round(median(one["total"] for one in lost), 2),
        "resync_slices": round(median(one["slices"] for one in lost)),
        "resync_rules": round(median(one["rules"] for one in lost)),
        "weigh_first_ms": round(median(one["first"] for one in weighed), 2),
        "weigh_longest_slice_ms": round(max(one["longest"] for one in weighed), 2),
        "weigh_rules": round(median(one["rules"] for one in weighed)),
        "relink_ms": round(median(decided), 2),
        "relink_worst_ms": round(max(decided), 2),
    }


def keys(curve: list[Json]) -> Json:
    """The keys of the largest size, and all sizes."""
    wanted = ("resync_first_ms", "resync_longest_slice_ms", "resync_total_ms", "relink_ms", "weigh_first_ms")
    fill = {f"fill_{one['switches']}_s": one["fill_s"] for one in curve}
    longest = {"fill_longest_slice_ms": curve[-1]["fill_longest_slice_ms"]}
    return {key: curve[-1][key] for key in wanted} | fill | longest | {"resync": curve}


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
