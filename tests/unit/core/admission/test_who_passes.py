"""What access switches enforce by themselves: lists towards MCPs, and hosts that nobody has allowed."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.core.admission.acl import kept_out, verdict
from steering.core.inputs import AclReplaced, PolicyReplaced, RegistryReplaced
from steering.core.packet_inputs import NeighbourSeen
from steering.model.authorisation import AclEntry, Authorization, ListAnswer, RegistryEntry, Verdict
from steering.model.policy import Policy
from steering.model.rules import VIRTUAL_MAC, Table
from steering.wire.craft import tcp_frame
from tests.support.fakes.packet import packet_of
from tests.support.sites import SERVER, UE_LTE, UE_WLAN, capable, nets, packed
from tests.support.wired import ACK, MACS, Wired, raw

MCP = "10.8.0.2"
DENY_LTE = AclEntry("cpe", ListAnswer.DENY, nets("10.1.0.0/28"))


def arrives(lab: Wired, src: str, dst: str = SERVER, dpid: int = 1, port: int = 1) -> bool:
    """Whether a segment in the middle of a connection leaves the network anywhere."""
    frame = tcp_frame(
        packed(src), packed(dst), 40000, 80, flags=ACK,
        src_mac=raw(MACS.get(src, MACS[UE_LTE])), dst_mac=raw(VIRTUAL_MAC),
    )  # fmt: skip
    return len(lab.network.send(dpid, port, packet_of(frame)).hops) > 1


@pytest.mark.row("N-5.3b")
def test_packets_of_a_denied_cpe_to_an_mcp_end_at_their_first_switch_and_are_counted_there():
    lab = Wired()
    lab.do(NeighbourSeen(1, 1, packed("10.1.0.20"), b"\2\0\0\0\0\x14"))
    assert arrives(lab, UE_LTE, MCP)
    lab.do(AclReplaced((DENY_LTE,)))
    assert not arrives(lab, UE_LTE, MCP)
    assert arrives(lab, UE_LTE, SERVER)  # only MCPs are kept from it
    assert arrives(lab, "10.1.0.20", MCP) and arrives(lab, UE_WLAN, MCP, 2)
    walls = [
        r
        for r in lab.network[1].rules(Table.GUARD)
        if ("ipv4_dst", MCP) in r.match and not r.actions and r.goto is None
    ]
    assert len(walls) == 1
    lab.do(AclReplaced(()))
    assert arrives(lab, UE_LTE, MCP)


@pytest.mark.row("N-5.3b")
def test_an_entry_with_ports_is_for_syns_and_one_for_another_access_is_not_for_this():
    lab = Wired()
    lab.do(
        AclReplaced(
            (
                AclEntry("a", ListAnswer.DENY, nets("10.1.0.0/28"), ports=((80, 80),)),
                AclEntry("b", ListAnswer.DENY, nets("10.1.0.0/28"), frozenset({"wlan"})),
                AclEntry("c", ListAnswer.DENY, (), frozenset(), nets("10.8.1.2")),
            )
        )
    )
    assert arrives(lab, UE_LTE, MCP) and not arrives(lab, UE_LTE, "10.8.1.2")


@pytest.mark.row("N-5.3a", "N-7.2d")
def test_where_authorisation_is_required_nothing_passes_before_the_registry_allows():
    lab = Wired(policy=Policy(authorization=Authorization(required=frozenset({"lte"}))))
    assert not arrives(lab, UE_LTE) and not arrives(lab, UE_LTE, MCP)
    assert arrives(lab, UE_WLAN, dpid=2)
    one = RegistryEntry("p", True, nets(UE_LTE, "10.9.0.66"))  # the second is not of this network
    lab.do(RegistryReplaced((one,)))
    assert arrives(lab, UE_LTE) and not arrives(lab, "10.1.0.3") and not arrives(lab, "10.9.0.66")
    lab.do(RegistryReplaced((RegistryEntry("p", False, nets(UE_LTE)),)))
    assert not arrives(lab, UE_LTE)
    lab.do(PolicyReplaced(Policy()))
    assert arrives(lab, UE_LTE)


@pytest.mark.row("N-7.2d")
def test_nothing_passes_a_port_that_the_site_does_not_know():
    lab = Wired()
    assert not arrives(lab, UE_LTE, port=9)


_PREFIXES = st.sampled_from(
    ["10.1.0.0/24", "10.1.0.0/28", "10.1.0.4/30", "10.1.0.2/32", "10.0.0.0/8", "10.1.0.16/28"]
)
_ENTRIES = st.lists(
    st.builds(
        lambda action, sources, wlan: AclEntry(
            "x", action, nets(*sources), frozenset({"wlan"}) if wlan else frozenset()
        ),
        st.sampled_from(list(ListAnswer)),
        st.lists(_PREFIXES, max_size=3),
        st.booleans(),
    ),
    max_size=6,
).map(tuple)


@given(_ENTRIES, st.integers(0, 63))
def test_what_switches_drop_is_what_the_list_denies(entries, host):
    source = str(ip_address("10.1.0.0") + host)
    out = list(kept_out(entries, "lte", nets("10.1.0.0/24"), ip_address(MCP)))
    dropped = sum(ip_address(source) in network for network in out)
    denied = verdict(entries, "lte", capable(source, 1, dst=MCP)) is Verdict.DENY
    assert dropped == denied  # once at most: the prefixes are disjoint


@pytest.mark.row("N-7.4")
def test_a_first_fragment_that_hides_its_tcp_header_ends_at_its_edge():
    lab = Wired()
    frame = tcp_frame(
        packed(UE_LTE), packed(SERVER), 40000, 80, flags=ACK, src_mac=raw(MACS[UE_LTE]),
        dst_mac=raw(VIRTUAL_MAC),
    )  # fmt: skip
    whole = packet_of(frame)
    first, later = 1, 3
    hidden = {"tcp_src": 0, "tcp_dst": 0, "tcp_flags": 0}  # what Open vSwitch reads where the header is cut

    def hops(packet) -> int:
        return len(lab.network.send(1, 1, packet).hops)

    assert hops(replace(whole, ip_frag=first, **hidden)) == 1
    assert hops(whole) > 1 and hops(replace(whole, ip_frag=first)) > 1
    assert hops(replace(whole, ip_frag=later, **hidden)) > 1
    assert hops(replace(whole, ip_frag=first, ip_proto=17, tcp_src=None, tcp_dst=None, tcp_flags=None)) > 1
