"""Enforces reserved rates with labels and meters (OpenFlow 1.3). No queues have to be configured.

* At the switch where a leg begins, the reserved flows get labels with the path number of their reservation. A meter limits
  them to the reserved rate, so that nobody reserves 1 Mbit/s and sends 100.
* Switches on the way forward packets with this label along the leg's path.
* Where such a path leaves a switch, all traffic with path number 0 to the same port goes through a "rest" meter. Its rate is
  the link's capacity minus the granted rates. Thus the reserved rate is always free, whatever other traffic there is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address

from steering.core.network.graph import Graph
from steering.core.network.site_index import SiteMap
from steering.core.pipeline.match_fields import match, prefix_value
from steering.core.pipeline.priorities import M_SESSION, ON_PATH, SHARED, SUBFLOW, SUBSCRIBER
from steering.core.reservations.capacity import LinkCapacity
from steering.core.reservations.record import Match, PathLeg, Reservation
from steering.core.sessions.flow_key import FlowKey, parts_of
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import Network, PortRef
from steering.model.reservation import Level
from steering.model.rules import (
    WAYPOINT_MASK,
    Meter,
    MeterBand,
    OutputAction,
    Rule,
    RuleKey,
    SetField,
    Table,
    label_mac,
    static_cookie,
)

IPV4, IPV6, TCP = 0x0800, 0x86DD, 6
RELABEL = {Level.SUBSCRIBER: SUBSCRIBER, Level.SESSION: M_SESSION, Level.SUBFLOW: SUBFLOW}  # priorities
FLOOR = 100  # at least 1/FLOOR of a link's capacity is left to unreserved traffic
BURST = 0.25  # burst of a reservation's meter, as seconds at its rate: TCP needs some burst
SHARED_BURST = 0.05  # the same for the meter of a rest
KILO = 1000


class SwitchReservations:
    """The rules and meters that one switch should hold for reservations."""

    def __init__(self) -> None:
        self.rules: dict[RuleKey, Rule] = {}
        self.meters: dict[int, MeterBand] = {}

    def add(self, rule: Rule) -> None:
        self.rules[rule.key] = rule


class Builder:
    """Makes the rules and meters of reservations, from the present links and labels."""

    def __init__(
        self,
        sitemap: SiteMap,
        graph: Graph,
        capacity: LinkCapacity,
        epochs: Mapping[DatapathId, int],
        kept: Callable[[PortRef], Iterable[str]],
    ) -> None:
        self._map = sitemap
        self._graph = graph
        self._capacity = capacity
        self._epochs = epochs
        self._kept = kept  # returns the labels of old paths that leave by a port (core.rerouting)

    def of(
        self, one: Reservation, prefixes: Mapping[str, tuple[Network, ...]]
    ) -> dict[DatapathId, SwitchReservations]:
        """The rules and meters of one granted reservation, by switch. `prefixes`: of each subscriber."""
        found: dict[DatapathId, SwitchReservations] = {}
        for leg, hops in zip(one.legs, one.routes, strict=True):
            if hops:
                self._leg(found, one, leg, [a for a, _ in hops], prefixes)
        return found

    def _leg(
        self,
        found: dict[DatapathId, SwitchReservations],
        one: Reservation,
        leg: PathLeg,
        ports: list[PortRef],
        prefixes: Mapping[str, tuple[Network, ...]],
    ) -> None:
        meter = Meter.RESERVED_BASE + 2 * one.slot + leg.upward
        ingress = found.setdefault(leg.pair[0], SwitchReservations())
        ingress.meters[meter] = _band(meter, one.rate, BURST)
        cookie = static_cookie(self._epochs[leg.pair[0]])
        for waypoint in leg.waypoints:
            label = label_mac(waypoint, one.number)
            for fields in self._flows(one, leg, prefixes):
                ingress.add(
                    Rule(
                        Table.LABEL, RELABEL[one.wish.level], match(**fields, eth_dst=label_mac(waypoint)),
                        (SetField("eth_dst", label), OutputAction(ports[0].port)), cookie=cookie, meter=meter,
                    )
                )  # fmt: skip
            for port in ports[1:]:
                on_path = Rule(
                    Table.LABEL, ON_PATH, match(eth_dst=label), (OutputAction(port.port),),
                    cookie=static_cookie(self._epochs[port.dpid]),
                )  # fmt: skip
                found.setdefault(port.dpid, SwitchReservations()).add(on_path)
            end = Rule(
                Table.LABEL, ON_PATH, match(eth_dst=label), goto=Table.HOST, metadata=(waypoint, WAYPOINT_MASK),
                cookie=static_cookie(self._epochs[leg.pair[1]]),
            )  # fmt: skip
            found.setdefault(leg.pair[1], SwitchReservations()).add(end)

    def _flows(
        self, one: Reservation, leg: PathLeg, prefixes: Mapping[str, tuple[Network, ...]]
    ) -> Iterator[Match]:
        """The match fields of a reservation's flows on one leg."""
        if one.wish.level is Level.SUBSCRIBER:
            side = "src" if leg.upward else "dst"
            for prefix in prefixes.get(one.subscriber, ()):
                family = 4 if prefix.version == 4 else 6
                yield {
                    "eth_type": IPV4 if family == 4 else IPV6, "ip_proto": TCP,
                    f"ipv{family}_{side}": prefix_value(prefix),
                }  # fmt: skip
            return
        for key in self._keys(one, leg):
            yield five_tuple(key, leg.upward)

    def _keys(self, one: Reservation, leg: PathLeg) -> Iterator[FlowKey]:
        if not leg.host:
            if one.first:
                yield one.first
            return
        edge = leg.pair[0] if leg.upward else leg.pair[1]
        for key, dpid in one.places:
            if dpid == edge:
                yield key

    def rest(self, port: PortRef, rate: int, labels: Iterable[str]) -> SwitchReservations:
        """The meter and rules that limit unreserved traffic to the rest of a link, of which `rate` bits/s are granted.
        `labels`: the labels with path number 0 that leave by its port."""
        wanted = SwitchReservations()
        meter = Meter.LINK_BASE + port.port
        capacity = self._capacity.of(port)
        wanted.meters[meter] = _band(meter, max(capacity - rate, capacity // FLOOR), SHARED_BURST)
        cookie = static_cookie(self._epochs[port.dpid])
        for label in (*labels, *self._kept(port)):
            wanted.add(
                Rule(
                    Table.LABEL, SHARED, match(eth_dst=label), (OutputAction(port.port),), cookie=cookie, meter=meter
                )
            )  # fmt: skip
        return wanted

    def labels_at(self, dpid: DatapathId) -> dict[PortNumber | None, list[str]]:
        """The labels with path number 0, by the port by which they leave a switch."""
        found: dict[PortNumber | None, list[str]] = {}
        for end, attachments in self._map.at_switch.items():
            leaving = found.setdefault(self._graph.next_hop(dpid, end), [])
            leaving += [label_mac(attachment.waypoint.id) for attachment in attachments]
        return found


def _band(meter: int, rate: int, burst: float) -> MeterBand:
    kilobits = max(1, rate // KILO)
    return MeterBand(meter, kilobits, max(100, int(kilobits * burst)), kilobits=True)


def five_tuple(key: FlowKey, upward: bool) -> Match:
    """The match fields of a subflow in the direction from the host, or if not `upward` in the direction to the host."""
    family, source, destination, source_port, destination_port = parts_of(key)
    ends = (str(ip_address(source)), str(ip_address(destination)))
    ports = (source_port, destination_port)
    if not upward:
        ends, ports = ends[::-1], ports[::-1]
    return {
        "eth_type": IPV4 if family == 4 else IPV6, "ip_proto": TCP,
        f"ipv{family}_src": ends[0], f"ipv{family}_dst": ends[1],
        "tcp_src": ports[0], "tcp_dst": ports[1],
    }  # fmt: skip
