"""`decide` is pure: same input, same answer; filters, score, hysteresis, rendezvous, in that order."""

import random
from dataclasses import replace
from math import inf

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.core.network.graph import Graph
from steering.core.selection.scoring import candidates, decide, effective
from steering.model.decision import DecisionKey, FilterReason, Outcome
from steering.model.ids import DatapathId
from steering.model.network import Interception, McpType, PortRef, Site
from steering.model.policy import Expectation, Fallback, Policy, Terms, Weights
from tests.support.sites import link, mcp, off_path_site

PLAIN = Terms()
KEY = DecisionKey(b"\1\2\3\4", b"\5\6\7\x08", 1, 2, 0)


def network(policy=None, site=None, access=1, gateway=4, family=4, port=80, excluded=None, terms=PLAIN):
    site = site or off_path_site()
    wanted = effective(policy or Policy(), terms)
    return candidates(wanted, Graph(site), site.mcps, access, gateway, family, port, excluded or {})


def choose(policy, found, loads, key, now, outside=(), terms=PLAIN):
    return decide(effective(policy, terms), found, loads, outside, key, now)


@pytest.mark.row("D-6.5p1", "D-6.5p2")
def test_nearest_wins_and_the_record_says_why():
    found = network()
    decision = choose(Policy(), found, (0, 0), KEY, 1.0)
    core, edge = found.all
    assert decision.mcp.name == "core" and decision.reason == "score"
    assert (found.natural_cost, core.cost, core.stretch, core.on_path) == (2, 2, 1.0, True)
    assert (edge.cost, edge.stretch, edge.on_path) == (4, 2.0, False)


@pytest.mark.row("D-6.6.4")
def test_load_moves_new_sessions_away_and_a_full_mcp_gets_none():
    tight = off_path_site(mcps=tuple(replace(m, capacity_sessions=100) for m in off_path_site().mcps))
    found = network(Policy(weights=Weights(load=3.0)), tight)
    heavy = Policy(weights=Weights(load=3.0))
    assert choose(heavy, found, (30, 0), KEY, 0).mcp.name == "core"
    assert choose(heavy, found, (60, 0), KEY, 0).mcp.name == "edge"
    assert choose(Policy(), found, (100, 99), KEY, 0).mcp.name == "edge"
    assert choose(Policy(), found, (100, 100), KEY, 0).outcome is Outcome.NATURAL
    closed = choose(Policy(fallback=Fallback.FAIL_CLOSED), found, (100, 100), KEY, 0)
    assert closed.outcome is Outcome.DENY and closed.mcp is None


@pytest.mark.row("D-7.3", "D-7.4", "S-9")
def test_an_mcp_of_another_operator_is_never_selected_unless_allowed():
    site = off_path_site()
    theirs = off_path_site(mcps=(replace(site.mcps[0], operator="cdn"), site.mcps[1]))
    found = network(site=theirs)
    assert found.all[0].filtered is FilterReason.FOREIGN
    assert choose(Policy(), found, (0, 0), KEY, 0).mcp.name == "edge"  # though core is nearer
    alone = network(site=off_path_site(mcps=(theirs.mcps[0],)))
    assert choose(Policy(), alone, (0,), KEY, 0).outcome is Outcome.NATURAL
    allowed = Policy(foreign_mcps=True)
    assert choose(allowed, network(allowed, theirs), (0, 0), KEY, 0).mcp.name == "core"


