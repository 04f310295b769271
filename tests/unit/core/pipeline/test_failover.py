"""Links fail, and nobody tells the controller: switches lead packets around them, and none past its MCP."""

import random
from dataclasses import replace
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steering.core.inputs import GroupsRefused, PortStatus, SwitchDown
from steering.core.network.detours import LONGEST, way_around
from steering.core.network.graph import Graph
from steering.core.network.switch import Switches
from steering.core.pipeline.failover import TAKEN, Failover
from steering.model.ids import DatapathId
from steering.model.mechanism import Mechanism
from steering.model.network import PortRef, Site
from steering.model.rules import LABEL_PREFIX, VIRTUAL_MAC, GroupAction, OutputAction, Table
from tests.support.fakes.packet import ACK, tcp
from tests.support.sites import SERVER, TOKEN, UE_LTE, UE_WLAN, answer, capable, join, link, off_path_site
from tests.support.switched import MCP_MAC, WLAN_MAC, Lab, to_gateway

RING = tuple(link(f"{n}:10", f"{n % 6 + 1}:11") for n in range(1, 7))
# Each edge has two ways into a core of three switches that know only labels.
CORE = (
    *(link(f"{edge}:{10 + core}", f"{core}:{20 + edge}") for edge in range(1, 6) for core in (6, 7)),
    link("6:30", "8:30"),
    link("7:31", "8:31"),
)
PARALLEL = (*(one for one in off_path_site().links), link("1:9", "3:9"))


def ring() -> Site:
    return off_path_site(links=RING)


def core() -> Site:
    return off_path_site(links=CORE)


class Pinned(Lab):
    """A session of two subflows, both at the MCP that its first SYN got; the controller then hears nothing more."""

    def __init__(self, site: Site, **options) -> None:
        super().__init__(site, **options)
        first, second = capable(UE_LTE, 40_000), join(UE_WLAN, 40_001)
        self.steer(self.syn(1, 1, first))
        (session,) = self.table
        place = self.engine.map.mcps[session.mcp].inside
        self.mcp = (place.dpid, place.port)
        self.steer(self.syn_ack(*self.mcp, answer(first)))
        assert session.token == int.from_bytes(TOKEN, "big")
        self.steer(self.syn(2, 1, second))

    def segments(self) -> dict[str, list[tuple[int, int]]]:
        """Where a segment of each subflow, each way, comes out, and natural traffic."""
        back = tcp(SERVER, 5201, UE_LTE, 40_000, ACK, eth_src=MCP_MAC, eth_dst=VIRTUAL_MAC)
        sent = {
            "first": self.send(1, 1, to_gateway(UE_LTE, 40_000)),
            "second": self.send(2, 1, to_gateway(UE_WLAN, 40_001, mac=WLAN_MAC)),
            "back": self.send(*self.mcp, back),
            "natural": self.send(1, 1, to_gateway(UE_LTE, 9, dport=80)),
        }
        return {name: [(d.dpid, d.port) for d in result.deliveries] for name, result in sent.items()}

    @property
    def right(self) -> dict[str, list[tuple[int, int]]]:
        return {"first": [self.mcp], "second": [self.mcp], "back": [(1, 1)], "natural": [(4, 1)]}


@pytest.mark.parametrize("site", [ring, core])
def test_any_one_link_may_fail_and_every_segment_gets_to_its_mcp(site) -> None:
    lab = Pinned(site())
    assert lab.segments() == lab.right
    for one in lab.site.links:
        lab.network.cut(one)
        assert lab.segments() == lab.right, one
        lab.network.mend(one)


@pytest.mark.parametrize("site", [ring, core])
def test_without_groups_a_dead_link_stays_one_until_the_controller_hears_of_it(site) -> None:
    lab = Pinned(site(), disabled=["failover"])
    lost = 0
    for one in lab.site.links:
        lab.network.cut(one)
        lost += lab.segments() != lab.right
        lab.network.mend(one)
    assert lost
    assert not any(switch.groups for switch in lab.network.switches.values())


