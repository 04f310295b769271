"""How good online selection is: 10,000 sessions at 4 MCPs of unequal capacity on 40 switches, against the
optimum of the same instance by min-cost flow (which knows all sessions beforehand).

Total capacity is 125 % of the demand. `measure` tells stretch (sum over the optimum's), load imbalance (max
over mean utilisation, ours and the optimum's), and whether a capacity was exceeded.
"""

import random
from ipaddress import ip_address
from statistics import fmean
from typing import Any

import networkx as nx

from steering.core.network.graph import Graph
from steering.core.selection.scoring import candidates, decide, effective
from steering.model.decision import DecisionKey
from steering.model.network import Interception, Link, Mcp, McpType, PortRef, Site
from steering.model.policy import Policy, Terms
from steering.model.source import TRANSPARENT

SESSIONS, SWITCHES, MCPS, GATEWAYS = 10_000, 40, 4, 3
SHARES = (0.45, 0.25, 0.2, 0.1)  # of the total capacity
FINE = 1_000  # min-cost flow wants whole numbers


def instance(seed: int) -> tuple[Site, list[int], list[int]]:
    """A site, its access switches and its gateway switches (datapath ids)."""
    rng = random.Random(seed)
    links, port = [], 10
    for n in range(2, SWITCHES + 1):
        for peer in {rng.randrange(max(1, n - 8), n), rng.randrange(1, n)}:
            links.append(Link(PortRef(n, port), PortRef(peer, port + 1), rng.choice((1.0, 2.0))))
            port += 2
    total = SESSIONS * 5 // 4
    places = rng.sample(range(1, SWITCHES + 1), MCPS)
    mcps = tuple(
        Mcp(
            f"mcp{n}", McpType.OFF_PATH, PortRef(place, 1), PortRef(place, 1), Interception.STEERED,
            (ip_address(f"10.8.{n}.2"),), (ip_address(f"10.8.{n}.1"),), TRANSPARENT, round(total * SHARES[n]),
        )
        for n, place in enumerate(places)
    )  # fmt: skip
    edges = rng.sample(range(1, SWITCHES + 1), 20)
    return (
        Site((), (), mcps, tuple(links), discover=False),
        edges,
        rng.sample(range(1, SWITCHES + 1), GATEWAYS),
    )


def measure(seed: int = 1) -> dict[str, Any]:
    """One instance; ratios are ours over the optimum's."""
    site, edges, gateways = instance(seed)
    rng = random.Random(seed + 1)
    graph = Graph(site)
    wanted = effective(Policy(max_stretch=1_000.0), Terms())
    tables = {
        (e, g): candidates(wanted, graph, site.mcps, e, g, 4, 443) for e in edges for g in gateways if e != g
    }
    demand: dict[tuple[int, int], int] = dict.fromkeys(tables, 0)
    active = [0] * MCPS
    stretches, exceeded, previous = [], False, dict.fromkeys(edges, 0)
    for number in range(SESSIONS):
        pair = rng.choice(list(tables))
        demand[pair] += 1
        key = DecisionKey(number.to_bytes(4, "big"), b"\0\0\0\1", number % 60_000, 443, previous[pair[0]])
        decision = decide(wanted, tables[pair], tuple(active), (), key, 0.0)
        active[decision.winner] += 1
        exceeded |= active[decision.winner] > site.mcps[decision.winner].capacity_sessions
        previous[pair[0]] = site.mcps[decision.winner].id
        stretches.append(tables[pair].all[decision.winner].stretch)
    best, best_active = _optimum(site, tables, demand)
    return {
        "stretch_over_optimum": round(sum(stretches) / best, 4),
        "mean_stretch": round(fmean(stretches), 3),
        "mean_stretch_optimum": round(best / SESSIONS, 3),
        "imbalance": round(_imbalance(site, active), 3),
        "imbalance_optimum": round(_imbalance(site, best_active), 3),
        "capacity_exceeded": exceeded,
    }


def _imbalance(site: Site, active: list[int]) -> float:
    use = [n / mcp.capacity_sessions for n, mcp in zip(active, site.mcps, strict=True)]
    return max(use) / fmean(use)


def _optimum(site: Site, tables: dict[Any, Any], demand: dict[Any, int]) -> tuple[float, list[int]]:
    flow = nx.DiGraph()
    flow.add_node("sink", demand=SESSIONS)
    for pair, count in demand.items():
        flow.add_node(pair, demand=-count)
        for n, candidate in enumerate(tables[pair].all):
            flow.add_edge(pair, n, weight=round(candidate.stretch * FINE))
    for n, mcp in enumerate(site.mcps):
        flow.add_edge(n, "sink", capacity=mcp.capacity_sessions, weight=0)
    found = nx.min_cost_flow(flow)
    cost = sum(count * tables[pair].all[n].stretch for pair in demand for n, count in found[pair].items())
    return cost, [found[n]["sink"] for n in range(MCPS)]


if __name__ == "__main__":
    for seed in range(1, 9):
        print(seed, measure(seed))
