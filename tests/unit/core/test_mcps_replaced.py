"""MCPs that come and go while sessions live: where packets go afterwards (D-6.7.7, S-17b)."""

from dataclasses import replace

import pytest

from steering.core.inputs import EntriesRead, McpAdmin, McpsReplaced, PortStatus, Reserve, SwitchUp, Tick
from steering.core.outputs import FillSwitch, SendFrame, Steer, SyncRules
from steering.core.packet_inputs import NeighbourSeen
from steering.core.sessions.abort import WAIT
from steering.core.sessions.records import Session
from steering.core.snapshots.kept import sessions
from steering.model.network import Interception, Mcp, PortRef
from steering.model.policy import Insertion, Policy, PolicyRule, RuleConditions, Subscriber, Terms, Weights
from steering.model.reservation import Level, ReservationRequest
from steering.model.rules import VIRTUAL_MAC, Meter
from steering.model.session import Refusal
from tests.support.fakes.packet import ACK, SYN_ACK, tcp
from tests.support.sites import (
    SERVER,
    UE_LTE,
    UE_WLAN,
    Driver,
    answer,
    capable,
    join,
    mcp,
    nets,
    off_path_site,
    packed,
    refused,
)
from tests.support.switched import MCP_MAC, SERVER_MAC, UE_MAC, WLAN_MAC, Lab, to_gateway

NEW = mcp("fresh", PortRef(4, 9), "10.8.2.2", "fd00:28::2")
BY_LOAD = Policy(hysteresis=0.0, weights=Weights(location=0.0, type=0.0, load=1.0))
NEW_MAC = "02:00:00:08:04:09"


def replaced(lab: Lab, *mcps: Mcp) -> list:
    """Give the engine other MCPs and the switches what comes of it."""
    outputs = lab.give(McpsReplaced(mcps))
    for output in outputs:
        lab.network.apply(output)
    lab.site = lab.engine.site
    return outputs


def answers(lab: Lab, one: Mcp = NEW) -> None:
    for place in {one.inside, one.outside}:
        mac = bytes([2, 0, 0, 8, place.dpid, place.port])
        lab.do(NeighbourSeen(place.dpid, place.port, one.addresses[0].packed, mac))


@pytest.fixture
def lab() -> Lab:
    return Lab(off_path_site(mcps=off_path_site().mcps[:1]), BY_LOAD)


def opened(lab: Lab, sport: int, place: tuple[int, int], key: bytes) -> Session:
    """A session over LTE with a SYN/ACK of the MCP at `place`."""
    lab.steer(lab.syn(1, 1, capable(UE_LTE, sport)))
    back = capable(SERVER, 5201, dst=UE_LTE, dport=sport, flags=SYN_ACK, key=key, ack=1001)
    lab.steer(lab.syn_ack(*place, back))
    return list(lab.table)[-1]


def goes(lab: Lab, sport: int, src: str = UE_LTE, mac: str = UE_MAC, dpid: int = 1) -> tuple[int, int, str]:
    ((at, port, packet),) = lab.send(dpid, 1, to_gateway(src, sport, mac=mac)).deliveries
    return at, port, packet.eth_dst


@pytest.mark.row("D-6.7.7", "S-17b", "D-6.2c")
def test_the_next_session_lands_on_the_one_that_came_and_the_one_that_lives_stays(lab):
    old = opened(lab, 40000, (3, 1), b"old-key1")
    pins = old.entries(3)
    before = {w: a.waypoint for w, a in lab.engine.map.by_waypoint.items()}
    outputs = replaced(lab, *lab.site.mcps, NEW)
    assert not [o for o in outputs if isinstance(o, Steer)] and old.entries(3) == pins
    assert before.items() <= {w: a.waypoint for w, a in lab.engine.map.by_waypoint.items()}.items()
    # It is asked for at the next tick; before it answers nobody is led there.
    assert [o for o in lab.give(Tick()) if isinstance(o, SendFrame) and (o.dpid, o.port) == (4, 9)]
    assert opened(lab, 40001, (3, 1), b"old-key2").mcp == old.mcp
    answers(lab)
    new = opened(lab, 40002, (4, 9), b"new-key1")
    assert (new.mcp, goes(lab, 40002)) == (NEW.id, (4, 9, NEW_MAC))
    assert goes(lab, 40000) == (3, 1, MCP_MAC)
    # Joins of either follow their session, and both ways are open.
    for session, sport, place in ((old, 50000, (3, 1, MCP_MAC)), (new, 50001, (4, 9, NEW_MAC))):
        lab.steer(lab.syn(2, 1, join(UE_WLAN, sport, session.token.to_bytes(4, "big"))))
        assert goes(lab, sport, UE_WLAN, WLAN_MAC, 2) == place
    back = to_gateway(SERVER, 5201, dst=UE_LTE, mac=SERVER_MAC, dport=40002)
    ((at, port, _),) = lab.send(4, 1, back).deliveries
    assert (at, port) == (4, 9)
    down = tcp(SERVER, 5201, UE_LTE, 40002, ACK, eth_src=NEW_MAC, eth_dst=VIRTUAL_MAC)
    ((at, port, _),) = lab.send(4, 9, down).deliveries
    assert (at, port) == (1, 1)


