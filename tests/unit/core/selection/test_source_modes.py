"""Source modes in the network: what an MCP may send from, and that answers lead back to it (draft-nam section 5.4)."""

from dataclasses import replace
from ipaddress import IPv6Network, ip_network

import pytest

from steering.core.outputs import NATURAL, Release, Steer
from steering.core.packet_inputs import NeighbourSeen
from steering.model.decision import FilterReason, Outcome
from steering.model.network import Interception, Mcp, PortRef, Site
from steering.model.rules import VIRTUAL_MAC
from steering.model.session import SessionState
from steering.model.source import TRANSPARENT, Identifiers, SourceMode, SourceModes
from tests.support.fakes.packet import ACK, SYN_ACK, tcp
from tests.support.sites import SERVER, UE_LTE, answer, capable, mcp, off_path_site, packed
from tests.support.switched import MCP_MAC, SERVER_MAC, UE_MAC, V6, Lab, to_gateway

EDGE_MAC = "02:00:00:08:05:01"


def nets(*texts: str):
    return tuple(ip_network(text) for text in texts)


def given(
    name: str, port: PortRef, addresses: tuple[str, str], modes: SourceModes, *pools: str, **more
) -> Mcp:
    return replace(mcp(name, port, *addresses), source_modes=modes, pools=nets(*pools), **more)


def two(modes: SourceModes, core: tuple[str, ...], edge: tuple[str, ...], **more) -> Site:
    """`core` at s3 and `edge` at s5, both with these modes and pools of their own."""
    return off_path_site(
        mcps=(
            given("core", PortRef(3, 1), ("10.8.0.2", "fd00:8::2"), modes, *core, **more),
            given("edge", PortRef(5, 1), ("10.8.1.2", "fd00:18::2"), modes, *edge, **more),
        )
    )


POOLS = SourceModes(SourceMode.SHARED, SourceMode.NPTV6)
PREFIX = SourceModes(SourceMode.ONE_TO_ONE, SourceMode.IPV6_PREFIX)
CASES = [
    (POOLS, ("192.0.2.0/28", "2001:db8:a::/56"), ("192.0.2.16/28", "2001:db8:b::/56"),
     ("192.0.2.3", "2001:db8:a:7::9"), ("192.0.2.19", "2001:db8:b:7::9")),
    (PREFIX, ("192.0.2.0/28", "::5354:1:0:0/96"), ("192.0.2.16/28", "::5354:2:0:0/96"),
     ("192.0.2.3", "fd00:1::5354:1:0:9"), ("192.0.2.19", "fd00:1::5354:2:0:9")),
]  # fmt: skip


def server_leg(src: str, mac: str):
    return to_gateway(src, 4000, dst=SERVER if "." in src else V6[SERVER], mac=mac)


def back(dst: str):
    return to_gateway(SERVER if "." in dst else V6[SERVER], 5201, dst=dst, mac=SERVER_MAC, dport=4000)


@pytest.mark.row("N-5.4.2.1b", "N-5.4.2.3", "N-5.4.1.2a", "N-5.4.2a")
@pytest.mark.parametrize(("modes", "core", "edge", "of_core", "of_edge"), CASES, ids=["pools", "prefix"])
def test_answers_to_a_pool_reach_the_mcp_that_gives_it(modes, core, edge, of_core, of_edge):
    lab = Lab(two(modes, core, edge))
    for number in (0, 1):
        for source, (dpid, mac) in ((of_core[number], (3, MCP_MAC)), (of_edge[number], (5, EDGE_MAC))):
            ((at, port, _),) = lab.send(dpid, 1, server_leg(source, mac)).deliveries
            assert (at, port) == (4, 1)
            for sent_at, sent_port in ((4, 1),):
                ((at, port, _),) = lab.send(sent_at, sent_port, back(source)).deliveries
                assert (at, port) == (dpid, 1)


@pytest.mark.row("N-5.4.2.1b")
@pytest.mark.parametrize(("modes", "core", "edge", "of_core", "of_edge"), CASES, ids=["pools", "prefix"])
def test_without_the_pools_routes_answers_do_not_come_back(modes, core, edge, of_core, of_edge):
    lab = Lab(two(modes, core, edge), disabled=frozenset({"pool-routes"}))
    for source in of_core:
        assert all(at != 3 for at, _, _ in lab.send(4, 1, back(source)).deliveries)


@pytest.mark.row("N-5.4.2a", "N-7.2a")
@pytest.mark.parametrize(("modes", "core", "edge", "of_core", "of_edge"), CASES, ids=["pools", "prefix"])
def test_nobody_else_sends_from_a_pool_and_its_mcp_from_nothing_else(modes, core, edge, of_core, of_edge):
    lab = Lab(two(modes, core, edge))
    for number in (0, 1):
        mine, others = of_core[number], of_edge[number]
        assert not lab.send(3, 1, server_leg(others, MCP_MAC)).deliveries
        host = (UE_LTE, V6[UE_LTE])[number]
        assert not lab.send(3, 1, server_leg(host, MCP_MAC)).deliveries
        assert not lab.send(1, 1, server_leg(mine, UE_MAC)).deliveries  # a host that poses as the MCP
        assert not lab.send(4, 1, to_gateway(mine, 5201, dst=host, mac=SERVER_MAC)).deliveries
        assert lab.send(1, 1, server_leg(host, UE_MAC)).deliveries