@pytest.mark.row("D-6.5j", "D-6.5p1", "D-6.5p2", "D-6.5p3", "D-6.5p4", "D-6.6.3")
def test_one_graph_three_policies_three_mcps():
    """small stands on the path, in the cell; gate one hop off it; far two hops, with room for all."""
    site = off_path_site(
        mcps=(
            replace(mcp("small", PortRef(3, 1), "10.8.0.2", capacity=10), type=McpType.ON_PATH),
            mcp("gate", PortRef(4, 9), "10.8.1.2", capacity=100),
            mcp("far", PortRef(5, 1), "10.8.2.2"),
        ),
        links=(link("1:2", "3:2"), link("3:3", "4:2"), link("1:4", "6:1", 2.0), link("6:2", "4:6", 2.0), link("4:4", "5:2", 2.0)),
    )  # fmt: skip
    site = replace(
        site,
        mcps=(site.mcps[0], replace(site.mcps[1], inside=PortRef(6, 9), outside=PortRef(6, 9)), site.mcps[2]),
    )
    loads = (6, 20, 0)

    def given(terms):
        return choose(Policy(), network(site=site, terms=terms), loads, KEY, 0, terms=terms).mcp.name

    bulk = Terms(expectation=Expectation.BULK, max_stretch=4.0)
    steady = Terms(expectation=Expectation.CONTINUITY, max_stretch=4.0, weights=Weights(1.0, 0.1, 10.0))
    near = Terms(expectation=Expectation.CONTINUITY, max_stretch=4.0, weights=Weights(1.0, 0.1, 0.1))
    assert [given(terms) for terms in (bulk, near, steady)] == ["small", "gate", "far"]


def test_hard_filters_name_themselves():
    site = off_path_site()
    ported = off_path_site(mcps=(replace(site.mcps[0], tcp_ports=((5201, 5202),)), site.mcps[1]))
    assert network(site=ported).all[0].filtered is FilterReason.PORT
    assert network(site=ported, port=5202).all[0].filtered is None
    assert (
        network(excluded={site.mcps[0].id: FilterReason.UNRESOLVED}).all[0].filtered
        is FilterReason.UNRESOLVED
    )
    v4only = off_path_site(mcps=(replace(site.mcps[0], addresses=site.mcps[0].addresses[:1]),))
    assert network(site=v4only, family=6).all[0].filtered is FilterReason.FAMILY
    assert network(Policy(max_stretch=1.5)).all[1].filtered is FilterReason.STRETCH
    cut = off_path_site(links=site.links[:3])
    assert network(site=cut).all[1].filtered is FilterReason.UNREACHABLE


def equal_pair():
    return off_path_site(mcps=(mcp("a", PortRef(3, 8), "10.8.0.8"), mcp("b", PortRef(3, 9), "10.8.0.9")))


def test_rendezvous_spreads_equal_scores_and_is_stable():
    found = network(site=equal_pair())
    keys = [KEY._replace(sport=n) for n in range(400)]
    winners = [choose(Policy(), found, (0, 0), key, 0).winner for key in keys]
    assert winners == [choose(Policy(), found, (0, 0), key, 9).winner for key in keys]
    assert 120 < sum(winners) < 280


@pytest.mark.parametrize(
    "names", [("a", "b", "c"), ("mcp1", "mcp2", "mcp3", "mcp4", "mcp5"), ("core", "edge", "west")]
)
def test_rendezvous_gives_each_its_part_and_moves_only_what_it_must(names):
    def site(given):
        return off_path_site(mcps=tuple(mcp(n, PortRef(3, 8 + i), f"10.8.0.{8 + i}") for i, n in given))

    whole, less = list(enumerate(names)), list(enumerate(names))[1:]
    found, without = network(site=site(whole)), network(site=site(less))
    keys = [KEY._replace(src=bytes((10, 1, 0, n % 200)), sport=32768 + n) for n in range(3000)]
    before = [choose(Policy(), found, (0,) * len(whole), key, 0).mcp.name for key in keys]
    after = [choose(Policy(), without, (0,) * len(less), key, 0).mcp.name for key in keys]
    share = len(keys) / len(names)
    assert all(0.85 * share < before.count(name) < 1.15 * share for name in names)
    assert all(b == a for b, a in zip(before, after, strict=True) if b != names[0])


def test_hysteresis_keeps_the_last_choice_in_a_tie_whichever_it_was():
    found = network(site=equal_pair())
    for place in (0, 1):
        for sport in range(50):
            key = KEY._replace(sport=sport, previous=found.all[place].mcp.id)
            decision = choose(Policy(hysteresis=0.05), found, (0, 0), key, 0)
            assert (decision.winner, decision.reason) == (place, "hysteresis")


