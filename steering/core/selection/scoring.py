"""Chooses an MCP: pure functions of policy, network and load.

The steps are: hard filters, the application's expectation, the weighted score of location, type and load, hysteresis,
rendezvous hash. The same input gives the same result on every controller.
"""

from collections.abc import Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import NamedTuple
from zlib import crc32

from steering.core.network.graph import Graph
from steering.core.network.loaded_paths import LoadedPaths
from steering.model.decision import Candidate, Candidates, Decision, DecisionKey, FilterReason, Outcome
from steering.model.ids import DatapathId, McpId
from steering.model.network import HOME, Mcp, McpType
from steering.model.policy import Expectation, Fallback, Policy, Terms, Weights
from steering.model.source import SourceMode

TIE = 1e-9  # scores that are closer than this count as equal
SURELY_BEYOND = 2 * TIE  # a base so much above the best score cannot tie, whatever the rounding errors
PROXY = Outcome.PROXY
_new = tuple.__new__


def stretch_of(cost: float, natural: float) -> float:
    """The path cost through the MCP, divided by that of the natural path. If the natural path has cost 0 (both ports are at
    one switch), 1 is added to both costs."""
    return cost / natural if natural > 0 else 1.0 + cost


class EffectiveTerms(NamedTuple):
    """The terms in effect for one rule: the rule's own, or the policy's where the rule sets none."""

    weights: Weights
    hysteresis: float
    max_stretch: float
    fallback: Fallback
    mcps: frozenset[str]
    expectation: Expectation
    foreign: bool  # whether MCPs of other operators may serve


def effective(policy: Policy, terms: Terms) -> EffectiveTerms:
    """The terms in effect for a rule with `terms`."""
    weights = terms.weights or policy.weights
    if terms.expectation is Expectation.LATENCY:
        weights = Weights(location=weights.location or 1.0, type=0.0, load=0.0)
    return EffectiveTerms(
        weights,
        policy.hysteresis if terms.hysteresis is None else terms.hysteresis,
        policy.max_stretch if terms.max_stretch is None else terms.max_stretch,
        terms.fallback or policy.fallback,
        terms.mcps,
        terms.expectation,
        policy.foreign_mcps,
    )


def candidates(
    wanted: EffectiveTerms,
    graph: Graph,
    mcps: Sequence[Mcp],
    access: DatapathId,
    gateway: DatapathId,
    family: int,
    port: int,
    excluded: Mapping[McpId, FilterReason] = MappingProxyType({}),
    loaded: LoadedPaths | None = None,
    nat64: bytes = b"",
) -> Candidates:
    """All MCPs for one pair of access edge and gateway edge (switches), IP version and service port.

    `excluded`: ids of MCPs that get no new session, and why. `loaded`: path costs by the utilisation of links. The score uses
    these costs if given, while `stretch` and its filter use the costs of the graph. `nat64`: if an IPv6 host addresses an
    IPv4 server, the 12 bytes of the NAT64 prefix, else b"".
    """
    natural = graph.natural_cost(access, gateway)
    found = []
    for mcp in mcps:
        cost = graph.distance(access, mcp.inside.dpid) + graph.distance(mcp.outside.dpid, gateway)
        stretch = stretch_of(cost, natural) if cost < inf else inf
        if natural == inf and cost < inf:
            stretch = 1.0  # only the in-line MCP connects the two edges: its path is the natural path
        on_path = stretch <= 1.0 + TIE
        felt = stretch
        if loaded is not None and natural < inf:
            there = loaded.distance(access, mcp.inside.dpid)
            felt = stretch_of(there + loaded.distance(mcp.outside.dpid, gateway), natural)
        if wanted.expectation is Expectation.BULK and 0 < natural < inf:
            # Prefer the nearer of two in-line MCPs on the path (D-6.5p1).
            felt += graph.distance(access, mcp.inside.dpid) / natural
        location = wanted.weights.location * (felt - 1.0)
        kind = 0.0 if on_path else wanted.weights.type
        why = _filter(wanted, mcp, stretch, family, port, nat64) or excluded.get(mcp.id)
        found.append(Candidate(mcp, cost, stretch, on_path, location, kind, location + kind, why))
    if wanted.expectation is Expectation.BULK and any(c.on_path and c.filtered is None for c in found):
        found = [
            c if c.on_path or c.filtered else c._replace(filtered=FilterReason.EXPECTATION) for c in found
        ]
    ranked = sorted((c.base, i, c.mcp.capacity_sessions) for i, c in enumerate(found) if c.filtered is None)
    return Candidates(access, gateway, natural, tuple(found), tuple(mcp.id for mcp in mcps), tuple(ranked))


def _filter(
    wanted: EffectiveTerms, mcp: Mcp, stretch: float, family: int, port: int, nat64: bytes
) -> FilterReason | None:
    if wanted.mcps and mcp.name not in wanted.mcps:
        return FilterReason.NOT_CANDIDATE
    if mcp.operator != HOME and not wanted.foreign:
        return FilterReason.FOREIGN
    if stretch == inf:
        return FilterReason.UNREACHABLE
    if all(address.version != family for address in mcp.addresses):
        return FilterReason.FAMILY
    if (why := _source(mcp, family, port, nat64)) is not None:
        return why
    if not any(low <= port <= high for low, high in mcp.tcp_ports):
        return FilterReason.PORT
    if stretch > wanted.max_stretch + TIE:
        return FilterReason.STRETCH
    if wanted.expectation is Expectation.CONTINUITY and mcp.type is McpType.ON_PATH:
        return FilterReason.EXPECTATION
    return None


