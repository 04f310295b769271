"""Old ways that lead elsewhere now, and no others: a packet that takes one never meets a new one."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from steering.core.network.graph import Graph, SwitchPaths
from steering.core.network.old_ways import old_ways
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import Link, PortRef, Site


def ring_with_chords(chance: random.Random, size: int) -> tuple[Link, ...]:
    pairs = [(n, n % size + 1) for n in range(1, size + 1)]
    for _ in range(size // 3):
        a, b = chance.sample(range(1, size + 1), 2)
        pairs.append((a, b))
    return tuple(
        Link(PortRef(a, 10 + 2 * n), PortRef(b, 11 + 2 * n), chance.choice([1.0, 1.0, 2.0]))
        for n, (a, b) in enumerate(pairs)
    )


def way(
    ways: SwitchPaths, source: DatapathId, target: DatapathId
) -> list[tuple[DatapathId, PortNumber | None]]:
    return [(switch, ways.next_hop(switch, target)) for switch in ways.path(source, target)]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.integers(4, 14))
def test_the_ways_that_changed_are_closed_under_where_packets_come_from(seed, size):
    chance = random.Random(seed)
    links = ring_with_chords(chance, size)
    graph = Graph(Site((), (), (), links, discover=False))
    for target in chance.sample(range(1, size + 1), size // 2):
        graph.distances_to(target)  # the others are asked for late
    before = graph.copy()
    link = chance.choice(links)
    graph.weigh(link.a, link.b, chance.choice([0.1, 5.0]))
    for target in map(DatapathId, range(1, size + 1)):
        everyone = [d for d in map(DatapathId, range(1, size + 1)) if d != target]
        old = {d: before.path(d, target) for d in everyone}
        changed = {d for d in everyone if way(before, d, target) != way(graph, d, target)}
        found = old_ways(before, graph, target)
        if found is None:
            assert not changed
            continue
        assert set(found.left) == changed
        on_the_way = {switch for d in changed for switch in old[d]}
        assert set(found.ports) == on_the_way and found.ports[target] is None
        assert all(found.ports[d] == before.next_hop(d, target) for d in on_the_way)


def test_a_weight_that_concerns_few_ways_leaves_the_others_alone():
    size = 40
    links = tuple(Link(PortRef(n, 1), PortRef(n % size + 1, 2)) for n in range(1, size + 1))
    graph = Graph(Site((), (), (), links, discover=False))
    before = graph.copy()
    graph.weigh(links[0].a, links[0].b, 1.5)
    concerned = [old_ways(before, graph, DatapathId(target)) for target in range(1, size + 1)]
    # Of a ring only those that are half of it away go round the other way now, over one link or the other.
    assert sum(len(one.left) for one in concerned if one is not None) <= size
