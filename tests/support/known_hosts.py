"""Known hosts behind a port that gets more SYNs than its meter lets through."""

from dataclasses import replace

from steering.core.inputs import SynRate
from steering.core.packet_inputs import NeighbourSeen
from steering.core.pipeline.priorities import KNOWN
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import HostLearning, PortRef
from steering.model.policy import Policy
from steering.model.rules import Rule, Table
from tests.support.sites import off_path_site, packed
from tests.support.switched import Lab

FLOOD = 30_000.0  # SYNs a second
LIMIT = 1_000  # of a port's meter, the default
LTE = PortRef(DatapathId(1), PortNumber(1))
OUTSIDER = "02:66:66:66:66:66"


def made(policy: Policy | None = None, hosts: HostLearning = HostLearning.LEARNED, **options: object) -> Lab:
    site = off_path_site()
    lte, wlan = site.access_networks
    return Lab(replace(site, access_networks=(replace(lte, hosts=hosts), wlan)), policy, **options)


def mac(number: int) -> str:
    return f"02:00:00:00:01:{number:02x}"


def host(number: int) -> str:
    return f"10.1.0.{number}"


def seen(lab: Lab, address: str, by: str, port: PortRef = LTE) -> None:
    """A host answered ARP or neighbour discovery, with the MAC `by`."""
    lab.do(NeighbourSeen(port.dpid, port.port, packed(address), bytes.fromhex(by.replace(":", ""))))


def known(lab: Lab, *numbers: int) -> None:
    for number in numbers:
        seen(lab, host(number), mac(number))


def counted(lab: Lab, rate: float, port: int = 1) -> None:
    lab.do(SynRate(DatapathId(1), PortNumber(port), rate))


def own_rules(lab: Lab, dpid: int = 1) -> list[Rule]:
    return [rule for rule in lab.network[dpid].rules(Table.CLASSIFY) if rule.priority == KNOWN]


def sources(lab: Lab) -> set[object]:
    """The addresses that have a meter of their own."""
    return {dict(rule.match).get("ipv4_src") or dict(rule.match)["ipv6_src"] for rule in own_rules(lab)}
