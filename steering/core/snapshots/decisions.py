"""Decisions with their reasons: every MCP that was considered, its score terms, and why it was left out."""

from collections.abc import Iterator, Sequence

from steering.core.engine import Engine
from steering.core.selection.scoring import effective, load_of, score_of
from steering.model.decision import Candidates, Ruling
from steering.model.network import Mcp
from steering.model.session_snapshot import CandidateSnapshot, DecisionSnapshot, ScoreTerms


def explain(engine: Engine, ruling: Ruling, loads: Sequence[int], time: float) -> DecisionSnapshot:
    """A ruling with its reasons. Rules, MCPs and switches are given by name. `loads`: the active sessions of each MCP at
    the time of the ruling, in the order of the ruling's candidates. `time`: of the ruling, in seconds."""
    return DecisionSnapshot(
        time_s=time,
        policy_version=ruling.policy_version,
        rule=ruling.rule or None,
        subscriber=ruling.subscriber or None,
        outcome=ruling.outcome,
        winner=ruling.mcp.name if ruling.mcp else None,
        reason=ruling.reason,
        natural_cost=_finite(ruling.candidates.natural_cost),
        candidates=tuple(_candidates(engine, ruling, loads)),
    )


def _candidates(engine: Engine, ruling: Ruling, loads: Sequence[int]) -> Iterator[CandidateSnapshot]:
    wanted = effective(engine.policy, ruling.terms)
    reports = ruling.outside or (0.0,) * len(loads)
    for candidate, sessions, outside in zip(ruling.candidates.all, loads, reports, strict=True):
        load = load_of(candidate, sessions, outside)
        full = candidate.filtered is None and load >= 1.0
        filtered = "full" if full else candidate.filtered and candidate.filtered.value
        yield CandidateSnapshot(
            mcp=candidate.mcp.name,
            filtered=filtered,
            cost=_finite(candidate.cost),
            stretch=_finite(candidate.stretch),
            on_path=candidate.on_path,
            sessions=sessions,
            terms=ScoreTerms(
                location=_finite(candidate.location_term),
                type=candidate.type_term,
                load=wanted.weights.load * load,
            ),
            path=_path(engine, ruling.candidates, candidate.mcp),
            score=None if filtered else score_of(wanted, candidate, load),
            port=f"{engine.site.switch_name(candidate.mcp.inside.dpid)}:{candidate.mcp.inside.port}",
        )


def _path(engine: Engine, network: Candidates, mcp: Mcp) -> tuple[str, ...]:
    """The names of the switches on the shortest path through an MCP, as the network is now."""
    graph = engine.graph
    there = graph.path(network.access, mcp.inside.dpid)
    back = graph.path(mcp.outside.dpid, network.gateway)
    hops = there + (back[1:] if there[-1:] == back[:1] else back)
    return tuple(engine.site.switch_name(dpid) for dpid in hops)


def _finite(value: float) -> float | None:
    return None if value == float("inf") else value
