"""Links that discovery found are believed after a restart: for a while, and where their ports are up."""

from dataclasses import replace

import pytest

from steering.core import inputs
from steering.core.outputs import FillSwitch
from steering.model.ids import DatapathId
from steering.model.kept import KeptNetwork, KeptState, LostPiece
from steering.model.network import PortRef
from steering.model.rules import Table
from tests.support.next_controller import Next, kept
from tests.support.sites import Driver, link, off_path_site


def found_by_discovery() -> Driver:
    driver = Driver(
        replace(
            off_path_site(), links=(), discover=True, switches={f"s{n}": DatapathId(n) for n in range(1, 6)}
        )
    )
    for one in off_path_site().links:
        driver.give(inputs.LinkUp(one.a, one.b))
        driver.give(inputs.LinkUp(one.b, one.a))
    driver.give(inputs.Tick())
    return driver


def with_a_core() -> Driver:
    """The same, and s6, where nothing is attached: a shorter way from s1 to the servers."""
    names = {f"s{n}": DatapathId(n) for n in range(1, 7)}
    links = (*off_path_site().links, link("1:8", "6:1", 0.1), link("6:2", "4:9", 0.1))
    driver = Driver(replace(off_path_site(), links=(), discover=True, switches=names))
    driver.up(6)
    for one in links:
        driver.give(inputs.LinkUp(one.a, one.b))
        driver.give(inputs.LinkUp(one.b, one.a))
    driver.give(inputs.Tick())
    return driver


@pytest.mark.row("D-6.7.1")
def test_links_of_a_switch_where_nothing_is_attached_are_believed_too() -> None:
    before = with_a_core()
    after = Next(before, kept(before))
    assert after.driver.counters.not_restored[LostPiece.LINK] == 0
    assert {(one.a, one.b) for one in after.driver.engine.graph.links()} == {
        (one.a, one.b) for one in before.engine.graph.links()
    }
    after.up(1, 6)
    for dpid in (1, 6):
        assert labels(after.driver.fills[dpid]) == labels(before.up(dpid)) > 0


def labels(fill: FillSwitch) -> int:
    return sum(rule.table is Table.LABEL for rule in fill.forwarding)


def test_found_links_are_believed_at_first_and_only_for_a_while_without_being_seen() -> None:
    before = found_by_discovery()
    told = kept(before)
    blank, after = Next(before, KeptState()), Next(before, told)
    for one in (blank, after):
        one.up(1, 3)
    assert labels(blank.driver.fills[1]) < labels(after.driver.fills[1]) == labels(before.up(1))
    seen = off_path_site().links[0]
    after.driver.give(inputs.LinkUp(seen.a, seen.b))
    after.driver.later(9)
    assert len(after.driver.engine.graph.links()) == len(told.network.links)
    after.driver.later(2)
    up = {(link.a, link.b) for link in after.driver.engine.graph.links()}
    assert (seen.a, seen.b) in up and (seen.b, seen.a) not in up


def test_a_kept_link_whose_port_is_down_is_not_believed() -> None:
    before = found_by_discovery()
    after = Next(before, kept(before))
    after.driver.give(inputs.SwitchUp(1, {1: True, 2: False}))
    assert not after.driver.engine.graph.links_at(PortRef(1, 2))


def test_links_to_what_is_no_switch_or_an_attachment_are_refused() -> None:
    before = found_by_discovery()
    bad = ((PortRef(1, 2), PortRef(77, 1)), (PortRef(1, 1), PortRef(3, 2)))
    after = Next(before, KeptState(KeptNetwork(bad, ())))
    assert after.driver.engine.graph.links() == []
    assert after.driver.counters.not_restored == {LostPiece.LINK: 2}