def test_the_port_of_one_that_came_is_guarded_and_metered(lab):
    outputs = replaced(lab, *lab.site.mcps, NEW)
    synced = {(o.dpid, band.meter) for o in outputs if isinstance(o, SyncRules) for band in o.meters}
    own = (Meter.NEIGHBOUR_BASE, Meter.HOST_MISS_BASE, Meter.TTL_EXPIRED_BASE)
    assert synced == {(4, base + 9) for base in own}
    answers(lab)
    # From its port it may speak as itself, not as the other MCP.
    ours = tcp("10.8.2.2", 1, SERVER, 5201, ACK, eth_src=NEW_MAC, eth_dst=VIRTUAL_MAC)
    forged = tcp("10.8.0.2", 1, SERVER, 5201, ACK, eth_src=NEW_MAC, eth_dst=VIRTUAL_MAC)
    assert [(d.dpid, d.port) for d in lab.send(4, 9, ours).deliveries] == [(4, 1)]
    assert lab.send(4, 9, forged).deliveries == []


@pytest.mark.row("D-6.7.7", "D-6.7.1")
def test_one_that_goes_is_aimed_at_no_more_and_its_sessions_end_as_a_dead_ones():
    lab = Lab(off_path_site(mcps=(*off_path_site().mcps[:1], NEW)))
    core = lab.site.mcps[0]
    lab.engine.chooser.health[NEW.id].draining = True
    lab.engine.chooser.refresh(lab.now)
    kept = opened(lab, 40000, (3, 1), b"old-key1")
    lab.engine.chooser.health[core.id].draining, lab.engine.chooser.health[NEW.id].draining = True, False
    answers(lab)
    lab.engine.chooser.refresh(lab.now)
    gone = opened(lab, 40001, (4, 9), b"new-key1")
    assert (kept.mcp, gone.mcp) == (core.id, NEW.id)
    lab.engine.chooser.health[core.id].draining = False
    replaced(lab, core)
    assert refused(lab.syn(2, 1, join(UE_WLAN, 50001, gone.token.to_bytes(4, "big")))) == (3, False)
    for seconds in (0.1, WAIT, 0.1):  # its ends do not answer
        lab.network.apply(lab.later(seconds))
    assert list(lab.table) == [kept] and goes(lab, 40000) == (3, 1, MCP_MAC)
    assert refused(lab.syn(2, 1, join(UE_WLAN, 50002, gone.token.to_bytes(4, "big")))) == (3, False)
    assert lab.counters.refusals[Refusal.MCP_UNREACHABLE] == 2
    # What was at its switch for it is gone: its address leads nowhere.
    to_it = tcp(UE_LTE, 1, "10.8.2.2", 80, ACK, eth_src=UE_MAC, eth_dst=VIRTUAL_MAC)
    assert lab.send(1, 1, to_it).deliveries == []
    assert opened(lab, 40003, (3, 1), b"old-key3").mcp == core.id


def test_a_switch_that_had_none_becomes_an_edge_and_is_one_no_more():
    """s5 carries nothing at first; hosts behind a second port of their network have routes of their own there too."""
    lab = Lab(off_path_site(mcps=off_path_site().mcps[:1]))
    edge = off_path_site().mcps[1]
    assert 5 not in lab.engine.map.switches
    replaced(lab, *lab.site.mcps, edge)
    lab.do(NeighbourSeen(5, 1, edge.addresses[0].packed, bytes([2, 0, 0, 8, 5, 1])))
    lab.engine.chooser.health[lab.site.mcps[0].id].draining = True
    lab.engine.chooser.refresh(lab.now)
    assert 5 in lab.engine.map.switches and 5 not in lab.engine.sessions.readiness.offline
    session = opened(lab, 40000, (5, 1), b"edge-key")
    assert session.mcp == edge.id and goes(lab, 40000)[:2] == (5, 1)
    up = to_gateway(UE_LTE, 40000, mac="02:00:00:08:05:01")
    ((at, port, _),) = lab.send(5, 1, up).deliveries
    assert (at, port) == (4, 1)
    replaced(lab, lab.site.mcps[0])
    assert 5 not in lab.engine.map.switches
    assert lab.send(5, 1, up).deliveries == []


def test_one_at_a_switch_that_is_away_takes_no_entries_before_it_is_there():
    driver = Driver(off_path_site(mcps=off_path_site().mcps[:1]))
    far = mcp("far", PortRef(9, 1), "10.8.9.2")
    driver.give(McpsReplaced((*driver.site.mcps, far), {"s9": 9}))
    assert driver.engine.site.switch_name(9) == "s9" and 9 in driver.engine.sessions.readiness.offline
    driver.give(SwitchUp(9, {1: True}))
    (fill,) = driver.give(EntriesRead(9, [], []))
    assert isinstance(fill, FillSwitch) and 9 not in driver.engine.sessions.readiness.offline


