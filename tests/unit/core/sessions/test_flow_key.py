"""What a flow is: one way, by its 5-tuple, and by where it comes in (N-2.3); whose it is says its SYN alone (N-2.2)."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.core.packet_inputs import NeighbourSeen
from steering.core.sessions.flow_key import NO_FLOW, family_of, flow_key, parts_of, server_of, source_of
from steering.model.session import SessionState
from tests.architecture.layers import ROOT, sources
from tests.support.fakes.packet import ACK, tcp, udp
from tests.support.sites import (
    SERVER,
    UE_LTE,
    UE_WLAN,
    Driver,
    answer,
    capable,
    handshake,
    packed,
    steered,
)
from tests.support.switched import MCP_MAC, SERVER_MAC, UE_MAC, Lab, to_gateway

SPORT = 40_000
MCP, GATEWAY = (3, 1), (4, 1)


@pytest.fixture
def lab() -> Lab:
    """One pinned session of the LTE host."""
    made = Lab()
    made.do(NeighbourSeen(1, 1, packed("10.1.0.3"), b"\2\0\0\0\0\3"))
    opening = capable(UE_LTE, SPORT)
    made.steer(made.syn(1, 1, opening))
    made.steer(made.syn_ack(3, 1, answer(opening)))
    return made


def went(lab: Lab, dpid: int, port: int, packet) -> tuple[int, int]:
    (delivery,) = lab.send(dpid, port, packet).deliveries
    return delivery.dpid, delivery.port


OTHERS = {
    "destination port": to_gateway(UE_LTE, SPORT, dport=5202),
    "source port": to_gateway(UE_LTE, SPORT + 1),
    "source": to_gateway("10.1.0.3", SPORT),
    "family": to_gateway("fd00:1::2", SPORT, dst="fd00:9::2"),
    "protocol": udp(UE_LTE, SPORT, SERVER, 5201, eth_src=UE_MAC, eth_dst=to_gateway(UE_LTE, 1).eth_dst),
}


@pytest.mark.row("N-2.3")
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_a_flow_that_differs_in_one_element_of_its_five_tuple_is_another(lab: Lab, other) -> None:
    assert went(lab, 1, 1, to_gateway(UE_LTE, SPORT)) == MCP
    assert went(lab, 1, 1, other) == GATEWAY


@pytest.mark.row("N-2.3")
def test_a_flow_has_one_direction_and_the_same_five_tuple_elsewhere_is_another_flow(lab: Lab) -> None:
    onward = to_gateway(UE_LTE, SPORT)
    back = tcp(SERVER, 5201, UE_LTE, SPORT, ACK, eth_src=SERVER_MAC, eth_dst=onward.eth_dst)
    assert went(lab, 1, 1, onward) == MCP
    assert went(lab, *MCP, replace(onward, eth_src=MCP_MAC)) == GATEWAY  # the server leg
    assert went(lab, *GATEWAY, back) == MCP
    assert went(lab, *MCP, replace(back, eth_src=MCP_MAC)) == (1, 1)  # the host's leg
    for entry in [e for e in lab.table.by_id[1].entries(3) if e.dpid == 1]:
        lab.network.switches[1].remove_entry(entry)
    # Each way has an entry of its own: the one without it goes naturally, the other does not notice.
    assert went(lab, 1, 1, onward) == GATEWAY and went(lab, *GATEWAY, back) == MCP


ADDRESS4, ADDRESS6 = st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)
PORT = st.integers(0, 65_535)
FLOW = st.one_of(st.tuples(ADDRESS4, ADDRESS4, PORT, PORT), st.tuples(ADDRESS6, ADDRESS6, PORT, PORT))


@pytest.mark.row("N-2.3")
@given(FLOW, FLOW)
def test_flows_have_the_same_key_only_if_they_are_the_same(one, other) -> None:
    assert (flow_key(*one) == flow_key(*other)) == (one == other)
    assert parts_of(flow_key(*one)) == (4 if len(one[0]) == 4 else 6, *one)


@given(FLOW)
def test_a_key_has_its_parts_by_name_and_no_flow_has_empty_ones(one) -> None:
    key, parts = flow_key(*one), parts_of(flow_key(*one))
    assert (parts.source, parts.destination, parts.source_port, parts.destination_port) == one
    assert source_of(key) == parts.source and family_of(key) == parts.family
    assert flow_key(*parts[1:]) == key
    assert server_of(key) == parts.destination + parts.destination_port.to_bytes(2, "big")
    assert parts_of(NO_FLOW) == (0, b"", b"", 0, 0) and source_of(NO_FLOW) == b""


def test_how_long_the_parts_of_a_key_are_is_known_in_one_place() -> None:
    known = [
        path.relative_to(ROOT).as_posix()
        for path in sources()
        if re.search(r"\) - 4\) // 2|len\(key\) // 2", path.read_text(encoding="utf-8"))
    ]
    assert not known


@pytest.mark.row("N-2.2", "D-2.3")
def test_a_host_with_one_interface_is_a_multipath_client_if_its_syn_says_so() -> None:
    driver = Driver()
    session = driver.session()  # it never joins: it has nothing to join from
    assert session.state is SessionState.ESTABLISHED and session.token >= 0
    driver.later(600.0)
    assert len(session.subflows) == 1 and driver.table.by_id[session.id] is session


@pytest.mark.row("N-2.2", "D-2.5")
def test_a_host_with_two_interfaces_is_none_while_its_syns_are_plain() -> None:
    driver = Driver()
    for dpid, source in ((1, UE_LTE), (2, UE_WLAN)):
        (released,) = driver.syn(dpid, 1, handshake(source, 1_000 + dpid))
        assert released.waypoint < 0
    assert len(driver.table) == 0
    # Nothing was remembered of it either: its next SYN may well be another kind.
    assert steered(driver.syn(1, 1, capable(UE_LTE, SPORT)))


@pytest.mark.row("N-2.2", "D-2.2")
def test_what_a_server_is_was_never_asked_of_its_interfaces() -> None:
    driver = Driver()
    session = driver.session()
    opening = capable(UE_LTE, SPORT + 1)
    driver.syn(1, 1, opening)
    driver.syn_ack(3, 1, answer(opening, key=b""))  # the same address, and this time no MP_CAPABLE
    (plain,) = [s for s in driver.table if s is not session]
    assert (session.state, plain.state) == (SessionState.ESTABLISHED, SessionState.ANSWERED)
