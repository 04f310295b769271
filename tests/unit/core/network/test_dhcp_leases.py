"""Where hosts are told by DHCP, an address is of the host that the network's own server gave it to, and of nobody else."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from steering.core.inputs import McpsReplaced, ObservedHost, PortStatus, Tick
from steering.core.network.address_claims import PATIENCE, REFUSED_FOR
from steering.core.network.dhcp_leases import CLIENTS_EACH
from steering.core.outputs import Output, SendFrame
from steering.core.packet_inputs import DhcpSeen, NeighbourSeen
from steering.model.kept import KeptLease, KeptState
from steering.model.network import PortRef, PortRole
from steering.model.rules import VIRTUAL_MAC, PacketClass
from steering.model.session import Refusal
from steering.wire.dhcp import DhcpType, read_dhcp
from tests.support.dhcp_frames import CLIENT, DHCP_SERVER, HERE, THERE, TRUSTED, dhcp_frame, dhcp_site
from tests.support.fakes.packet import udp
from tests.support.sites import SERVER, Driver, packed
from tests.support.switched import Lab, to_gateway

OWN, LEASE = "10.1.0.9", 600
THIEF = bytes.fromhex("020000000666")


def says(driver: Driver, port: tuple[int, int], kind: DhcpType, **more: object) -> list[Output]:
    frame = dhcp_frame(kind, **more)  # type: ignore[arg-type]
    outputs = driver.give(DhcpSeen(*port, read_dhcp(frame), frame))
    if isinstance(driver, Lab):
        driver.network.apply([one for one in outputs if not isinstance(one, SendFrame)])
    return outputs


def sent_to(outputs: list[Output]) -> list[tuple[int, int]]:
    return [(one.dpid, one.port) for one in outputs if isinstance(one, SendFrame)]


def dhcp(outputs: list[Output]) -> list[Output]:
    """The answers of a DHCP server among what is sent."""
    return [one for one in outputs if isinstance(one, SendFrame) and one.frame[12:14] == b"\x08\0"]


def leased(driver: Driver, port: tuple[int, int] = HERE, client: bytes = CLIENT, address: str = OWN) -> None:
    assert sent_to(says(driver, port, DhcpType.REQUEST, client=client)) == [TRUSTED]
    told = says(driver, TRUSTED, DhcpType.ACK, client=client, given=address, lease=LEASE)
    assert sent_to(told)[-1] == port


def passes(lab: Lab, port: tuple[int, int], address: str = OWN) -> bool:
    packet = udp(address, 1, SERVER, 2, eth_src="02:00:00:00:01:01", eth_dst=VIRTUAL_MAC)
    return bool(lab.send(*port, packet).deliveries)


@pytest.mark.row("N-7.2a")
def test_who_was_given_an_address_sends_with_it_and_nobody_else_gets_it() -> None:
    lab = Lab(dhcp_site())
    assert not passes(lab, HERE)
    leased(lab)
    before = lab.engine.counters.refusals[Refusal.ADDRESS_NOT_BOUND]
    assert passes(lab, HERE) and not passes(lab, THERE)
    for port, mac in ((THERE, THIEF), (THERE, CLIENT), (HERE, THIEF)):
        lab.do(NeighbourSeen(*port, packed(OWN), mac))
    lab.later(1.0)
    assert passes(lab, HERE) and not passes(lab, THERE)
    assert lab.engine.counters.refusals[Refusal.ADDRESS_NOT_BOUND] == before + 3


@pytest.mark.row("D-3.3a")
@pytest.mark.parametrize("place", [THERE, (1, 7)], ids=["of another switch", "of the same switch"])
def test_who_gets_its_address_again_at_another_port_keeps_its_pins(place: tuple[int, int]) -> None:
    site = dhcp_site()
    lte = site.access_networks[0]
    ports = tuple(PortRef(*place) if port == PortRef(*THERE) else port for port in lte.ports)
    lab = Lab(replace(site, access_networks=(replace(lte, ports=ports), site.access_networks[1])))
    leased(lab)
    session = lab.session(OWN)
    for entry in session.entries(PortRole.GATEWAY):
        lab.network.switches[entry.dpid].add_entry(entry)
    asked_again(lab, place)
    wait(lab)
    (subflow,) = session.subflows
    assert (subflow.dpid, subflow.port) == place
    segment = to_gateway(OWN, 40000, mac=CLIENT.hex(":"))
    assert [one[:2] for one in lab.send(*place, segment).deliveries] == [(3, 1)], "to its MCP"
    assert not lab.send(*HERE, segment).deliveries


@pytest.mark.row("N-7.2a")
def test_who_asks_in_a_clients_name_at_another_port_gets_nothing_that_the_client_is_given() -> None:
    lab = Lab(dhcp_site())
    says(lab, HERE, DhcpType.REQUEST, transaction=0x1234)
    for guessed in range(8):
        says(lab, THERE, DhcpType.REQUEST, transaction=guessed)
    told = says(lab, TRUSTED, DhcpType.ACK, given=OWN, lease=LEASE, transaction=0x1234)
    assert sent_to(told) == [HERE]
    assert passes(lab, HERE) and not passes(lab, THERE)


@pytest.mark.row("D-3.3a")
def test_the_pins_of_a_host_whose_port_went_down_follow_its_lease_at_once() -> None:
    lab = Lab(dhcp_site())
    leased(lab)
    session = lab.session(OWN)
    lab.do(PortStatus(*HERE, False))
    leased(lab, THERE)
    (subflow,) = session.subflows
    assert (subflow.dpid, subflow.port) == THERE


def test_an_address_that_nobody_gave_is_nobodys_but_the_servers_own_segment_has_its_own() -> None:
    lab = Lab(dhcp_site())
    lab.do(NeighbourSeen(*HERE, packed(OWN), CLIENT))
    lab.do(NeighbourSeen(*TRUSTED, packed("10.1.0.53"), THIEF))
    assert not passes(lab, HERE) and passes(lab, TRUSTED, "10.1.0.53")


@pytest.mark.row("N-7.2a")
def test_a_server_at_a_hosts_port_is_heard_by_nobody() -> None:
    lab = Lab(dhcp_site())
    says(lab, HERE, DhcpType.REQUEST)
    assert says(lab, THERE, DhcpType.ACK, given=OWN, lease=LEASE) == []
    assert not passes(lab, HERE) and lab.engine.counters.refusals[Refusal.DHCP_SERVER] == 1


@pytest.mark.parametrize("how", ["expired", "released", "declined"])
def test_what_is_given_back_is_nobodys(how: str) -> None:
    lab = Lab(dhcp_site())
    leased(lab)
    if how == "expired":
        lab.now += LEASE + 1
        lab.do(Tick())
    else:
        kind = DhcpType.RELEASE if how == "released" else DhcpType.DECLINE
        named: dict[str, object] = {"own": OWN}
        if kind is DhcpType.DECLINE:  # RFC 2131 table 5: ciaddr is 0, and an option names the address
            named = {"options": b"\x32\x04" + packed(OWN)}
        says(lab, THERE, kind, **named)  # of another port: nothing
        assert passes(lab, HERE)
        says(lab, HERE, kind, **named)
    assert not passes(lab, HERE) and not lab.engine.neighbours.leases


def asked_again(
    lab: Lab, port: tuple[int, int] = THERE, client: bytes = CLIENT, lease: int = 2 * LEASE
) -> None:
    """The client, or somebody in its name, asks at another port, and is given the address there."""
    says(lab, port, DhcpType.REQUEST, client=client)
    told = says(lab, TRUSTED, DhcpType.ACK, client=client, given=OWN, lease=lease)
    assert sent_to(told) == [HERE], "its old port is asked for it, and the answer waits"
    assert not dhcp(told)


def wait(lab: Lab, seconds: float = PATIENCE + 0.1) -> list[tuple[int, int]]:
    """Time goes by: the ports of DHCP frames that are sent then."""
    lab.now += seconds
    outputs = lab.give(Tick())
    lab.network.apply([one for one in outputs if not isinstance(one, SendFrame)])
    return sent_to(dhcp(outputs))


def test_a_host_that_asks_elsewhere_has_moved_once_its_old_port_is_silent() -> None:
    lab = Lab(dhcp_site())
    leased(lab)
    asked_again(lab)
    assert passes(lab, HERE) and not passes(lab, THERE)
    assert wait(lab, 0.3) == []
    assert wait(lab, PATIENCE - 0.2) == [THERE], "it hears of it when it has it"
    assert PATIENCE < 1 and passes(lab, THERE) and not passes(lab, HERE)
    ((address, kept),), gone = lab.engine.dhcp_leases.news(lab.now)
    assert (address, kept.port, gone) == (packed(OWN), PortRef(*THERE), [])
    lab.now += 1.5 * LEASE
    lab.do(Tick())
    assert passes(lab, THERE)
    lab.now += LEASE
    lab.do(Tick())
    assert not passes(lab, THERE) and not lab.engine.neighbours.leases


def test_without_probes_a_host_that_asks_elsewhere_has_moved_at_once() -> None:
    lab = Lab(dhcp_site(), disabled={"address-probes"})
    leased(lab)
    leased(lab, THERE)
    assert passes(lab, THERE) and not passes(lab, HERE)


@pytest.mark.row("D-3.3a")
def test_a_host_whose_old_port_goes_down_while_it_is_asked_has_moved_then() -> None:
    lab = Lab(dhcp_site())
    leased(lab)
    session = lab.session(OWN)
    asked_again(lab)
    lab.do(PortStatus(*HERE, False))
    assert wait(lab, 0.0) == [THERE] and passes(lab, THERE)
    (subflow,) = session.subflows
    assert (subflow.dpid, subflow.port) == THERE


@pytest.mark.parametrize("both", [False, True], ids=["its port", "its port and the old one"])
def test_a_host_whose_new_port_goes_down_while_its_old_one_is_asked_has_nothing_there(both: bool) -> None:
    lab = Lab(dhcp_site())
    leased(lab)
    asked_again(lab)
    if both:
        lab.do(PortStatus(*HERE, False))
    lab.do(PortStatus(*THERE, False))
    assert wait(lab) == [] and not passes(lab, THERE)
    assert passes(lab, HERE) is not both


@pytest.mark.parametrize("how", ["expired", "released"])
def test_a_host_whose_old_lease_ends_while_its_old_port_is_asked_has_moved_then(how: str) -> None:
    lab = Lab(dhcp_site())
    leased(lab)
    lab.now += LEASE - 0.3
    asked_again(lab)
    if how == "released":
        says(lab, HERE, DhcpType.RELEASE, own=OWN)
        assert wait(lab, 0.0) == [THERE]
    else:
        assert wait(lab, 0.4) == [THERE]
    assert passes(lab, THERE) and not passes(lab, HERE)
    assert lab.engine.neighbours.leases[packed(OWN)].client == CLIENT


def test_a_host_gets_no_address_that_became_an_mcps_while_its_old_port_was_asked() -> None:
    lab = Lab(dhcp_site())
    leased(lab)
    asked_again(lab)
    first, *others = lab.site.mcps
    lab.do(McpsReplaced((replace(first, addresses=(*first.addresses, ip_address(OWN))), *others)))
    assert wait(lab) == [] and not passes(lab, THERE) and not passes(lab, HERE)


def test_a_client_hears_nothing_of_an_address_that_it_may_not_claim_yet_and_has_it_when_it_asks_again() -> (
    None
):
    lab = Lab(dhcp_site())
    leased(lab)
    asked_again(lab)
    lab.do(NeighbourSeen(*HERE, packed(OWN), CLIENT))
    says(lab, THERE, DhcpType.REQUEST)
    assert says(lab, TRUSTED, DhcpType.ACK, given=OWN, lease=LEASE) == [], "refused a moment ago"
    assert wait(lab) == [] and not passes(lab, THERE) and PATIENCE > REFUSED_FOR
    asked_again(lab)
    assert wait(lab) == [THERE] and passes(lab, THERE)


@pytest.mark.parametrize("flaps", [False, True])
def test_the_host_to_which_the_server_gives_an_address_last_has_it(flaps: bool) -> None:
    lab = Lab(dhcp_site())
    leased(lab)
    asked_again(lab)
    if flaps:
        lab.do(PortStatus(*HERE, False))
        lab.do(PortStatus(*HERE, True))
    leased(lab)
    assert wait(lab) == [] and passes(lab, HERE) and not passes(lab, THERE)


def test_a_lease_that_moved_ends_in_time_whatever_ended_while_its_old_port_was_asked() -> None:
    lab = Lab(dhcp_site())
    leased(lab)
    leased(lab, client=THIEF, address="10.1.0.10")
    lab.now += LEASE - 10
    leased(lab)
    lab.now += 9.7
    asked_again(lab, lease=5)
    assert wait(lab, 0.4) == [] and len(lab.engine.neighbours.leases) == 1
    assert wait(lab, PATIENCE) == [THERE] and passes(lab, THERE)
    wait(lab, 5)
    assert not passes(lab, THERE) and not lab.engine.neighbours.leases


def test_a_host_whose_port_went_down_has_moved_at_once() -> None:
    lab = Lab(dhcp_site())
    leased(lab)
    lab.do(PortStatus(*HERE, False))
    leased(lab, THERE)
    assert passes(lab, THERE)


@pytest.mark.row("N-7.2a")
@pytest.mark.parametrize(
    ("port", "client"),
    [(THERE, CLIENT), (THERE, THIEF), (HERE, THIEF)],
    ids=["with its MAC", "in its name", "behind the same port"],
)
def test_who_is_given_a_clients_address_in_its_name_does_not_have_it_while_the_client_answers(
    port: tuple[int, int], client: bytes
) -> None:
    lab = Lab(dhcp_site())
    leased(lab)
    session = lab.session(OWN)
    for _ in range(3):
        asked_again(lab, port, client)
        lab.do(NeighbourSeen(*port, packed(OWN), THIEF))
        lab.do(NeighbourSeen(*HERE, packed(OWN), CLIENT))
        assert wait(lab) == [], "nor is it told that it has it"
        assert passes(lab, HERE) and not passes(lab, THERE)
    assert (packed(OWN), CLIENT, PortRef(*HERE)) in list(lab.engine.neighbours.hosts())
    (subflow,) = session.subflows
    assert (subflow.dpid, subflow.port) == HERE
    assert lab.engine.counters.refusals[Refusal.ADDRESS_TAKEN] == 3
    lab.now += LEASE
    lab.do(Tick())
    assert not passes(lab, HERE), "its lease is the one that it was given"


@pytest.mark.parametrize(
    ("client", "identifier", "is_told"),
    [
        (THIEF, b"", True),
        (THIEF, b"\1" + THIEF, True),
        (THIEF, b"\1" + CLIENT, False),
        (THIEF, b"\xff\0\0\0\1a name", False),
        (CLIENT, b"", False),
    ],
    ids=["MAC", "identifier of its MAC", "the holder's identifier", "any other", "the holder's MAC"],
)
def test_a_server_that_gave_a_live_address_is_told_where_it_took_nobody_for_its_holder(
    client: bytes, identifier: bytes, is_told: bool
) -> None:
    """A DHCPDECLINE takes the address from the client that the server knows. Where that may be the holder, in whose name
    somebody asked, the holder would lose it."""
    lab = Lab(dhcp_site())
    leased(lab)
    says(lab, THERE, DhcpType.REQUEST, client=client)
    says(lab, TRUSTED, DhcpType.ACK, client=client, given=OWN, lease=LEASE, identifier=identifier)
    outputs = dhcp(lab.give(NeighbourSeen(*HERE, packed(OWN), CLIENT)))
    assert sent_to(outputs) == ([TRUSTED] if is_told else [])
    for one in outputs:
        said = read_dhcp(one.frame)
        assert (said.kind, said.client, said.requested) == (DhcpType.DECLINE, THIEF, packed(OWN))
        assert (said.server, said.identifier) == (packed(DHCP_SERVER), identifier)
    assert passes(lab, HERE) and not passes(lab, THERE)
    assert not dhcp(lab.give(NeighbourSeen(*HERE, packed(OWN), CLIENT))), "once"


@pytest.mark.row("N-7.2a")
@pytest.mark.parametrize("answers", [True, False])
def test_who_was_bound_before_the_controller_started_is_asked_too(answers: bool) -> None:
    driver = Driver(dhcp_site())
    waypoint = driver.engine.map.attachments[PortRef(*HERE)].waypoint.id
    driver.up(1, hosts=[ObservedHost(1, waypoint, packed(OWN), CLIENT, 1)])
    driver.up(2)
    says(driver, THERE, DhcpType.REQUEST)
    told = says(driver, TRUSTED, DhcpType.ACK, given=OWN, lease=LEASE)
    assert sent_to(told) == [HERE]
    if answers:
        driver.give(NeighbourSeen(*HERE, packed(OWN), CLIENT))
    driver.now += PATIENCE + 0.1
    driver.give(Tick())
    assert driver.engine.neighbours.port_of(packed(OWN)) == PortRef(*(HERE if answers else THERE))


def test_who_was_bound_before_the_controller_started_stays() -> None:
    driver = Driver(dhcp_site())
    waypoint = driver.engine.map.attachments[PortRef(*HERE)].waypoint.id
    driver.up(1, hosts=[ObservedHost(1, waypoint, packed(OWN), CLIENT, 1)])
    driver.give(NeighbourSeen(*HERE, packed(OWN), CLIENT))
    driver.give(NeighbourSeen(*THERE, packed(OWN), THIEF))
    assert driver.engine.neighbours.port_of(packed(OWN)) == PortRef(*HERE)


def test_clients_of_one_port_are_bounded_and_push_out_nobody_elses() -> None:
    driver = Driver(dhcp_site())
    says(driver, THERE, DhcpType.DISCOVER)
    for number in range(2 * CLIENTS_EACH):
        says(driver, HERE, DhcpType.DISCOVER, client=b"\2\1" + number.to_bytes(4, "big"))
    told = says(driver, TRUSTED, DhcpType.OFFER, given=OWN, lease=LEASE)
    assert sent_to(told) == [THERE] and not driver.engine.neighbours.leases, "an offer gives nothing yet"
    assert says(driver, TRUSTED, DhcpType.OFFER, client=b"\2\1\0\0\0\0", given=OWN, lease=LEASE) == []


def test_ports_of_such_a_network_show_dhcp_and_forward_none() -> None:
    lab = Lab(dhcp_site())
    for source, port in (("0.0.0.0", 68), ("10.1.0.53", 67)):
        asked = udp(
            source,
            port,
            "255.255.255.255",
            135 - port,
            eth_src="02:00:00:00:01:01",
            eth_dst="ff:ff:ff:ff:ff:ff",
        )
        seen = lab.send(*HERE, asked)
        assert not seen.deliveries and [copy.packet_class for copy in seen.copies] == [PacketClass.DHCP]
    assert not lab.send(2, 1, asked).copies, "the WLAN's hosts are not told by DHCP"


@pytest.mark.row("N-7.2a")
def test_a_lease_that_was_kept_lets_its_host_send_once_its_switch_is_there() -> None:
    lab = Lab(dhcp_site(), kept=KeptState(leases=(KeptLease(PortRef(*HERE), CLIENT, packed(OWN), 5.0),)))
    assert passes(lab, HERE) and not passes(lab, THERE)
    lab.now += 6.0
    lab.do(Tick())
    assert not passes(lab, HERE)