def test_a_port_that_is_down_is_known_to_be_down():
    driver = Driver(off_path_site(mcps=off_path_site().mcps[:1]))
    driver.give(PortStatus(4, 9, False))
    driver.give(McpsReplaced((*driver.site.mcps, NEW)))
    assert driver.engine.chooser.health[NEW.id].gone
    driver.give(PortStatus(4, 9, True))
    assert not driver.engine.chooser.health[NEW.id].gone


@pytest.mark.row("S-18", "D-6.7.7")
def test_nobody_is_led_ahead_to_one_that_went_and_the_next_plan_may_take_one_that_came():
    proactive = Policy(rules=(PolicyRule("all", RuleConditions(), Terms(insertion=Insertion.PROACTIVE)),))
    lab = Lab(off_path_site(), proactive)
    core, edge = lab.site.mcps
    lab.later(0.1)
    (unit,) = lab.engine.sessions.proactive.units.values()
    assert unit.mcp == core.id
    replaced(lab, edge)
    assert not lab.engine.sessions.proactive.units
    for _ in range(30):
        lab.later(0.1)
    # Too far to be led to (max_stretch): SYNs are looked at.
    assert not [u for u in lab.engine.sessions.proactive.units.values() if u.mcp == core.id]
    replaced(lab, edge, NEW)
    answers(lab)
    for _ in range(30):
        lab.later(0.1)
        answers(lab)
    assert [u.mcp for u in lab.engine.sessions.proactive.units.values()] == [NEW.id]


def test_what_is_reserved_at_one_that_goes_is_lost():
    who = Subscriber("acme", prefixes=nets("10.1.0.0/24"))
    driver = Driver(policy=Policy(subscribers=(who,)))
    edge = driver.site.mcps[1]
    driver.session()
    driver.give(
        Reserve("r1", ReservationRequest(Level.SUBSCRIBER, subscriber="acme", mcp="core", subflows=2))
    )
    assert list(driver.engine.reserving.by_id) == ["r1"]
    driver.give(McpsReplaced((edge,)))
    assert not driver.engine.reserving.by_id


def test_a_changed_capacity_is_felt_and_keeps_health_and_sessions():
    driver = Driver()
    core, edge = driver.site.mcps
    session = driver.session()
    driver.engine.chooser.health[core.id].draining = True
    driver.give(McpsReplaced((replace(core, capacity_sessions=1), edge)))
    assert driver.engine.chooser.health[core.id].draining and list(driver.table) == [session]
    driver.engine.chooser.health[core.id].draining = False
    driver.engine.chooser.refresh(driver.now)
    assert driver.session(sport=2, key=b"2" * 8).mcp == edge.id  # one of one: full


def test_one_that_is_elsewhere_now_is_another_to_its_sessions():
    driver = Driver()
    core, edge = driver.site.mcps
    driver.session()
    driver.give(McpAdmin(core.id, True))
    moved = replace(core, inside=PortRef(4, 7), outside=PortRef(4, 7))
    driver.give(McpsReplaced((moved, edge)))
    assert driver.engine.chooser.health[core.id].draining  # maintenance is over when the operator says so
    driver.later(WAIT)  # its ends do not answer
    assert not list(driver.table) and (4, 7) in driver.engine.map.at and (3, 1) not in driver.engine.map.at


def test_natural_paths_may_lead_through_one_in_line_that_came():
    driver = Driver(off_path_site(mcps=off_path_site().mcps[1:]))
    assert driver.engine.graph.natural(1, 4).through is None
    line = replace(
        mcp("line", PortRef(3, 8), "10.8.3.2"), interception=Interception.SELF, outside=PortRef(3, 9)
    )
    driver.give(McpsReplaced((*driver.site.mcps, line)))
    assert driver.engine.graph.natural(1, 4).through == line


def test_a_host_with_the_address_of_one_that_came_is_forgotten():
    site = off_path_site()
    everything = replace(site.gateways[0], prefixes=nets("0.0.0.0/0"))
    driver = Driver(replace(site, gateways=(everything,), mcps=site.mcps[:1]))
    driver.give(NeighbourSeen(4, 1, packed("10.8.2.2"), b"\x02\0\0\0\0\7"))
    assert driver.engine.neighbours.port_of(packed("10.8.2.2")) == PortRef(4, 1)
    driver.give(McpsReplaced((*driver.site.mcps, NEW)))
    assert driver.engine.neighbours.port_of(packed("10.8.2.2")) is None


@pytest.mark.row("S-18", "D-6.7.7")
def test_what_is_kept_names_no_session_of_one_that_went():
    """Its sessions end some ticks later; what is kept for the next controller must not stumble over them."""
    proactive = Policy(rules=(PolicyRule("all", RuleConditions(), Terms(insertion=Insertion.PROACTIVE)),))
    lab = Lab(off_path_site(), proactive)
    core, edge = lab.site.mcps
    lab.later(0.1)
    opening = capable(UE_LTE, 40000)
    lab.syn_ack(3, 1, answer(opening, b"old-key1"))
    (session,) = lab.table
    assert session.unit is not None and session.mcp == core.id
    replaced(lab, edge)
    assert list(lab.table) == [session]
    assert sessions(lab.engine)[0] == []
