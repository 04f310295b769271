"""Entries set ahead: where packets go, what SYN/ACKs tell, and what a change of MCP does to what lives."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steering.core import inputs
from steering.core.packet_inputs import NeighbourSeen
from steering.core.sessions.abort import WAIT
from steering.core.snapshots.view import EngineView
from steering.core.snapshots.whatif import whatif
from steering.model.authorisation import AclEntry, ListAnswer
from steering.model.control import WhatIf
from steering.model.network import NetworkAccessType, Trust
from steering.model.policy import Limits, Policy, PolicyRule, Quotas, RuleConditions, Subscriber, Terms
from steering.model.rules import PacketClass
from steering.model.session import SessionState
from steering.wire.handshake import Kind
from tests.support.fakes.packet import ACK, RST, SYN, SYN_ACK, tcp
from tests.support.proactive_lab import AHEAD, BOTH, EDGE, HOST, Ahead, policy
from tests.support.sites import (
    SERVER,
    TOKEN,
    UE_LTE,
    UE_WLAN,
    answer,
    capable,
    join,
    packed,
    steered,
)
from tests.support.switched import V6, to_gateway


@pytest.fixture
def lab():
    return Ahead()


@pytest.mark.row("S-18")
@pytest.mark.parametrize("src", list(EDGE))
@pytest.mark.parametrize("flags", [SYN, ACK, RST])
def test_every_access_leads_all_tcp_to_one_mcp_and_no_syn_comes_up(lab, src, flags):
    where, copies = lab.to(src, 40000, flags)
    assert where == [(lab.home.inside.dpid, 1)]
    assert PacketClass.SYN not in copies
    back, _ = lab.back(src, 40000)
    assert back == [(lab.home.outside.dpid, 1)]


@pytest.mark.row("S-18", "D-4.d")
def test_what_the_mcp_sends_meets_none_of_it_so_nothing_loops(lab):
    dpid, mac = lab.home.inside.dpid, f"02:00:00:08:{lab.home.inside.dpid:02x}:01"
    for flags in (SYN, ACK):
        onward = lab.send(dpid, 1, to_gateway(UE_LTE, 40000, flags, mac=mac))
        assert [(d.dpid, d.port) for d in onward.deliveries] == [(4, 1)]
    down = tcp(SERVER, 5201, UE_LTE, 40000, SYN_ACK, eth_src=mac, eth_dst="02:53:47:00:00:01")
    result = lab.send(dpid, 1, down)
    assert [(d.dpid, d.port) for d in result.deliveries] == [(1, 1)]
    assert [c.packet_class for c in result.copies] == [PacketClass.SYN_ACK]


@pytest.mark.timeout(240)  # ten seconds of work, a minute where eight others share two cores
@given(
    role=st.sampled_from(["host", "server", "core", "edge"]),
    src=st.sampled_from(list(EDGE)),
    flags=st.integers(0, 0x3F),
    sport=st.integers(1, 65535),
    live=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_no_segment_from_anywhere_ever_loops(role, src, flags, sport, live):
    """`FakeNetwork.send` raises Loop after 64 switches."""
    lab = Ahead() if live else SHARED
    if live:
        lab.told(src, sport, dst=SERVER if "." in src else V6[SERVER])
        lab.move()
    server = SERVER if "." in src else V6[SERVER]
    if role == "host":
        lab.to(src, sport, flags)
    elif role == "server":
        lab.back(src, sport, flags)
    else:
        place = next(x for x in BOTH.mcps if x.name == role).inside
        mac = f"02:00:00:08:{place.dpid:02x}:01"
        for one, other, a, b in ((src, server, sport, 5201), (server, src, 5201, sport)):
            lab.send(place.dpid, 1, tcp(one, a, other, b, flags, eth_src=mac, eth_dst="02:53:47:00:00:01"))


@pytest.mark.row("S-18")
def test_who_is_not_governed_is_asked_about_as_ever(lab):
    dpid, mac = EDGE[UE_LTE]
    lab.do(NeighbourSeen(1, 1, packed("10.1.0.9"), bytes(5) + b"\x09"))
    result = lab.send(dpid, 1, to_gateway("10.1.0.9", 1, SYN, mac=mac))
    assert [c.packet_class for c in result.copies] == [PacketClass.SYN] and not result.deliveries
    assert lab.back(UE_LTE, 40000, SYN) == ([], [PacketClass.SYN])  # the Internet opens: the guards stay


def test_without_the_mechanism_every_syn_comes_up():
    lab = Ahead(disabled=frozenset({"proactive"}))
    assert lab.to(UE_LTE, 1, SYN) == ([], [PacketClass.SYN])


def test_mcps_and_other_accesses_behind_a_default_route_are_no_servers():
    gateway = replace(BOTH.gateways[0], prefixes=(ip_network("0.0.0.0/0"), ip_network("::/0")))
    lab = Ahead(site=replace(BOTH, gateways=(gateway,)))
    assert lab.to(UE_LTE, 1, SYN)[0] == [(lab.home.inside.dpid, 1)]
    assert lab.to(UE_LTE, 1, SYN, dst=UE_WLAN) == ([], [PacketClass.SYN])
    assert lab.to(UE_LTE, 1, ACK, dst=UE_WLAN)[0] == [(2, 1)]
    other = next(x for x in BOTH.mcps if x != lab.home)
    assert lab.to(UE_LTE, 1, SYN, dst=str(other.addresses[0])) == ([], [PacketClass.SYN])
    assert lab.to(UE_LTE, 1, ACK, dst=str(other.addresses[0]))[0] == [(other.inside.dpid, 1)]


@pytest.mark.row("S-18")
def test_the_syn_ack_tells_of_the_session_and_teaches_its_token(lab):
    lab.told(UE_LTE, 40000)
    (session,) = lab.table
    assert session.state is SessionState.ESTABLISHED and session.token == int.from_bytes(TOKEN, "big")
    lab.told(UE_LTE, 40000)  # repeated
    lab.told(UE_WLAN, 40001, kind=Kind.JOIN)
    assert len(lab.table) == 1 and [s.kind.name for s in session.subflows] == ["INITIAL", "JOIN"]
    assert [lab.pinned(d) for d in (1, 2, 4)] == [0, 0, 0]
    view = EngineView(lab.engine, lambda: lab.now, "0")
    told = view.session(str(session.id))
    assert told is not None and told.insertion == "proactive" and told.mcp == lab.home.name
    decision = view.decision(str(session.id))
    assert decision is not None
    assert (decision.reason, decision.winner) == ("proactive", lab.home.name)
    assert decision.rule == "ahead" and decision.subscriber == "host"
    asked = whatif(lab.engine, WhatIf(packed(UE_WLAN), packed(SERVER), 80, None, 1), lab.now)
    assert (asked.reason, asked.winner, asked.outcome) == ("proactive", lab.home.name, "proxy")


def test_plain_tcp_and_a_five_tuple_used_anew_have_records_of_their_own(lab):
    lab.told(UE_LTE, 40000, key=b"")
    (plain,) = lab.table
    assert plain.state is SessionState.PLAIN
    lab.told(UE_LTE, 40000, isn=77)
    (session,) = lab.table
    assert session is not plain and session.token >= 0


@pytest.mark.row("D-6.7.1")
def test_a_drained_mcp_keeps_what_it_has_and_gets_nothing_new(lab):
    lab.told(UE_LTE, 40000)
    lab.told(UE_WLAN, 40001, kind=Kind.JOIN)
    lab.told(UE_LTE, 40002, key=b"")
    before, after = lab.move()
    for src, sport in ((UE_LTE, 40000), (UE_WLAN, 40001), (UE_LTE, 40002)):
        assert lab.to(src, sport)[0] == [before]
    assert lab.back(UE_LTE, 40000)[0] == lab.back(UE_LTE, 40002)[0] == [before]
    assert lab.back(UE_LTE, 40009)[0] == [after]
    # Its joins have to follow it, so SYNs are asked about while it lives ...
    assert lab.to(UE_WLAN, 40003, SYN) == ([], [PacketClass.SYN])
    late = steered(lab.syn(2, 1, join(UE_WLAN, 40003)))
    assert (
        late.release.waypoint
        == lab.engine.map.inside[lab.table.with_token(int.from_bytes(TOKEN, "big"))[0].mcp].id
    )
    first = steered(lab.syn(1, 1, capable(UE_LTE, 40004)))
    assert first.release.waypoint == lab.engine.map.inside[lab.home.id].id
    # ... and no longer.
    (old,) = lab.table.with_token(int.from_bytes(TOKEN, "big"))
    lab.network.apply(lab.give(inputs.AbortSession(old.id)))
    lab.network.apply(lab.later(WAIT))  # its ends do not answer
    lab.network.apply(lab.later(1.1))
    assert lab.to(UE_WLAN, 40005, SYN)[0] == [after]


def test_a_connection_answered_by_the_old_mcp_after_the_change_is_pinned_there(lab):
    old = lab.home
    before, after = lab.move()
    lab.told(UE_LTE, 40000, at=old)
    assert lab.to(UE_LTE, 40000)[0] == [before] and lab.back(UE_LTE, 40000)[0] == [before]
    assert lab.to(UE_LTE, 40001)[0] == [after]
    lab.network.apply(lab.later(0.1))
    assert lab.to(UE_WLAN, 40002, SYN)[1] == [PacketClass.SYN]


def test_a_dead_mcp_leaves_its_subscribers_to_the_other():
    lab = Ahead()
    old = lab.home
    lab.do(inputs.PortStatus(old.inside.dpid, 1, False))
    lab.do(inputs.Tick())
    assert lab.home != old and lab.to(UE_LTE, 1, SYN)[0] == [(lab.home.inside.dpid, 1)]
    lab.do(inputs.PortStatus(lab.home.inside.dpid, 1, False))
    lab.do(inputs.Tick())
    assert lab.proactive.units == {} and lab.to(UE_LTE, 1, SYN) == ([], [PacketClass.SYN])


def test_a_policy_that_asks_again_leaves_live_sessions_where_they_are(lab):
    lab.told(UE_LTE, 40000)
    at = [(lab.home.inside.dpid, 1)]
    lab.network.apply(lab.give(inputs.PolicyReplaced(Policy(version=2))))
    assert lab.to(UE_LTE, 40000)[0] == at and lab.back(UE_LTE, 40000)[0] == at
    assert lab.to(UE_LTE, 40001, SYN) == ([], [PacketClass.SYN])
    assert steered(lab.syn(2, 1, join(UE_WLAN, 5))).release.waypoint > 0


def test_sessions_from_before_keep_their_mcp_and_their_joins_when_entries_are_set_ahead():
    lab = Ahead(policy=Policy())
    elsewhere = Ahead().home.name  # where the entries will lead
    other = next(x.name for x in BOTH.mcps if x.name != elsewhere)
    lab.engine.handle(
        inputs.PolicyReplaced(
            Policy(rules=(PolicyRule("o", RuleConditions(), Terms(mcps=frozenset({other}))),))
        ),
        lab.now,
    )
    lab.steer(lab.syn(1, 1, capable(UE_LTE, 40000)))
    (session,) = lab.table
    place = lab.engine.map.inside[session.mcp].port
    lab.steer(lab.syn_ack(place.dpid, 1, answer(capable(UE_LTE, 40000))))
    lab.network.apply(lab.give(inputs.PolicyReplaced(policy())))
    assert lab.home.name == elsewhere and lab.proactive.strays == {"host": {session.id}}
    assert lab.to(UE_LTE, 40000)[0] == [(place.dpid, 1)]
    assert lab.to(UE_WLAN, 1, SYN)[1] == [PacketClass.SYN]
    assert steered(lab.syn(2, 1, join(UE_WLAN, 1))).release.waypoint == lab.engine.map.inside[session.mcp].id


def test_an_access_that_becomes_a_third_partys_is_asked_about_again(lab):
    lab.do(inputs.AccessChanged("wlan", NetworkAccessType.WLAN, Trust.THIRD_PARTY))
    lab.do(inputs.Tick())
    assert lab.proactive.units == {} and lab.to(UE_WLAN, 1, SYN)[1] == [PacketClass.SYN]


def test_a_list_that_comes_in_by_rest_has_syns_looked_at(lab):
    entry = AclEntry("no", ListAnswer.DENY, sources=(ip_network("10.1.0.2/32"),), ports=((80, 80),))
    lab.do(inputs.AclReplaced((entry,)))
    lab.do(inputs.Tick())
    assert lab.to(UE_LTE, 1, SYN)[1] == [PacketClass.SYN]
    lab.do(inputs.AclReplaced(()))
    lab.do(inputs.Tick())
    assert lab.to(UE_LTE, 1, SYN)[1] == []


def test_a_silent_session_gets_entries_that_count_and_is_idle_when_those_stay_still(lab):
    lab.told(UE_LTE, 40000)
    idle, sweep = lab.engine.policy.timers.idle, lab.engine.policy.timers.sweep
    lab.later(0.1)
    lab.now += idle
    for _ in range(3):
        lab.network.apply(lab.later(sweep))
    assert lab.pinned(1) == 1 and len(lab.table) == 1
    lab.now += idle
    for _ in range(3):
        lab.network.apply(lab.later(sweep))
    (session,) = lab.table
    assert lab.pinned(1) == 1 and session.state is SessionState.IDLE


def test_subscribers_are_shared_out_by_capacity_and_a_death_moves_only_its_own():
    many = tuple(
        Subscriber(f"s{n}", prefixes=(ip_network(f"10.1.0.{n}/32"), ip_network(f"10.2.0.{n}/32")))
        for n in range(1, 201)
    )
    everyone = PolicyRule("all", RuleConditions(subscribers=frozenset(s.id for s in many)), AHEAD)
    site = replace(BOTH, mcps=(replace(BOTH.mcps[0], capacity_sessions=30_000), BOTH.mcps[1]))
    lab = Ahead(site=site, policy=Policy(rules=(everyone,), subscribers=many))
    before = {name: unit.mcp for name, unit in lab.proactive.units.items()}
    share = list(before.values()).count(site.mcps[0].id) / len(many)
    assert len(before) == 200 and 0.65 < share < 0.85
    lab.do(inputs.McpAdmin(site.mcps[1].id, True))
    lab.do(inputs.Tick())
    assert {unit.mcp for unit in lab.proactive.units.values()} == {site.mcps[0].id}
    lab.do(inputs.McpAdmin(site.mcps[1].id, False))
    lab.do(inputs.Tick())
    assert {name: unit.mcp for name, unit in lab.proactive.units.items()} == before


def test_everybody_else_is_one_unit_with_one_mcp():
    lab = Ahead(policy=Policy(rules=(PolicyRule("all", RuleConditions(), AHEAD),)))
    (unit,) = lab.proactive.units.values()
    assert unit.name == "" and len(unit.prefixes) == 4
    places = {tuple(lab.to(src, 1, SYN)[0]) for src in EDGE}
    assert len(places) == 1


def test_each_prefix_apart_is_the_control():
    lab = Ahead(disabled=frozenset({"one-mcp"}))
    assert {unit.prefixes for unit in lab.proactive.units.values()} == {(p,) for p in HOST.prefixes}


def test_more_connections_than_one_tick_may_pin_are_moved_before_anything_is(lab, monkeypatch):
    monkeypatch.setattr("steering.core.proactive.units.EACH_TICK", 3)
    for sport in range(8):
        lab.told(UE_LTE, 40000 + sport, key=bytes([sport]) * 8)
    old = lab.home
    lab.do(inputs.McpAdmin(old.id, True))
    for _ in range(2):
        lab.do(inputs.Tick())
        assert lab.home == old and lab.to(UE_LTE, 1)[0] == [(old.inside.dpid, 1)]
    lab.told(UE_LTE, 50000, key=b"newcomer")  # meanwhile
    lab.do(inputs.Tick())
    assert lab.home != old
    assert all(lab.to(UE_LTE, 40000 + n)[0] == [(old.inside.dpid, 1)] for n in range(8))
    assert lab.to(UE_LTE, 50000)[0] == [(old.inside.dpid, 1)]


def test_limits_of_a_full_table_are_kept():
    lab = Ahead(
        policy=policy(limits=Limits(sessions=2, half_open=2), quotas=Quotas(sessions_per_subscriber=1))
    )
    for sport in range(4):
        lab.told(UE_LTE, 40000 + sport, key=bytes([sport]) * 8)
    assert len(lab.table) == 2 and lab.counters.refusals["session-table-full"] == 2


SHARED = Ahead()