def _source(mcp: Mcp, family: int, port: int, nat64: bytes) -> FilterReason | None:
    """Why an MCP's server leg cannot have a source address for this family and port, None if it can (N-5.4)."""
    if nat64:
        family = 4
        if mcp.nat64 is None or mcp.nat64.network_address.packed[:12] != nat64:
            return FilterReason.FAMILY
    mode = mcp.source_modes.mode(family)
    if mode is None:
        return FilterReason.FAMILY
    referral = any(low <= port <= high for low, high in mcp.referral_ports)
    return FilterReason.REFERRAL if referral and mode is SourceMode.IPV6_PREFIX else None


def decide(
    wanted: EffectiveTerms,
    network: Candidates,
    loads: tuple[int, ...],
    outside: tuple[float, ...],
    key: DecisionKey,
    now: float,
) -> Decision:
    """Choose an MCP for one session. `loads`: active sessions of each MCP, in the order of `network.all`. `outside`: reported
    load of each MCP, 0 to 1, or () for none.

    A score is never less than its base. Therefore candidates are examined from the lowest base on, until no later one can win
    or tie. The result is the same as if all were examined.
    """
    weight = wanted.weights.load
    best = second = limit = inf
    winner = -1
    for base, index, capacity in network.ranked:
        if base > limit:
            break
        load = loads[index] / capacity
        if outside and outside[index] > load:
            load = outside[index]
        if load >= 1.0:
            continue
        score = base + weight * load
        if score < best:
            best, second, winner = score, best, index
        elif score < second:
            second = score
        else:
            continue
        if second < inf:  # two are found: only a better one or a tie is of interest from here on
            limit = best + SURELY_BEYOND
    if winner < 0:
        outcome = Outcome.NATURAL if wanted.fallback is Fallback.FAIL_OPEN else Outcome.DENY
        return Decision(outcome, -1, "no-candidate", key, network, loads, outside, now)
    if second == inf:
        reason = "only-candidate"
    else:
        tie = second - best <= TIE
        held = -1
        # Hysteresis matters only if the edge's last MCP is not the only one with the best score.
        if key.previous and (tie or network.ids[winner] != key.previous):
            held = _held(wanted, network, loads, outside, key.previous, best)
        if held >= 0:
            winner, reason = held, "hysteresis"
        elif tie:
            winner, reason = _rendezvous(weight, network, loads, outside, key, best), "rendezvous"
        else:
            reason = "score"
    return _new(Decision, (PROXY, winner, reason, key, network, loads, outside, now))


def _held(
    wanted: EffectiveTerms,
    network: Candidates,
    loads: tuple[int, ...],
    outside: tuple[float, ...],
    previous: int,
    best: float,
) -> int:
    """The index of the MCP that the edge got last. -1 if this MCP may not serve, or if its score is worse than the best by
    more than the hysteresis."""
    if previous not in network.ids:
        return -1
    index = network.ids.index(previous)
    candidate = network.all[index]
    if candidate.filtered is not None:
        return -1
    load = loads[index] / candidate.mcp.capacity_sessions
    if outside and outside[index] > load:
        load = outside[index]
    score = candidate.base + wanted.weights.load * load
    return index if load < 1.0 and score - best <= wanted.hysteresis else -1


def _rendezvous(
    weight: float,
    network: Candidates,
    loads: tuple[int, ...],
    outside: tuple[float, ...],
    key: DecisionKey,
    best: float,
) -> int:
    """The index of the candidate with the highest hash with the flow, among those with the best score (rendezvous or HRW
    hashing)."""
    flow = b"%b%b%d.%d" % (key.src, key.dst, key.sport, key.dport)
    tied = []
    for base, index, _ in network.ranked:
        if base - best > TIE:
            break
        load = load_of(network.all[index], loads[index], outside[index] if outside else 0.0)
        if load < 1.0 and base + weight * load - best <= TIE:
            tied.append(index)
    return max(tied, key=lambda index: (rendezvous_weight(flow, network.all[index].mcp.name), index))


def rendezvous_weight(flow: bytes, name: str) -> int:
    """A 32-bit hash of flow and name.

    A CRC alone is linear: for two names of equal length, the difference of the hashes is the same for every flow. Then one of
    three MCPs would win half of all flows. The final steps of Murmur3 remove the linearity.
    """
    mixed = crc32(flow + name.encode())
    mixed = (mixed ^ mixed >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return mixed ^ mixed >> 16


def load_of(candidate: Candidate, sessions: int, outside: float = 0.0) -> float:
    """The load of an MCP: active sessions divided by capacity, or the reported load if that is greater."""
    return max(sessions / candidate.mcp.capacity_sessions, outside)


def score_of(wanted: EffectiveTerms, candidate: Candidate, load: float) -> float:
    """The weighted score of a candidate; lower is better."""
    return candidate.base + wanted.weights.load * load
