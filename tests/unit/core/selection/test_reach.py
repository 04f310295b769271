"""MCPs that only some access networks reach, as in a small cell, and of those on the path the nearest."""

from dataclasses import replace

import pytest

from steering.core.outputs import Release
from steering.model.network import PortRef
from steering.model.policy import Expectation, Policy, PolicyRule, RuleConditions, Terms
from steering.model.session import Refusal
from tests.support.sites import (
    SERVER,
    UE_LTE,
    UE_WLAN,
    Driver,
    capable,
    join,
    link,
    mcp,
    off_path_site,
    steered,
)

CELL = replace(
    mcp("cell", PortRef(1, 9), "10.8.3.2"), access_networks=frozenset({"lte"}), location="small-cell"
)
CORE = mcp("core", PortRef(3, 1), "10.8.0.2")
BULK = Policy(rules=(PolicyRule("bulk", RuleConditions(), Terms(expectation=Expectation.BULK)),))


def driver(policy: Policy | None = None) -> Driver:
    """LTE s1 (cell) - s3 (core) - s4; the WLAN's s2 at s3 too: both MCPs are on LTE's path."""
    links = (link("1:2", "3:2"), link("3:3", "4:2"), link("2:2", "3:4"))
    return Driver(off_path_site(mcps=(CELL, CORE), links=links), policy)


def chosen(lab: Driver, dpid: int, src: str, sport: int) -> str:
    lab.syn(dpid, 1, capable(src, sport))
    return next(lab.site.mcps[n].name for s in lab.table for n in (0, 1)
                if s.first[-4:-2] == sport.to_bytes(2, "big") and lab.site.mcps[n].id == s.mcp)  # fmt: skip


@pytest.mark.row("D-6.5p1")
def test_of_two_on_the_path_bulk_takes_the_nearest() -> None:
    lab = driver(BULK)
    assert {chosen(lab, 1, UE_LTE, sport) for sport in range(1, 20)} == {"cell"}
    # Without the expectation the two score the same, and the flow's hash decides between them.
    assert {chosen(driver(), 1, UE_LTE, sport) for sport in range(1, 20)} == {"cell", "core"}


@pytest.mark.row("D-6.5p3", "D-6.5p4")
def test_a_session_at_a_small_cell_gets_no_subflow_from_outside_it() -> None:
    lab = driver(BULK)
    assert chosen(lab, 2, UE_WLAN, 40000) == "core"  # out of reach from there, so no candidate
    session = lab.session()
    assert session.mcp == CELL.id
    outputs = lab.syn(2, 1, join(UE_WLAN, 40001, session.token.to_bytes(4, "big")))
    assert lab.counters.refusals[Refusal.OUT_OF_REACH] == 1
    assert not [o for o in outputs if isinstance(o, Release)]
    near = steered(lab.syn(1, 1, join("10.1.0.77", 40002, session.token.to_bytes(4, "big"))))
    assert near.release is not None and near.release.waypoint == lab.engine.map.inside[CELL.id].id


def test_whoever_is_on_no_access_network_does_not_reach_it_either() -> None:
    lab = driver(replace(BULK, third_party_pooling=True))
    session = lab.session()
    lab.syn(4, 1, join("10.9.0.77", 40001, session.token.to_bytes(4, "big"), dst=SERVER))
    assert lab.counters.refusals[Refusal.OUT_OF_REACH] == 1
