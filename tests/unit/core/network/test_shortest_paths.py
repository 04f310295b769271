"""Ways that follow single changes of links equal ways computed from scratch, whatever comes and goes."""

import itertools
import random
from math import inf

import networkx as nx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from steering.core.network.graph import Graph
from steering.core.network.loaded_paths import LoadedPaths
from steering.core.network.shortest_paths import ShortestPaths
from steering.core.network.tree_update import PORTION
from steering.model.network import Link, PortRef, Site

WEIGHTS = (
    1.0,
    1.0,
    1.0,
    2.0,
    0.1,
    0.3,
    7.5,
    1e-17,
)  # equal ones, sums that are not exact, one that is absorbed


class FromScratch:
    """networkx over the links as they are now: the definition that a graph is held to."""

    def __init__(self, links, factors=None):
        self.graph = nx.DiGraph()
        felt = {(n.a, n.b): n.weight * (factors or {}).get(n.a, 1.0) for n in links}
        for (a, b), weight in sorted(felt.items()):
            known = self.graph.get_edge_data(a.dpid, b.dpid)
            if known is None or weight < known["weight"]:
                self.graph.add_edge(a.dpid, b.dpid, weight=weight, port=a.port)

    def distances(self, target):
        if target not in self.graph:
            return {target: 0.0}
        return nx.single_source_dijkstra_path_length(self.graph.reverse(), target)

    def port(self, source, target):
        if source == target or source not in self.graph:
            return None
        to = self.distances(target)
        best = min(((d["weight"] + to[hop], hop, d["port"]) for hop, d in self.graph[source].items() if hop in to),
                   default=None)  # fmt: skip
        return None if best is None else best[2]


def network(chance, size):
    """Links of a random network, some of them parallel."""
    links, port = [], 10
    for n in range(2, size + 1):
        for peer in [chance.randrange(1, n) for _ in range(chance.choice([1, 2, 2, 3]))]:
            links.append(Link(PortRef(n, port), PortRef(peer, port + 1), chance.choice(WEIGHTS)))
            port += 2
    return tuple(links)


def change(chance, graph, links):
    """One link goes, comes back or gets another weight, or a whole switch's links do, one by one."""
    one = chance.choice(links)
    kind = chance.randrange(5)
    if kind == 0:
        graph.weigh(one.a, one.b, chance.choice([None, *WEIGHTS]))
        return
    concerned = [one] if kind < 4 else [n for n in links if one.a.dpid in (n.a.dpid, n.b.dpid)]
    for link in concerned:
        for a, b in ((link.a, link.b), (link.b, link.a))[: chance.choice([1, 2, 2])]:
            (graph.add if chance.random() < 0.5 else graph.remove)(a, b)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 12), st.integers(1, 12))
@example(112, 7, 11)  # an edge gets cheaper while what it leads to is lost
def test_ways_equal_those_from_scratch_after_every_change(seed, size, changes):
    chance = random.Random(seed)
    links = network(chance, size)
    graph = Graph(Site((), (), (), links, discover=False))
    everyone = range(1, size + 1)
    asked = [n for n in everyone if chance.random() < 0.8]  # the others are asked for late
    before = {t: {s: graph.next_hop(s, t) for s in everyone} for t in asked}
    for _ in range(changes):
        change(chance, graph, links)
        if chance.random() < 0.4:
            continue  # several changes at once
        scratch = FromScratch(graph.links())
        for target in chance.sample(everyone, 3 if size > 3 else size):
            graph.paths.advance(target)  # an update that has begun hurts nobody, whatever comes next
        if chance.random() < 0.4:
            continue
        for target in asked if chance.random() < 0.7 else everyone:
            known, some = scratch.distances(target), chance.sample(everyone, min(size, 3))
            assert [graph.distance(s, target) for s in some] == [known.get(s, inf) for s in some]
            assert graph.distances_to(target) == known
            now = {source: graph.next_hop(source, target) for source in everyone}
            assert now == {source: scratch.port(source, target) for source in everyone}
            if target in before:
                moved = graph.paths.take_moved(target)
                assert {s for s in everyone if now[s] != before[target][s]} <= moved
                before[target] = now


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 10), st.integers(1, 10))
def test_loaded_ways_equal_those_from_scratch_after_every_change(seed, size, changes):
    chance = random.Random(seed)
    links = network(chance, size)
    graph = Graph(Site((), (), (), links, discover=False))
    loaded, factors = LoadedPaths(graph), {}
    for _ in range(changes):
        if chance.random() < 0.5:
            change(chance, graph, links)
        else:
            port = chance.choice([end for link in links for end in (link.a, link.b)])
            factors[port] = chance.choice([1.0, 3.0, 10.0, 70.0])
            loaded.weigh(port, factors[port])
        if chance.random() < 0.4:
            continue
        scratch = FromScratch(graph.links(), factors)
        for target in range(1, size + 1):
            known = scratch.distances(target)
            assert all(loaded.distance(s, target) == known.get(s, inf) for s in range(1, size + 1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 10))
