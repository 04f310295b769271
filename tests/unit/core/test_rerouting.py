"""Link weights of an operator: new sessions by the new paths, live ones where they are (D-1.d)."""

import pytest

from steering.core.inputs import Confirmed, LinkWeighed, PortStatus, Reserve, SwitchDown
from steering.core.outputs import SyncRules
from steering.core.rerouting import KEPT, LOOK, NUMBERS, STAGE
from steering.model.network import PortRef
from steering.model.reservation import Level, ReservationRequest
from steering.model.rules import Meter, Table
from tests.support.fakes.packet import ACK, tcp
from tests.support.sites import SERVER, UE_LTE, answer, capable, link, mcp, off_path_site
from tests.support.switched import MCP_MAC, Lab, to_gateway

# Two ways from the accesses' switch to the MCP's and the gateway's: by 2, natural, and by 5.
LINKS = (link("1:2", "2:2"), link("2:3", "3:2"), link("1:3", "5:2"), link("5:3", "3:3"), link("3:4", "4:2"))
NATURAL, OTHER = [1, 2, 3], [1, 5, 3]
A, B = PortRef(1, 2), PortRef(2, 2)


def two_ways() -> Lab:
    only = mcp("core", PortRef(3, 1), "10.8.0.2", "fd00:8::2")
    lte = off_path_site().access_networks[:1]
    return Lab(site=off_path_site(access_networks=lte, mcps=(only,), links=LINKS))


@pytest.fixture
def lab() -> Lab:
    return two_ways()


def weigh(lab: Lab, weight: float | None, a: PortRef = A, b: PortRef = B) -> None:
    lab.do(LinkWeighed(a, b, weight))


def pass_time(lab: Lab, seconds: float = 4 * STAGE, look=lambda: None) -> None:
    """Ticks, with a look after each output of each."""
    until = lab.now + seconds
    while lab.now < until:
        for output in lab.later(STAGE / 2):
            lab.network.apply(output)
            look()
            confirm(lab, output)


def confirm(lab: Lab, output: object) -> None:
    if isinstance(output, SyncRules) and output.confirm:
        lab.give(Confirmed(output.dpid, output.confirm))


def tick(lab: Lab) -> list[SyncRules]:
    """One, and what it has done to switches, not confirmed yet."""
    changes = [output for output in lab.later(0.05) if isinstance(output, SyncRules)]
    lab.network.apply(list(changes))
    return changes


def opened(lab: Lab, sport: int) -> None:
    opening = capable(UE_LTE, sport)
    lab.steer(lab.syn(1, 1, opening))
    lab.steer(lab.syn_ack(3, 1, answer(opening, sport.to_bytes(8, "big"))))


def up(lab: Lab, sport: int) -> list[int]:
    """Switches on the host's way to the MCP."""
    result = lab.send(1, 1, to_gateway(UE_LTE, sport))
    ((dpid, port, _),) = result.deliveries
    assert (dpid, port) == (3, 1), "it is at the MCP whatever its way"
    return [dpid for dpid, _ in result.hops]


def down(lab: Lab, sport: int) -> list[int]:
    packet = tcp(SERVER, 5201, UE_LTE, sport, ACK, eth_src=MCP_MAC, eth_dst=to_gateway(UE_LTE, 1).eth_dst)
    result = lab.send(3, 1, packet)
    ((dpid, port, _),) = result.deliveries
    assert (dpid, port) == (1, 1)
    return [dpid for dpid, _ in result.hops]


@pytest.mark.row("D-1.d")
def test_the_next_session_takes_the_new_path_and_the_live_one_stays_both_ways(lab: Lab) -> None:
    opened(lab, 40_000)
    assert up(lab, 40_000) == NATURAL and down(lab, 40_000) == NATURAL[::-1]
    weigh(lab, 10.0)
    pass_time(lab)
    opened(lab, 40_001)
    assert up(lab, 40_001) == OTHER and down(lab, 40_001) == OTHER[::-1]
    assert up(lab, 40_000) == NATURAL and down(lab, 40_000) == NATURAL[::-1]
    assert lab.engine.old_paths.settled and lab.engine.old_paths.flows == 2


