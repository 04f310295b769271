"""Time of one decision, by the size of the network and the number of MCPs: pure functions, in this process.

Run by itself for the whole decision in one network, in the thread's processor time:
`python -m tests.bench.decision SWITCHES MCPS GATEWAYS`; prints JSON.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from statistics import median
from time import perf_counter_ns, thread_time_ns
from typing import Any

from steering.core.engine import Engine
from steering.core.network.graph import Graph
from steering.core.packet_inputs import NeighbourSeen
from steering.core.selection.active_sessions import ActiveSessions
from steering.core.selection.chooser import UsualFlow
from steering.core.selection.scoring import EffectiveTerms, candidates, decide, effective
from steering.model.decision import DecisionKey
from steering.model.ids import DatapathId, McpId
from steering.model.network import (
    AccessNetwork,
    Gateway,
    Interception,
    Link,
    Mcp,
    McpType,
    NetworkAccessType,
    PortRef,
    Site,
    Trust,
)
from steering.model.policy import Policy, Terms
from steering.model.source import TRANSPARENT

SWITCHES = (20, 100, 1_000)
MCPS = (2, 16, 64)
CAPACITY = 100_000
LARGE = (5_000, 256, 1_000)  # switches, MCPs, gateways
PAIRS, FLOWS = 200, 20_000


def site(switches: int, mcps: int) -> Site:
    """A ring with half as many chords, MCPs spread over it; the same at every call."""
    chance = random.Random(switches)
    pairs = [(n, n % switches + 1) for n in range(1, switches + 1)]
    pairs += [tuple(chance.sample(range(1, switches + 1), 2)) for _ in range(switches // 2)]  # type: ignore[misc]
    links = tuple(Link(PortRef(a, 1_000 + n), PortRef(b, 5_000 + n)) for n, (a, b) in enumerate(pairs))
    return Site((), (), tuple(_mcp(n, 1 + n * switches // mcps) for n in range(mcps)), links, {}, False)


def _mcp(number: int, switch: int) -> Mcp:
    address = ip_address(f"10.200.{number}.2")
    port = PortRef(switch, 1 + number)
    gateway = ip_network(f"{address}/24", strict=False)[1]
    return Mcp(
        f"mcp{number}", McpType.OFF_PATH, port, port, Interception.STEERED, (address,), (gateway,),
        TRANSPARENT, CAPACITY, number=McpId(1 + number),
    )  # fmt: skip


def measure(quick: bool, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """One row for each size: microseconds, medians."""
    wanted = effective(Policy(max_stretch=1000.0), Terms())
    for switches in SWITCHES[: 2 if quick else 3]:
        say(f"decision: {switches} switches")
        whole = site(switches, max(MCPS))
        graph = Graph(whole)
        for mcps in MCPS:
            places = site(switches, mcps).mcps
            yield {"switches": switches, "mcps": mcps} | _one(wanted, graph, whole.links[0], places, switches)


def _one(
    wanted: EffectiveTerms, graph: Graph, link: Link, mcps: tuple[Mcp, ...], switches: int
) -> dict[str, float]:
    chance = random.Random(1)
    edges = [chance.randint(1, switches) for _ in range(8)]
    cold, warm = [], []
    for number, edge in enumerate(edges[:4]):
        # A link goes, and comes back before the next edge: what its change touched has to be found anew.
        change = graph.add if number % 2 else graph.remove
        change(link.a, link.b)
        cold.append(_time(lambda edge=edge: candidates(wanted, graph, mcps, edge, switches, 4, 443), 1))  # type: ignore[misc]
    for edge in edges:
        warm.append(_time(lambda edge=edge: candidates(wanted, graph, mcps, edge, switches, 4, 443), 20))  # type: ignore[misc]
    network = candidates(wanted, graph, mcps, edges[0], switches, 4, 443)
    key = DecisionKey(b"\n\1\0\2", b"\n\t\0\2", 40000, 443, 0)
    loads = tuple(chance.randrange(CAPACITY) for _ in mcps)
    decided = [_time(lambda: decide(wanted, network, loads, (), key, 1.0), 500) for _ in range(9)]
    return {
        "decide_us": round(median(decided), 2),
        "candidates_us": round(median(warm), 1),
        "candidates_after_change_us": round(median(cold), 1),
    }


def large(size: tuple[int, int, int] = LARGE, clock: Callable[[], int] = perf_counter_ns) -> dict[str, float]:
    """A whole decision in a large network, microseconds: from a flow's addresses to the MCP, with loads as they are then.
    `first`: for a pair of an access edge and a gateway that nobody has asked for since the network changed. `clock`:
    nanoseconds."""
    switches, mcps, count = size
    chance = random.Random(2)
    whole = site(switches, mcps)
    accesses, gateways = [], []
    for n in range(PAIRS):
        network = ip_network((0x0B00_0000 + (n << 8), 24))
        port = PortRef(chance.randint(1, switches), 20_000 + n)
        accesses.append(
            AccessNetwork(f"a{n}", NetworkAccessType.WLAN, Trust.OPERATOR, (network,), (port,), (network[1],))
        )
    for n in range(count):
        network = ip_network((0x1400_0000 + (n << 8), 24))
        gateways.append(
            Gateway(f"g{n}", (network,), (PortRef(chance.randint(1, switches), 30_000 + n),), (network[1],))
        )
    whole = replace(whole, access_networks=tuple(accesses), gateways=tuple(gateways))
    policy = Policy(max_stretch=1000.0)
    engine = Engine(whole, policy, epoch=7)
    chooser, sitemap = engine.chooser, engine.map
    for place in whole.mcps:
        mac = bytes((2, 0, 0, 8, place.id >> 8, place.id & 0xFF))
        engine.handle(
            NeighbourSeen(place.inside.dpid, place.inside.port, place.addresses[0].packed, mac), 1.0
        )
    active = ActiveSessions((one.id, chance.randrange(CAPACITY)) for one in whole.mcps)
    terms = Terms()
    pairs = [(one.ports[0].dpid, chance.choice(gateways).prefixes[0][9].packed) for one in accesses]

    def one(pair: tuple[DatapathId, bytes]) -> float:
        access, server = pair
        flow = UsualFlow(4, bytes((11, 0, 0, 2)), server, chance.randrange(1_024, 65_536), 443, 1)
        began = clock()
        decision = chooser.choose(terms, access, sitemap.exits_to(server), flow, active, 1.0)
        took = clock() - began
        if decision.mcp is not None:  # a session begins, and another one ends
            chooser.chosen(access, decision.mcp.id)
            active[decision.mcp.id] += 1
            active[chance.choice(whole.mcps).id] -= 1
        return took / 1000

    for pair in pairs:
        one(pair)  # distances are kept by the network, whoever asks
    chooser.policy_replaced(policy, 1.0)
    first = sorted(one(pair) for pair in pairs)
    known = sorted(one(chance.choice(pairs)) for _ in range(FLOWS))
    return {
        "decision_large_p50_us": round(median(known), 2),
        "decision_large_p99_us": round(known[len(known) * 99 // 100], 2),
        "decision_large_first_us": round(median(first), 1),
    }


def _time(work: Callable[[], object], times: int) -> float:
    """Microseconds of one call."""
    began = perf_counter_ns()
    for _ in range(times):
        work()
    return (perf_counter_ns() - began) / times / 1000


def main(switches: str, mcps: str, gateways: str) -> None:
    """One size."""
    print(json.dumps(large((int(switches), int(mcps), int(gateways)), thread_time_ns)))


if __name__ == "__main__":
    main(*sys.argv[1:])
