"""Looking at candidates from the lowest base on, until no later one can win, gives what looking at all of them gives.

The oracle is `tests.support.exhaustive_decision`. Numbers are drawn from few values, so that ties, full MCPs and the edges of
hysteresis are common; how common is asserted too.
"""

import random
from collections import Counter
from dataclasses import replace
from math import nextafter

import pytest

from steering.core.network.graph import Graph
from steering.core.selection.active_sessions import ActiveSessions
from steering.core.selection.scoring import TIE, candidates, decide, effective
from steering.model.decision import Candidate, Candidates, DecisionKey, FilterReason
from steering.model.network import PortRef
from steering.model.policy import Fallback, Policy, Terms, Weights
from tests.support.exhaustive_decision import decide_exhaustively
from tests.support.sites import mcp, off_path_site

CASES = 6_000
MOST = 24
MCPS = tuple(mcp(f"m{n}", PortRef(3, 20 + n), f"10.8.{n}.2") for n in range(MOST))
BASES = (0.0, 0.0, 0.1, 0.5, 0.5 + TIE / 2, 0.5 + TIE, nextafter(0.5 + TIE, 1), 0.5 + 3 * TIE, 1.0, 1e6, 3e8)
WHY = (FilterReason.DOWN, FilterReason.DRAINING, FilterReason.SICK, FilterReason.NOT_CANDIDATE)


def drawn(chance: random.Random) -> Candidates:
    """Candidates with random bases and capacities, of which some passed no filter."""
    found = []
    for one in MCPS[: chance.randint(0, MOST)]:
        base = chance.choice(BASES) if chance.random() < 0.8 else chance.random()
        why = chance.choice(WHY) if chance.random() < 0.2 else None
        place = replace(one, capacity_sessions=chance.choice((1, 2, 10, 1_000)))
        found.append(Candidate(place, 1.0, 1.0 + base, False, base, 0.0, base, why))
    ranked = sorted((c.base, i, c.mcp.capacity_sessions) for i, c in enumerate(found) if c.filtered is None)
    return Candidates(1, 2, 1.0, tuple(found), tuple(one.mcp.id for one in found), tuple(ranked))


def test_every_choice_is_that_of_looking_at_all() -> None:
    chance = random.Random(11)
    reasons: Counter[str] = Counter()
    far = 0
    for number in range(CASES):
        network = drawn(chance)
        policy = Policy(
            weights=Weights(1.0, 0.1, chance.choice((0.0, 0.5, 2.0, 1_000.0))),
            hysteresis=chance.choice((0.0, TIE, 0.1, 0.5, 1.0)),
            fallback=chance.choice(tuple(Fallback)),
        )
        full = chance.choice((0.0, 0.1, 0.9))
        loads = tuple(
            c.mcp.capacity_sessions + chance.randint(0, 1)
            if chance.random() < full
            else chance.choice(
                (0, 0, c.mcp.capacity_sessions // 2, chance.randrange(c.mcp.capacity_sessions))
            )
            for c in network.all
        )
        outside = tuple(chance.choice((0.0, 0.25, 1.0)) for _ in loads) if chance.random() < 0.3 else ()
        previous = chance.choice((0, chance.choice(MCPS).id, *network.ids))
        key = DecisionKey(chance.randbytes(4), chance.randbytes(4), chance.randrange(65_536), 443, previous)
        wanted = effective(policy, Terms())
        said = decide(wanted, network, loads, outside, key, 1.0)
        assert said == decide_exhaustively(wanted, network, loads, outside, key, 1.0), number
        reasons[said.reason] += 1
        far += bool(network.ranked) and said.winner >= 0 and network.ranked[-1][0] > 1e5
    assert set(reasons) == {"score", "hysteresis", "rendezvous", "only-candidate", "no-candidate"}
    assert min(reasons.values()) > CASES / 50, reasons
    assert far > CASES / 3


class Counted(tuple[tuple[float, int, int], ...]):
    """Ranked candidates, and how many of them were looked at."""

    looked = 0

    def __iter__(self):  # type: ignore[no-untyped-def]
        for one in tuple.__iter__(self):
            self.looked += 1
            yield one


@pytest.mark.row("D-6.6.4")
def test_of_256_mcps_that_lie_apart_few_are_looked_at() -> None:
    """A count, so that it holds on any machine: what a decision costs does not grow with the MCPs that lie too far."""
    chance, looked = random.Random(3), []
    found = [
        Candidate(replace(one, capacity_sessions=1_000), 1.0, 1.0 + n / 8, False, n / 8, 0.0, n / 8, None)
        for n, one in enumerate(MCPS[n % MOST] for n in range(256))
    ]
    ranked = [(c.base, i, 1_000) for i, c in enumerate(found)]
    for _ in range(100):
        network = Candidates(1, 2, 1.0, tuple(found), tuple(range(1, 257)), Counted(ranked))
        loads = tuple(chance.randrange(1_000) for _ in found)
        key = DecisionKey(b"\1\2\3\4", b"\5\6\7\x08", 1, 2, 200)
        decide(effective(Policy(), Terms()), network, loads, (), key, 1.0)
        looked.append(network.ranked.looked)  # type: ignore[attr-defined]
    assert max(looked) <= 2 * (2 + 2.0 * 8), (
        "those whose base is below the first one's with all its load; twice for ties"
    )
    assert sum(looked) / len(looked) < 12


def test_candidates_come_ranked_and_without_those_that_a_filter_excluded() -> None:
    places = tuple(
        mcp(f"m{n}", PortRef(switch, 20 + n), f"10.8.{n}.2", capacity=10 + n)
        for n, switch in enumerate((5, 3, 4, 3))
    )
    site = off_path_site(mcps=places)
    found = candidates(
        effective(Policy(max_stretch=1000.0), Terms()), Graph(site), places, 1, 4, 4, 443,
        {places[1].id: FilterReason.DRAINING},
    )  # fmt: skip
    assert [index for _, index, _ in found.ranked] == sorted(
        (0, 2, 3), key=lambda index: (found.all[index].base, index)
    )
    assert all(
        (base, capacity) == (found.all[i].base, places[i].capacity_sessions)
        for base, i, capacity in found.ranked
    )


def test_loads_are_copied_in_the_order_that_is_asked_for() -> None:
    """Whatever was counted before, also of MCPs that went, and whoever asks for others in between."""
    chance = random.Random(5)
    active, plain = ActiveSessions(dict.fromkeys(range(1, 6), 0)), Counter[int]()
    orders = [tuple(chance.sample(range(1, 40), size)) for size in (1, 2, 5, 30)]
    for _ in range(3_000):
        number = chance.randrange(40)
        active[number] += 1
        plain[number] += 1
        if chance.random() < 0.3:
            order = chance.choice(orders)
            asked = chance.choice((order, (*order[:1], *order[1:])))
            assert active.row(asked) == tuple(plain[one] for one in order)
        if chance.random() < 0.05:
            active = active.copy()
    assert +plain == +Counter(active)