@pytest.mark.row("D-1.d")
def test_at_no_moment_is_a_packet_lost_or_sent_in_circles(lab: Lab) -> None:
    opened(lab, 40_000)
    seen = []

    def look() -> None:
        assert up(lab, 40_000) == NATURAL and down(lab, 40_000) == NATURAL[::-1]
        result = lab.send(1, 1, to_gateway(UE_LTE, 9, dport=80))  # plain TCP, by labels with number 0
        assert [(d.dpid, d.port) for d in result.deliveries] == [(4, 1)]
        seen.append([dpid for dpid, _ in result.hops])

    weigh(lab, 10.0)
    pass_time(lab, look=look)
    assert seen[0] == [*NATURAL, 4] and seen[-1] == [*OTHER, 4]
    assert len({tuple(hops) for hops in seen}) == 2, "the old way or the new, and none of both"


@pytest.mark.row("D-1.d")
def test_a_stage_follows_the_one_before_as_soon_as_all_switches_have_that_and_no_sooner(lab: Lab) -> None:
    opened(lab, 40_000)
    weigh(lab, 10.0)
    stages = 0
    while changes := tick(lab):
        stages += 1
        assert {change.dpid for change in changes} > {1}
        for change in changes[:-1]:
            confirm(lab, change)
        lab.give(Confirmed(changes[-1].dpid, changes[-1].confirm - 1))  # of an earlier change
        assert all(tick(lab) == [] for _ in range(100)), "one switch has not confirmed"
        confirm(lab, changes[-1])
    assert stages == 4 and lab.engine.old_paths.settled
    weigh(lab, 0.1)
    began = lab.now
    while not lab.engine.old_paths.settled:
        for change in tick(lab):
            confirm(lab, change)
    assert lab.now - began < STAGE


def test_a_switch_that_goes_away_holds_up_no_stage(lab: Lab) -> None:
    opened(lab, 40_000)
    weigh(lab, 10.0)
    for change in tick(lab):
        if change.dpid != 2:
            confirm(lab, change)
    assert tick(lab) == []
    lab.do(SwitchDown(2))
    assert tick(lab) != []


def test_after_a_switch_that_was_filled_anew_there_is_time_for_that(lab: Lab) -> None:
    opened(lab, 40_000)
    weigh(lab, 10.0)
    for change in tick(lab):
        if change.dpid != 2:
            confirm(lab, change)
    filled = lab.up(2)
    lab.network.switches.pop(2)
    lab.network.apply(filled)
    began = lab.now
    while not tick(lab):
        pass
    assert STAGE <= lab.now - began < STAGE + 0.2


@pytest.mark.row("D-1.d")
def test_without_it_the_live_session_moves_too() -> None:
    lab = Lab(site=two_ways().site, disabled=frozenset({"old-paths"}))
    opened(lab, 40_000)
    weigh(lab, 10.0)
    pass_time(lab)
    assert up(lab, 40_000) == OTHER


def labels(lab: Lab) -> dict[int, set]:
    return {
        dpid: {rule for rule in switch.rules() if rule.table == Table.LABEL}
        for dpid, switch in lab.network.switches.items()
    }


def test_when_the_live_session_has_ended_nothing_is_left_of_its_path(lab: Lab) -> None:
    opened(lab, 40_000)
    before = labels(lab)
    weigh(lab, 10.0)
    pass_time(lab)
    (session,) = lab.table
    lab.network.apply(lab.engine.sessions.teardown.end_subflow(session.subflows[0], lab.now))
    pass_time(lab, 3 * LOOK)
    assert lab.engine.old_paths.kept == [] and labels(lab) != before
    weigh(lab, None)
    pass_time(lab, 3 * LOOK)
    assert labels(lab) == before


def test_a_kept_path_that_loses_a_link_is_given_up(lab: Lab) -> None:
    opened(lab, 40_000)
    weigh(lab, 10.0)
    pass_time(lab)
    lab.do(PortStatus(2, 3, False))
    pass_time(lab, 2 * LOOK)
    assert up(lab, 40_000) == OTHER and down(lab, 40_000) == OTHER[::-1]
    assert lab.engine.old_paths.flows == 0


def test_a_switch_that_comes_back_has_the_kept_path_again(lab: Lab) -> None:
    opened(lab, 40_000)
    weigh(lab, 10.0)
    pass_time(lab)
    fill = lab.up(2)
    lab.network.switches.pop(2)
    lab.network.apply(fill)
    assert up(lab, 40_000) == NATURAL


def test_changes_that_come_too_soon_wait_and_the_last_for_a_link_counts(lab: Lab) -> None:
    opened(lab, 40_000)
    weigh(lab, 10.0)
    weigh(lab, 0.5)
    weigh(lab, 20.0)
    assert not lab.engine.old_paths.settled
    pass_time(lab, 12 * STAGE)
    assert lab.engine.old_paths.settled
    assert lab.engine.graph.set_weight(A, B) == 20.0
    opened(lab, 40_001)
    assert up(lab, 40_000) == NATURAL and up(lab, 40_001) == OTHER


