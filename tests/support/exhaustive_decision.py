"""The decision as it is defined: every MCP that passed the filters is looked at. Slow, and the oracle of `decide`."""

from steering.core.selection.scoring import TIE, EffectiveTerms, load_of, rendezvous_weight, score_of
from steering.model.decision import Candidates, Decision, DecisionKey, Outcome
from steering.model.policy import Fallback


def decide_exhaustively(
    wanted: EffectiveTerms,
    network: Candidates,
    loads: tuple[int, ...],
    outside: tuple[float, ...],
    key: DecisionKey,
    now: float,
) -> Decision:
    """What `decide` has to say, of the same arguments."""
    scores: dict[int, float] = {}
    for index, candidate in enumerate(network.all):
        load = load_of(candidate, loads[index], outside[index] if outside else 0.0)
        if candidate.filtered is None and load < 1.0:
            scores[index] = score_of(wanted, candidate, load)

    def said(outcome: Outcome, winner: int, reason: str) -> Decision:
        return Decision(outcome, winner, reason, key, network, loads, outside, now)

    if not scores:
        natural = wanted.fallback is Fallback.FAIL_OPEN
        return said(Outcome.NATURAL if natural else Outcome.DENY, -1, "no-candidate")
    best = min(scores.values())
    if len(scores) == 1:
        return said(Outcome.PROXY, next(iter(scores)), "only-candidate")
    tied = [index for index, score in scores.items() if score - best <= TIE]
    held = [index for index in scores if key.previous and network.all[index].mcp.id == key.previous]
    if held and scores[held[0]] - best <= wanted.hysteresis and (len(tied) > 1 or held != tied):
        return said(Outcome.PROXY, held[0], "hysteresis")
    if len(tied) == 1:
        return said(Outcome.PROXY, tied[0], "score")
    flow = b"%b%b%d.%d" % (key.src, key.dst, key.sport, key.dport)
    winner = max(tied, key=lambda index: (rendezvous_weight(flow, network.all[index].mcp.name), index))
    return said(Outcome.PROXY, winner, "rendezvous")