@pytest.mark.parametrize("site", [ring, core])
def test_whatever_fails_together_nothing_goes_in_circles(site) -> None:
    lab = Pinned(site())
    for many in (2, 3):
        for gone in combinations(lab.site.links, many):
            for one in gone:
                lab.network.cut(one)
            for place in lab.segments().items():
                assert place[1] in ([], lab.right[place[0]]), gone
            for one in gone:
                lab.network.mend(one)


def test_a_dead_switch_costs_no_more_than_what_leads_over_it() -> None:
    lab = Pinned(core())
    for one in lab.site.links:
        if 6 in (one.a.dpid, one.b.dpid):
            lab.network.cut(one)
    lab.segments()  # raises Loop where packets go round


def test_the_other_link_between_two_switches_comes_first() -> None:
    graph = Graph(off_path_site(links=PARALLEL))
    ((only,), _) = way_around(graph, 1, 3)
    assert only == (PortRef(1, 9), PortRef(3, 9))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_a_detour_leads_to_the_far_end_without_its_link(seed: int) -> None:
    chance = random.Random(seed)
    size = chance.randint(3, 9)
    links = {(a, b) for a in range(1, size + 1) for b in range(1, a) if chance.random() < 0.4}
    graph = Graph(
        off_path_site(links=tuple(link(f"{a}:{b}", f"{b}:{a}", chance.choice([1, 1, 2])) for a, b in links))
    )
    for a, b in graph.pairs():
        way, _ = way_around(graph, a, b)
        own = graph.link_used(a, b)
        assert own not in way and own[::-1] not in way
        graph.remove(*own)
        assert bool(way) == bool(graph.path(a, b))
        if way:
            assert way[0][0].dpid == a and way[-1][1].dpid == b
            assert all(x[1].dpid == y[0].dpid and graph.has(*y) for x, y in pairwise(way))
            weights = graph.links_between
            cost = sum(weights(x.dpid, y.dpid)[x, y] for x, y in way)
            assert cost == graph.distance(a, b), "no dearer than it has to be"
        graph.add(*own)


def test_a_ring_that_is_too_long_has_no_detours() -> None:
    def ring_of(size: int) -> Graph:
        return Graph(
            off_path_site(links=tuple(link(f"{n}:1", f"{n % size + 1}:2") for n in range(1, size + 1)))
        )

    assert len(way_around(ring_of(LONGEST + 1), 1, 2)[0]) == LONGEST
    assert way_around(ring_of(LONGEST + 2), 1, 2)[0] == ()


def test_numbers_of_detours_are_no_labels_and_differ() -> None:
    graph = Graph(off_path_site(links=tuple(link(f"{n}:1", f"{n % 30 + 1}:2") for n in range(1, 31))))
    made = Failover(graph, dict.fromkeys(range(1, 31), 1), Switches())
    while made.busy:
        made.advance()
    numbers = set(made._numbers)
    assert len(numbers) == 60 and not numbers & TAKEN and LABEL_PREFIX & 0xFFFF in TAKEN


def test_a_detour_is_for_what_comes_from_a_switch_alone() -> None:
    """A host that writes a detour's number into a frame is not believed."""
    lab = Pinned(ring())
    rules = [rule for rule in lab.network[2].rules(Table.GUARD) if rule.priority == 51_000]
    assert rules and {dict(rule.match)["in_port"] for rule in rules} == {10, 11}
    for rule in rules:
        label = str(dict(rule.match)["eth_dst"][0])
        packet = replace(to_gateway(UE_WLAN, 40_001, mac=WLAN_MAC), eth_dst=label)
        assert lab.send(2, 1, packet).deliveries == []


