"""ICMP errors about what an MCP sent with somebody else's address reach that MCP, and go on as before."""

from dataclasses import replace

import pytest

from steering.core.outputs import Release
from steering.core.packet_inputs import IcmpErrorSeen
from steering.model.network import Gateway
from steering.model.rules import VIRTUAL_MAC, Meter, PacketClass, ToController
from steering.model.source import SourceMode, SourceModes
from steering.wire.icmp import QuotedFlow
from tests.support.fakes.packet import Packet
from tests.support.sites import KEY, SERVER, UE_LTE, UE_WLAN, Driver, join, off_path_site, packed
from tests.support.switched import Lab

GATEWAY, LTE, WLAN = (4, 1), (1, 1), (2, 1)
MCP = off_path_site().mcps[0].id
UP = QuotedFlow(packed(UE_LTE), packed(SERVER), 40000, 5201)
DOWN = QuotedFlow(packed(SERVER), packed(UE_LTE), 5201, 40000)


def error(at: tuple[int, int], flow: QuotedFlow) -> IcmpErrorSeen:
    return IcmpErrorSeen(*at, flow, b"the error")


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.session(key=KEY)
    return driver


def test_an_error_about_a_server_leg_goes_to_its_mcp_from_the_gateway(driver: Driver) -> None:
    (release,) = driver.give(error(GATEWAY, UP))
    assert isinstance(release, Release) and release.frame == b"the error"
    outside = driver.engine.map.outside[MCP].id
    assert (release.dpid, release.in_port, release.waypoint) == (*GATEWAY, outside)
    assert driver.counters.leg_errors == 1


def test_an_error_about_what_an_mcp_sends_to_a_host_goes_to_that_mcp_from_the_access(driver: Driver) -> None:
    driver.syn(2, 1, join(UE_WLAN, 40001))
    for at, flow in ((LTE, DOWN), (WLAN, DOWN._replace(dst=packed(UE_WLAN), dport=40001))):
        (release,) = driver.give(error(at, flow))
        assert release.waypoint == driver.engine.map.inside[MCP].id


@pytest.mark.parametrize(
    ("at", "flow"),
    [
        (GATEWAY, DOWN),  # about what the server sent
        (LTE, UP),  # about what the host sent itself
        (GATEWAY, UP._replace(sport=40001)),
        (WLAN, DOWN),  # of a subflow that comes in elsewhere
        ((9, 9), UP),
    ],
)
def test_other_errors_concern_no_mcp(driver: Driver, at: tuple[int, int], flow: QuotedFlow) -> None:
    assert driver.give(error(at, flow)) == []
    assert driver.counters.leg_errors == 0


def test_the_mechanism_can_be_switched_off_for_a_control() -> None:
    driver = Driver(disabled=("icmp-errors",))
    driver.session(key=KEY)
    assert driver.give(error(GATEWAY, UP)) == []


def test_a_server_leg_with_an_address_of_the_mcps_own_needs_nothing() -> None:
    shared = SourceModes(SourceMode.SHARED, SourceMode.SHARED)
    site = off_path_site()
    mcps = tuple(replace(one, source_modes=shared, pools=()) for one in site.mcps)
    driver = Driver(replace(site, mcps=mcps))
    driver.session(key=KEY)
    assert driver.give(error(GATEWAY, UP)) == []


def test_an_error_is_forwarded_and_copied_under_its_ports_own_meter() -> None:
    lab = Lab()
    gateway = lab.site.gateways[0]
    assert isinstance(gateway, Gateway)
    packet = Packet(
        eth_src="02:00:00:00:00:09", eth_dst=VIRTUAL_MAC, eth_type=0x0800, ip_proto=1,
        ipv4_src=SERVER, ipv4_dst=UE_LTE, icmpv4_type=3, icmpv4_code=4, nw_ttl=60,
    )  # fmt: skip
    sent = lab.send(*GATEWAY, packet)
    assert [(d.dpid, d.port) for d in sent.deliveries] == [LTE]
    assert [(copy.packet_class, copy.in_port) for copy in sent.copies] == [(PacketClass.ICMP_ERROR, 1)]


def test_each_class_of_punts_has_a_meter_of_each_port() -> None:
    """A scan behind one port does not take the answers that hosts behind another wait for."""
    site = off_path_site()
    lte = site.access_networks[0]
    more = replace(lte, name="more", prefixes=(), ports=tuple(replace(p, port=40) for p in lte.ports))
    driver = Driver(replace(site, access_networks=(*site.access_networks, more)))
    used: dict[int, set[int]] = {}
    for rule in (*driver.fills[1].admission, *driver.fills[1].forwarding):
        for action in rule.actions:
            if isinstance(action, ToController):
                used.setdefault(rule.cookie & 0xFFFF_FFFF, set()).add(action.meter)
    assert used[PacketClass.HOST_MISS] == {Meter.HOST_MISS_BASE + p for p in (1, 40)}
    assert used[PacketClass.ICMP_ERROR] == {Meter.ICMP_ERROR_BASE + 1}
    assert used[PacketClass.TTL_EXPIRED] == {Meter.TTL_EXPIRED_BASE + 1}
    bands = {band.meter for band in driver.fills[1].meters}
    assert {Meter.HOST_MISS_BASE + p for p in (1, 40)} <= bands
    assert {Meter.TTL_EXPIRED_BASE + p for p in (1, 40)} <= bands
