"""Rules of reservations follow single changes, and are those that a switch would be filled with."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steering.core.inputs import LinkWeighed, PortStatus, ReleaseReservation, Reserve
from steering.core.outputs import FillSwitch
from steering.core.reservations.rules import Builder
from steering.model.network import PortRef
from steering.model.reservation import Level, ReservationRequest
from steering.model.rules import EPOCH_MASK, Rule, Table
from tests.support.sites import UE_LTE, answer, capable, link, mcp, off_path_site
from tests.support.switched import Lab

# Two ways from the accesses' switch to the MCP's and the gateway's: by 2, natural, and by 5.
LINKS = (link("1:2", "2:2"), link("2:3", "3:2"), link("1:3", "5:2"), link("5:3", "3:3"), link("3:4", "4:2"))


def two_ways(sessions: int) -> Lab:
    only = mcp("core", PortRef(3, 1), "10.8.0.2", "fd00:8::2")
    lte = off_path_site().access_networks[:1]
    lab = Lab(site=off_path_site(access_networks=lte, mcps=(only,), links=LINKS))
    for dpid in range(1, 6):
        lab.engine.reserving.told_speeds(dpid, dict.fromkeys(range(1, 5), 10_000))
    for sport in range(40_000, 40_000 + sessions):
        opening = capable(UE_LTE, sport)
        lab.steer(lab.syn(1, 1, opening))
        lab.steer(lab.syn_ack(3, 1, answer(opening, sport.to_bytes(8, "big"))))
    return lab


def reserve(lab: Lab, number: int) -> None:
    session = list(lab.table)[number]
    lab.do(Reserve(f"r{number}", ReservationRequest(Level.SESSION, rate=200_000, session=session.id)))


def plain(rules) -> set[Rule]:
    """Rules of LABEL without the number of the switch's filling."""
    return {replace(r, cookie=r.cookie & ~EPOCH_MASK) for r in rules if r.table == Table.LABEL}


def change(lab: Lab, chance: random.Random, down: set[PortRef]) -> None:
    kind, number = chance.randrange(4), chance.randrange(len(lab.table))
    if kind == 0:
        reserve(lab, number)
    elif kind == 1:
        lab.do(ReleaseReservation(f"r{number}"))
    elif kind == 2:
        port = chance.choice([PortRef(1, 2), PortRef(1, 3)])
        (down.discard if port in down else down.add)(port)
        lab.do(PortStatus(port.dpid, port.port, port not in down))
    else:
        dpid = chance.choice([1, 3, 5])
        fill = lab.up(dpid)
        lab.network.switches.pop(dpid)
        lab.network.apply(fill)
        for port in [one for one in down if one.dpid == dpid]:
            lab.do(PortStatus(port.dpid, port.port, False))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_after_any_changes_switches_hold_what_they_would_be_filled_with(seed, changes):
    chance, lab = random.Random(seed), two_ways(4)
    down: set[PortRef] = set()
    for _ in range(changes):
        change(lab, chance, down)
    for _ in range(8):
        lab.network.apply(lab.later(3.0))
    held = {dpid: plain(switch.rules()) for dpid, switch in lab.network.switches.items()}
    for dpid in held:
        filled = lab.engine.parts.filling(dpid)
        labels, _ = lab.engine.reconcile.held(dpid)
        assert held[dpid] == plain((*labels, *filled.forwarding))


def test_one_reservation_more_makes_no_rule_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = two_ways(6)
    made: list[str] = []
    shared: list[PortRef] = []
    of, rest = Builder.of, Builder.rest

    def noted_of(builder, one, prefixes):
        made.append(one.id)
        return of(builder, one, prefixes)

    def noted_rest(builder, port, rate, labels):
        shared.append(port)
        return rest(builder, port, rate, labels)

    for number in range(5):
        reserve(lab, number)
    monkeypatch.setattr(Builder, "of", noted_of)
    monkeypatch.setattr(Builder, "rest", noted_rest)
    reserve(lab, 5)
    one = lab.engine.reserving.by_id["r5"]
    ports = {a for hops in one.routes for a, _ in hops}
    assert made == ["r5"] and ports and sorted(shared) == sorted(ports)
    made.clear()
    lab.do(ReleaseReservation("r3"))
    assert made == []
    lab.network.apply(lab.later(1.0))
    assert made == [], "nothing happened"
    fill = lab.up(1)
    assert isinstance(fill, FillSwitch) and sorted(made) == ["r0", "r1", "r2", "r4", "r5"]
    shared.clear()
    lab.do(LinkWeighed(PortRef(1, 2), PortRef(2, 2), 1.5))
    lab.network.apply(lab.later(1.0))
    assert sorted(made) == ["r0", "r1", "r2", "r4", "r5"] and {port.dpid for port in shared} <= {1, 2, 3, 4}