def test_hysteresis_keeps_the_last_choice_while_it_is_nearly_as_good():
    found = network(site=equal_pair())
    sticky = KEY._replace(previous=found.all[1].mcp.id)
    assert choose(Policy(hysteresis=0.05), found, (0, 200), sticky, 0).reason == "hysteresis"
    assert choose(Policy(hysteresis=0.05), found, (0, 600), sticky, 0).winner == 0


@given(st.integers(0, 2**32), st.integers(4, 14))
def test_distances_and_next_hops_agree_with_networkx(seed, size):
    rng = random.Random(seed)
    links, port = [], 10
    for n in range(2, size + 1):
        for peer in {rng.randrange(1, n), rng.randrange(1, n)}:
            links.append(link(f"{n}:{port}", f"{peer}:{port + 1}", rng.choice([1, 2, 5])))
            port += 2
    graph = Graph(Site((), (), (), tuple(links), discover=False))
    reference = nx.Graph()
    for item in links:
        a, b = item.a.dpid, item.b.dpid
        known = reference.get_edge_data(a, b)
        reference.add_edge(a, b, weight=min(item.weight, known["weight"] if known else inf))
    a, b = (DatapathId(n) for n in rng.sample(range(1, size + 1), 2))
    assert graph.distance(a, b) == nx.dijkstra_path_length(reference, a, b)
    path = graph.path(a, b)
    assert nx.path_weight(reference, path, "weight") == graph.distance(a, b)
    assert (path[0], path[-1]) == (a, b)


@pytest.mark.row("D-4.b")
def test_an_in_line_mcp_stands_on_the_natural_path_even_where_it_is_the_only_way():
    inline = replace(
        mcp("core", PortRef(3, 1), "10.8.0.2"),
        interception=Interception.SELF,
        outside=PortRef(4, 9),
    )
    links = (link("1:2", "3:2"), link("2:8", "3:8"))  # nothing but the MCP joins s3 and s4
    site = off_path_site(mcps=(inline,), links=links)
    graph = Graph(site)
    natural = graph.natural(1, 4)
    assert natural.through == inline and natural.switches == (1, 3, 4)
    found = candidates(effective(Policy(), PLAIN), graph, site.mcps, 1, 4, 4, 80)
    assert found.all[0].on_path and found.all[0].filtered is None


@pytest.mark.row("D-6.5j", "D-6.5p3", "D-6.5p4", "D-6.6.1")
def test_expectation_of_the_application_comes_before_distance():
    site = off_path_site()
    cell = replace(site.mcps[0], type=McpType.ON_PATH)
    site = off_path_site(mcps=(cell, site.mcps[1]))

    def winner(expectation, loads=(0, 0)):
        terms = Terms(expectation=expectation)
        return choose(Policy(), network(site=site, terms=terms), loads, KEY, 0, terms=terms).mcp.name

    assert winner(Expectation.BULK) == "core" and winner(Expectation.BULK, (9_000, 0)) == "core"
    assert winner(Expectation.CONTINUITY) == "edge"
    assert winner(Expectation.LATENCY, (9_999, 0)) == "core"
    assert winner(Expectation.NONE) == "core"


@pytest.mark.row("N-5.6.3a")
def test_the_candidate_set_of_a_rule_is_hard():
    terms = Terms(mcps=frozenset({"edge"}))
    found = network(terms=terms)
    assert found.all[0].filtered is FilterReason.NOT_CANDIDATE
    assert choose(Policy(), found, (0, 0), KEY, 0, terms=terms).reason == "only-candidate"


def test_load_that_others_report_counts_where_it_is_more():
    found = network(site=equal_pair())
    assert choose(Policy(), found, (0, 0), KEY, 0, outside=(0.5, 0.0)).winner == 1
    assert choose(Policy(), found, (0, 0), KEY, 0, outside=(1.0, 1.0)).mcp is None