@pytest.mark.row("N-5.4.1b", "N-5.4.1.3", "N-F12")
@pytest.mark.parametrize(
    "modes", [TRANSPARENT, SourceModes(None, SourceMode.IPV6_ADDRESS)], ids=["both", "v6"]
)
def test_what_is_preserved_comes_back_by_entries_of_its_session(modes):
    site = two(modes, (), ())
    lab = Lab(replace(site, mcps=site.mcps[:1]))
    ue, server = V6[UE_LTE], V6[SERVER]
    outputs = lab.syn(1, 1, capable(ue, 40000, dst=server))
    lab.steer(outputs)
    (session,) = lab.table
    ((at, _, _),) = lab.send(3, 1, to_gateway(ue, 40000, dst=server, mac=MCP_MAC)).deliveries
    assert at == 4
    reply = to_gateway(server, 5201, dst=ue, mac=SERVER_MAC, dport=40000)
    assert [d[0] for d in lab.send(4, 1, reply).deliveries] == [3]
    for entry in session.return_entries(3):
        lab.network.switches[4].remove_entry(entry)
    assert [d[0] for d in lab.send(4, 1, reply).deliveries] == [1]  # the control: it misses the MCP


@pytest.mark.row("N-5.4.2.1b")
def test_a_session_of_a_pool_needs_no_return_entry_and_lives_as_any():
    lab = Lab(two(POOLS, CASES[0][1], CASES[0][2]))
    opening = capable(UE_LTE, 40000)
    lab.steer(lab.syn(1, 1, opening))
    (session,) = lab.table
    assert session.returns == () and len(session.entries(3)) == 1
    at = next(m for m in lab.site.mcps if m.id == session.mcp).inside
    lab.steer(lab.syn_ack(at.dpid, 1, answer(opening)))
    assert session.state is SessionState.ANSWERED
    down = tcp(SERVER, 5201, UE_LTE, 40000, ACK, eth_src=MCP_MAC, eth_dst=VIRTUAL_MAC)
    assert [d[0] for d in lab.send(at.dpid, 1, down).deliveries] == [1]


def test_an_mcp_in_line_still_passes_on_what_it_does_not_take():
    site = two(POOLS, CASES[0][1], CASES[0][2])
    inline = replace(site.mcps[0], interception=Interception.SELF)
    lab = Lab(replace(site, mcps=(inline, site.mcps[1])))
    assert lab.send(3, 1, to_gateway(UE_LTE, 1, mac=MCP_MAC)).deliveries


def decided(lab: Lab, src: str, dst: str, port: int = 5201):
    handshake = capable(src, 40000, dst=dst, dport=port)
    lab.steer(lab.syn(1, 1, handshake))
    (session,) = lab.table
    return session.ruling


@pytest.mark.row("N-5.4.1.2b")
def test_referral_ports_take_the_natural_path_where_the_prefix_mode_would_change_the_address():
    more = {"referral_ports": ((21, 21),)}
    lab = Lab(two(PREFIX, CASES[1][1], CASES[1][2], **more))
    outputs = lab.syn(1, 1, capable(V6[UE_LTE], 40000, dst=V6[SERVER], dport=21))
    assert [o.waypoint for o in outputs if isinstance(o, Release)] == [NATURAL] and not list(lab.table)
    assert decided(lab, UE_LTE, SERVER, 21).outcome is Outcome.PROXY  # IPv4 has another mode


@pytest.mark.row("D-5.1c")
def test_an_ipv6_host_is_steered_to_an_mcp_that_translates():
    nat64 = IPv6Network("64:ff9b::/96")
    site = two(POOLS, CASES[0][1], CASES[0][2])
    lab = Lab(replace(site, mcps=(site.mcps[0], replace(site.mcps[1], nat64=nat64))))
    decision = decided(lab, V6[UE_LTE], "64:ff9b::a09:2")
    assert decision.mcp is not None and decision.mcp.name == "edge"
    why = {c.mcp.name: c.filtered for c in decision.candidates.all}
    assert why == {"core": FilterReason.FAMILY, "edge": None}
    (session,) = lab.table
    assert session.returns == ()
    # What the server says comes to the host as from the translated address.
    down = tcp("64:ff9b::a09:2", 5201, V6[UE_LTE], 40000, SYN_ACK, eth_src=EDGE_MAC, eth_dst=VIRTUAL_MAC)
    assert [d[0] for d in lab.send(5, 1, down).deliveries] == [1]
    assert not lab.send(
        3, 1, tcp("64:ff9b::a09:2", 1, V6[UE_LTE], 1, ACK, eth_src=MCP_MAC, eth_dst=VIRTUAL_MAC)
    ).deliveries


def test_identifiers_stand_beside_networks():
    one = Identifiers(IPv6Network("fd00:1::/64"), IPv6Network("::5354:1:0:0/96"))
    assert (one.prefixlen, one.max_prefixlen, one.version) == (96, 128, 6)
    assert str(one.network_address) == "fd00:1::5354:1:0:0"
    assert str(one.netmask) == "ffff:ffff:ffff:ffff:ffff:ffff::"
    wide = Identifiers(IPv6Network("2001:db8::/48"), IPv6Network("::5354:1:0:0/96"))
    assert str(wide.netmask) == "ffff:ffff:ffff:0:ffff:ffff::"


def test_learning_is_not_asked_of_pools():
    """A pool's address is nobody's neighbour: what is led to its MCP goes to the MCP's MAC."""
    lab = Lab(two(POOLS, CASES[0][1], CASES[0][2]))
    lab.do(NeighbourSeen(3, 1, packed("192.0.2.3"), bytes(6)))
    ((at, _, packet),) = lab.send(4, 1, back("192.0.2.3")).deliveries
    assert at == 3 and packet.eth_dst == MCP_MAC
    assert not any(isinstance(o, Steer) for o in lab.syn(1, 1, capable(UE_LTE, 40000, dst="192.0.2.3")))