def test_changes_of_several_links_that_wait_are_made_one_after_another(lab: Lab) -> None:
    opened(lab, 40_000)
    weigh(lab, 10.0)
    weigh(lab, 30.0, PortRef(1, 3), PortRef(5, 2))
    weigh(lab, 0.5, PortRef(3, 4), PortRef(4, 2))
    weigh(lab, 0.7, PortRef(2, 3), PortRef(3, 2))
    pass_time(lab, 30 * STAGE)
    assert lab.engine.old_paths.settled
    assert lab.engine.graph.set_weight(PortRef(1, 3), PortRef(5, 2)) == 30.0
    assert lab.engine.graph.set_weight(PortRef(2, 3), PortRef(3, 2)) == 0.7
    opened(lab, 40_001)
    assert up(lab, 40_001) == NATURAL


def test_sessions_of_several_changes_keep_each_its_own_path_and_numbers_come_back(lab: Lab) -> None:
    weights = (10.0, 0.1)
    for number in range(len(NUMBERS) + 4):
        opened(lab, 41_000 + number)
        weigh(lab, weights[number % 2])
        pass_time(lab, 8 * STAGE)
    newest = 41_000 + len(NUMBERS) + 3
    assert up(lab, newest) == (NATURAL if (len(NUMBERS) + 3) % 2 == 0 else OTHER)
    assert up(lab, newest - 1) != up(lab, newest)
    assert len(lab.engine.old_paths.kept) <= len(NUMBERS)
    assert up(lab, 41_000) in (NATURAL, OTHER)  # its number was given to others: it follows the weights


def test_no_more_flows_are_kept_than_there_may_be(lab: Lab, monkeypatch) -> None:
    monkeypatch.setattr("steering.core.rerouting.KEPT", 4)
    for sport in range(40_000, 40_004):
        opened(lab, sport)
    weigh(lab, 10.0)
    pass_time(lab)
    assert lab.engine.old_paths.flows == 4 < KEPT
    ways = [up(lab, sport) for sport in range(40_000, 40_004)]
    assert sorted(ways) == sorted([NATURAL, NATURAL, OTHER, OTHER])


def test_a_weight_that_changes_no_path_changes_no_rule(lab: Lab) -> None:
    opened(lab, 40_000)
    assert [o for o in lab.give(LinkWeighed(A, B, 1.0)) if isinstance(o, SyncRules)] == []
    assert [o for o in lab.give(LinkWeighed(A, B, 0.9)) if isinstance(o, SyncRules)] == []
    assert tick(lab) == [] and tick(lab) == []
    assert lab.engine.old_paths.kept == []


def test_a_weight_stays_when_its_link_comes_again(lab: Lab) -> None:
    weigh(lab, 10.0)
    pass_time(lab)
    lab.do(PortStatus(2, 2, False))
    lab.do(PortStatus(2, 2, True))
    pass_time(lab)
    opened(lab, 40_000)
    assert up(lab, 40_000) == OTHER
    weigh(lab, None)
    pass_time(lab)
    opened(lab, 40_001)
    assert up(lab, 40_001) == NATURAL


def test_reserved_traffic_keeps_its_path_too(lab: Lab) -> None:
    lab.engine.reconcile.budget = 1  # the old ways are found after the tick that tells of other links
    opened(lab, 40_000)
    lab.engine.reserving.told_speeds(1, {2: 10_000, 3: 10_000, 1: 10_000})
    for dpid in (2, 3, 4, 5):
        lab.engine.reserving.told_speeds(dpid, dict.fromkeys(range(1, 5), 10_000))
    (session,) = lab.table
    lab.do(Reserve("r", ReservationRequest(Level.SESSION, rate=1_000_000, session=session.id)))
    assert lab.engine.reserving.by_id["r"].number < NUMBERS.start
    before = lab.engine.reserving.by_id["r"].routes
    weigh(lab, 10.0)
    pass_time(lab)
    assert lab.engine.reserving.by_id["r"].routes == before and up(lab, 40_000) == NATURAL
    assert lab.engine.old_paths.kept
    for port in {a for hops in before for a, _ in hops}:
        kept = set(lab.engine.old_paths.labels_out_of(port))
        shared = {
            dict(rule.match)["eth_dst"]
            for rule in lab.network.switches[port.dpid].rules()
            if rule.table == Table.LABEL and rule.meter == Meter.LINK_BASE + port.port
        }
        assert kept and kept <= shared, "what is not reserved shares the link's rest, by whatever label"
