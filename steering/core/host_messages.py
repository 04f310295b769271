"""Handles packets from hosts, MCPs and next hops that are no handshakes: ARP and ND, ICMP errors, packets to hosts that
are not known yet, and packets whose TTL has run out."""

from collections.abc import Mapping

from steering.core.network.gateway_messages import advertisement, ttl_expired
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.outputs import Output
from steering.core.packet_inputs import HostMissed, IcmpErrorSeen, NeighbourSeen, RouterSolicited, TtlExpired
from steering.core.part import Handler
from steering.core.selection.chooser import Chooser
from steering.core.sessions.host_mobility import HostMobility
from steering.core.sessions.leg_errors import LegErrors
from steering.model.network import PortRef


class HostMessages:
    """The engine's handlers for these packets."""

    def __init__(
        self,
        sitemap: SiteMap,
        switches: Switches,
        neighbours: Neighbours,
        chooser: Chooser,
        mobility: HostMobility,
        errors: LegErrors,
    ) -> None:
        self._map = sitemap
        self._switches = switches
        self._neighbours = neighbours
        self._chooser = chooser
        self._mobility = mobility
        self._errors = errors

    def handlers(self) -> Mapping[type, Handler]:
        """The handler of each kind of input."""
        return {
            NeighbourSeen: self._neighbour,
            HostMissed: self._missed,
            IcmpErrorSeen: self._icmp_error,
            RouterSolicited: lambda seen, now: advertisement(self._map, PortRef(seen.dpid, seen.port)),
            TtlExpired: lambda seen, now: ttl_expired(self._map, seen),
        }

    def _neighbour(self, seen: NeighbourSeen, now: float) -> list[Output]:
        attachment = self._map.at.get((seen.dpid, seen.port))
        if attachment is None:
            return []
        transit = self._neighbours.transit
        is_news = attachment.role.is_mcp and not transit.speaks(attachment.waypoint.id, now)
        heard = self._neighbours.learn(attachment, seen.address, seen.mac, now)
        if is_news:  # MCPs are asked several times a second, and most answers change no choice
            self._chooser.refresh(now)
        followed = self._mobility.heard(heard.standing, attachment, seen.address, now)
        return followed + self._switches.to_filled(heard.outputs)  # in this order: host_mobility says why

    def _missed(self, seen: HostMissed, now: float) -> list[Output]:
        attachment = self._map.by_waypoint.get(seen.waypoint)
        if attachment is None or attachment.role.is_mcp:
            return []
        return self._neighbours.missed(attachment, seen.address, seen.frame, now)

    def _icmp_error(self, seen: IcmpErrorSeen, now: float) -> list[Output]:
        attachment = self._map.at.get((seen.dpid, seen.port))
        return [] if attachment is None else self._errors.seen(attachment, seen)