def test_a_copy_stays_as_it_was(seed, size):
    chance = random.Random(seed)
    links = network(chance, size)
    graph = Graph(Site((), (), (), links, discover=False))
    graph.next_hop(1, size)
    for _ in range(2):
        for target in chance.sample(range(1, size + 1), size // 2):
            graph.next_hop(1, target)
        change(chance, graph, links)  # what is known of those is not up to date when the copy is made
    before, scratch = graph.copy(), FromScratch(graph.links())
    for _ in range(5):
        change(chance, graph, links)
        graph.next_hop(1, chance.choice([size, chance.randint(1, size)]))
    for target in range(1, size + 1):
        assert before.distances_to(target) == scratch.distances(target)
        assert all(before.next_hop(s, target) == scratch.port(s, target) for s in range(1, size + 1))


def test_a_lost_link_settles_only_those_whose_way_led_over_it():
    paths = ShortestPaths()
    for n in range(1, 200):  # a ring
        for a, b in ((n, n % 199 + 1), (n % 199 + 1, n)):
            paths.set_edge(a, b, 1.0, 1)
    paths.distances_to(1)
    paths.distances_to(150)
    before = paths.work
    paths.remove_edge(52, 51)
    paths.remove_edge(51, 52)
    assert paths.take_moved(150) == {51} and paths.work - before < 10  # one at the watershed, none behind it
    before = paths.work
    assert paths.take_moved(1) == set(range(52, 101)) and paths.work - before < 170
    assert paths.take_measured(1) == set(range(52, 101))


def test_a_large_update_comes_in_portions_and_whoever_asks_meanwhile_gets_all_of_it():
    size = 10 * PORTION
    paths, fresh = ShortestPaths(), ShortestPaths()
    for made in (paths, fresh):
        for n in range(1, size):
            made.set_edge(n + 1, n, 1.0, 1)
            if n > 1:
                made.set_edge(n + 1, n - 1, 2.5, 2)
    portions = [paths.work]
    while not paths.advance(1):  # the first computation too
        portions.append(paths.work)
    assert len(portions) > 10 and paths.distances_to(1) == fresh.distances_to(1)
    portions.append(paths.work)

    def lose(a, b):
        for made in (paths, fresh):
            made.remove_edge(a, b)

    lose(3, 2)
    while not paths.advance(1):
        portions.append(paths.work)
    assert len(portions) > 30 and max(b - a for a, b in itertools.pairwise(portions)) <= 2 * PORTION
    assert paths.distances_to(1) == fresh.distances_to(1)
    lose(5, 4)
    assert not paths.advance(1)
    assert paths.distance(size, 1) == fresh.copy().distance(size, 1) and paths.advance(1)
    lose(7, 6)
    assert not paths.advance(1)
    lose(9, 8)  # while an update is under way
    scratch = fresh.copy()
    scratch._trees.clear()
    assert paths.distances_to(1) == scratch.distances_to(1)
    assert all(paths.next_switch(n, 1) == scratch.next_switch(n, 1) for n in range(1, size + 1))
