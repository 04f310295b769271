"""Choosing an MCP: pure functions of policy, network and load (design section 4).

Order: hard filters -> weighted score of location, type and load -> hysteresis -> rendezvous hash.
The same input gives the same answer on every controller.
"""

from collections.abc import Collection, Sequence
from math import inf
from zlib import crc32

from steering.core.graph import Graph
from steering.model.decision import Candidate, Candidates, Decision, DecisionKey, Filtered, Outcome
from steering.model.network import Mcp
from steering.model.policy import Fallback, Policy

TIE = 1e-9  # scores closer than this are equal


def stretch_of(cost: float, natural: float) -> float:
    """Path cost through the MCP over the natural path's; between ports of one switch each cost counts 1 more."""
    return cost / natural if natural > 0 else 1.0 + cost


def candidates(
    policy: Policy,
    graph: Graph,
    mcps: Sequence[Mcp],
    access: int,
    gateway: int,
    family: int,
    port: int,
    unresolved: Collection[int] = (),
) -> Candidates:
    """Every MCP as seen from an access edge and a gateway edge (datapath ids), for a service port.

    `unresolved`: ids of MCPs that have not answered ARP or ND.
    """
    natural = graph.natural(access, gateway).cost
    found = []
    for mcp in mcps:
        cost = graph.distance(access, mcp.inside.dpid) + graph.distance(mcp.outside.dpid, gateway)
        stretch = stretch_of(cost, natural) if cost < inf else inf
        if natural == inf and cost < inf:
            stretch = 1.0  # only the in-line MCP connects the two: its path is the natural path
        on_path = stretch <= 1.0 + TIE
        location = policy.weights.location * (stretch - 1.0)
        kind = 0.0 if on_path else policy.weights.type
        why = _filter(policy, mcp, stretch, family, port, unresolved)
        found.append(Candidate(mcp, cost, stretch, on_path, location, kind, location + kind, why))
    indexes = tuple(i for i, candidate in enumerate(found) if candidate.filtered is None)
    return Candidates(access, gateway, natural, tuple(found), tuple(mcp.id for mcp in mcps), indexes)


def _filter(
    policy: Policy, mcp: Mcp, stretch: float, family: int, port: int, unresolved: Collection[int]
) -> Filtered | None:
    if stretch == inf:
        return Filtered.UNREACHABLE
    if mcp.id in unresolved:
        return Filtered.UNRESOLVED
    if all(address.version != family for address in mcp.addresses):
        return Filtered.FAMILY
    if not any(low <= port <= high for low, high in mcp.tcp_ports):
        return Filtered.PORT
    if stretch > policy.max_stretch:
        return Filtered.STRETCH
    return None


def decide(
    policy: Policy, network: Candidates, loads: tuple[int, ...], key: DecisionKey, now: float
) -> Decision:
    """Choose an MCP for one session. `loads`: active sessions of each MCP, in the order of `network.all`."""
    weight = policy.weights.load
    everyone = network.all
    best = second = inf
    winner = sticky = -1
    for index in network.open:
        candidate = everyone[index]
        mcp = candidate.mcp
        load = loads[index] / mcp.capacity_sessions
        if load >= 1.0:
            continue
        score = candidate.base + weight * load
        if key.previous and mcp.id == key.previous:
            sticky, sticky_score = index, score
        if score < best:
            best, second, winner = score, best, index
        elif score < second:
            second = score
    if winner < 0:
        outcome = Outcome.NATURAL if policy.fallback is Fallback.FAIL_OPEN else Outcome.DENY
        return Decision(policy.version, outcome, -1, "no-candidate", key, network, loads, now)
    if second == inf:
        reason = "only-candidate"
    elif sticky >= 0 and sticky != winner and sticky_score - best <= policy.hysteresis:
        winner, reason = sticky, "hysteresis"
    elif second - best <= TIE:
        winner, reason = _rendezvous(policy, network, loads, key, best), "rendezvous"
    else:
        reason = "score"
    return Decision(policy.version, Outcome.PROXY, winner, reason, key, network, loads, now)


def _rendezvous(
    policy: Policy, network: Candidates, loads: tuple[int, ...], key: DecisionKey, best: float
) -> int:
    """Of the candidates with the best score, the one whose hash with the flow is highest (HRW)."""
    flow = b"%b%b%d.%d" % (key.src, key.dst, key.sport, key.dport)
    tied = [
        index
        for index in network.open
        if loads[index] < network.all[index].mcp.capacity_sessions
        and score_of(policy, network.all[index], loads[index]) - best <= TIE
    ]
    return max(tied, key=lambda index: (crc32(flow + network.all[index].mcp.name.encode()), index))


def load_of(candidate: Candidate, load: int) -> float:
    """Active sessions over capacity."""
    return load / candidate.mcp.capacity_sessions


def score_of(policy: Policy, candidate: Candidate, load: int) -> float:
    """Lower is better."""
    return candidate.base + policy.weights.load * load_of(candidate, load)