def test_when_the_controller_hears_of_it_the_shortest_paths_that_are_left_are_taken() -> None:
    lab = Pinned(ring())
    gone = RING[0]
    lab.network.cut(gone)
    long_way = lab.send(1, 1, to_gateway(UE_LTE, 9, dport=80)).hops
    for end in (gone.a, gone.b):
        lab.do(PortStatus(end.dpid, end.port, False))
    assert lab.segments() == lab.right
    assert len(lab.send(1, 1, to_gateway(UE_LTE, 9, dport=80)).hops) < len(long_way)
    lab.network.mend(gone)
    for end in (gone.a, gone.b):
        lab.do(PortStatus(end.dpid, end.port, True))
    lab.network.apply(lab.later(0.1))
    for one in lab.site.links:
        lab.network.cut(one)
        assert lab.segments() == lab.right, one
        lab.network.mend(one)


def test_a_switch_that_refuses_groups_forwards_by_ports_and_the_others_still_fail_over() -> None:
    lab = Pinned(ring())
    lab.do(GroupsRefused(1))
    labels = {
        type(action)
        for dpid in (1, 2)
        for rule in lab.network[dpid].rules(Table.LABEL)
        for action in rule.actions
        if dpid == 1
    }
    assert labels == {OutputAction}
    assert any(isinstance(a, GroupAction) for rule in lab.network[2].rules(Table.LABEL) for a in rule.actions)
    assert lab.segments() == lab.right
    lab.give(SwitchDown(1))
    assert not lab.up(1).groups, "it is not asked again"


def test_the_mechanism_has_a_name() -> None:
    assert Mechanism("failover") is Mechanism.FAILOVER


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_ways_that_were_followed_are_those_of_a_fresh_start(seed: int) -> None:
    """Links come, go and get other weights; some changes are looked at one by one, some together."""
    chance = random.Random(seed)
    size = chance.randint(3, 10)
    edges = [(a, b) for a in range(1, size + 1) for b in range(1, a) if chance.random() < 0.5]
    graph = Graph(off_path_site(links=tuple(link(f"{a}:{b}", f"{b}:{a}") for a, b in edges)))
    epochs = {DatapathId(n): 1 for n in range(1, size + 1)}
    followed = Failover(graph, epochs, Switches())
    for _ in range(8 if edges else 0):
        before = graph.version
        a, b = chance.choice(edges)
        ends = PortRef(a, b), PortRef(b, a)
        for one, other in chance.sample([ends, ends[::-1]], chance.randint(1, 2)):
            if chance.random() < 0.3:
                graph.weigh(one, other, chance.choice([1.0, 2.0, 5.0]))
            elif not graph.remove(one, other):
                graph.add(one, other)
        followed.links_changed(list(graph.changed_since(before)))
        if chance.random() < 0.7:
            _finish(followed)
    _finish(followed)
    fresh = Failover(graph, epochs, Switches())
    _finish(fresh)
    assert followed._ways == fresh._ways
    assert all(followed._through.get(d, {}) == fresh._through.get(d, {}) for d in epochs)


def test_a_lost_link_concerns_only_those_whose_way_around_led_over_it() -> None:
    """A chain of 30 squares: what happens in one of them is nothing to the others."""
    squares = [
        link(f"{a}:{b % 9 + 1}{a % 10}", f"{b}:{a % 9 + 1}{b % 10}")
        for n in range(1, 60, 2)
        for a, b in ((n, n + 1), (n, n + 2), (n + 1, n + 3), (n + 2, n + 3))
        if b <= 60 and (a, b) != (n + 2, n + 3)
    ]
    graph = Graph(off_path_site(links=tuple(squares)))
    made = Failover(graph, dict.fromkeys(range(1, 61), 1), Switches())
    assert _finish(made) == len(graph.pairs()) > 150
    before = graph.version
    (gone,) = (ends for ends in graph.links_between(29, 31))
    graph.remove(*gone)
    made.links_changed(list(graph.changed_since(before)))
    assert 0 < _finish(made) < 12


def _finish(failover: Failover) -> int:
    """Look at all that there is to look at; how many links that were."""
    looked = 0
    while failover.busy:
        failover.advance()
        looked += 1
    return looked
