"""Where things are drawn: accesses left, gateways right, nothing upon anything else, the same each time."""

import random

from hypothesis import given
from hypothesis import strategies as st

from steering.core.snapshots.arrangement import MOST_STAND_INS, Shape, arrange, natural, shape_of
from steering.core.snapshots.drawing import drawing
from tests.support.sites import Driver


def lab() -> Shape:
    driver = Driver()
    return shape_of(drawing(driver.engine, driver.now))


def big(switches: int, seed: int = 7) -> Shape:
    """A tree of switches with some links across, an access at each leaf, two gateways and MCPs at the root."""
    chance = random.Random(seed)
    names = tuple(f"s{number}" for number in range(switches))
    links = [(f"l{n}", f"s{(n - 1) // 3}", f"s{n}") for n in range(1, switches)]
    for n in range(switches // 4):
        a, b = chance.sample(names, 2)
        links.append((f"x{n}", a, b))
    hanging = [(f"access a{n}", "access", (f"s{n}",)) for n in range(switches * 2 // 3, switches)]
    hanging += [("gateway g0", "gateway", ("s0",)), ("gateway g1", "gateway", ("s1",))]
    hanging += [("mcp m0", "mcp", ("s0",)), ("mcp m1", "mcp", ("s2",)), ("mcp m2", "mcp", ("s2",))]
    return Shape(names, tuple(hanging), tuple(links))


def test_accesses_are_left_servers_right_and_mcps_where_they_hang() -> None:
    places = arrange(lab()).nodes
    assert [places[name][0] for name in ("access lte", "access wlan", "gateway internet")] == [0, 0, 1]
    between = [places[f"switch s{number}"][0] for number in range(1, 6)]
    assert all(0 < x < 1 for x in between)
    assert places["switch s1"][0] < places["switch s3"][0] < places["switch s4"][0]
    for mcp, switch in (("mcp core", "switch s3"), ("mcp edge", "switch s5")):
        assert places[mcp][0] == places[switch][0] and places[mcp][1] > places[switch][1]


def test_a_long_link_passes_a_place_of_its_own_in_each_column() -> None:
    drawn = arrange(lab())
    (bend,) = [points for name, points in drawn.bends.items() if name == "s2:2-s4:3"]
    assert bend and not set(bend) & set(drawn.nodes.values())


def test_nothing_lies_upon_anything_else() -> None:
    for shape in (lab(), big(40), big(200)):
        drawn = arrange(shape)
        points = [*drawn.nodes.values(), *(point for points in drawn.bends.values() for point in points)]
        assert len(set(points)) == len(points)
        assert all(0 <= value <= 1 for point in points for value in point)


def test_the_order_of_arrival_moves_nothing() -> None:
    shape = big(60)
    for seed in range(3):
        chance = random.Random(seed)
        switches = tuple(chance.sample(shape.switches, len(shape.switches)))
        hanging = tuple(chance.sample(shape.hanging, len(shape.hanging)))
        mixed = Shape(switches, hanging, shape.links)
        assert arrange(mixed) == arrange(shape)


def test_long_links_of_a_large_network_are_straight() -> None:
    chain = [(f"l{n}", f"s{n}", f"s{n + 1}") for n in range(11)]
    across = [(f"x{n}", "s0", "s11") for n in range(MOST_STAND_INS // 10 + 1)]
    hanging = (("access a", "access", ("s0",)), ("gateway g", "gateway", ("s11",)))
    names = tuple(f"s{n}" for n in range(12))
    few = arrange(Shape(names, hanging, tuple(chain + across[:5])))
    assert "x0" in few.bends
    assert arrange(Shape(names, hanging, tuple(chain + across))).bends == {}


@given(st.integers(0, 12), st.data())
def test_any_network_has_a_place_for_everything(count: int, data: st.DataObject) -> None:
    names = tuple(f"s{n}" for n in range(count))
    some = st.sampled_from(names) if names else st.nothing()
    pairs = data.draw(st.lists(st.tuples(some, some), max_size=20)) if names else []
    ports = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(["access", "gateway", "mcp"]),
                st.lists(some, max_size=2) if names else st.just([]),
            ),
            max_size=6,
        )
    )
    hanging = tuple((f"{kind} {n}", kind, tuple(at)) for n, (kind, at) in enumerate(ports))
    drawn = arrange(Shape(names, hanging, tuple((f"l{n}", a, b) for n, (a, b) in enumerate(pairs))))
    assert len(drawn.nodes) == count + len(hanging)


def test_names_sort_by_their_numbers() -> None:
    assert sorted(["s10", "s2", "a", "s1"], key=natural) == ["a", "s1", "s2", "s10"]
