"""Handles ports and links that come up or go down: paths, hosts behind a port, and the MCP at a port depend on them."""

from steering.core.inputs import LinkDown, LinkUp, PortStatus
from steering.core.network.links import BelievedLinks
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.outputs import Output
from steering.core.pipeline.resync import Resync
from steering.core.selection.chooser import Chooser
from steering.core.subflow_priority import SubflowPriorities
from steering.model.network import Mcp, PortRef


class PortStates:
    """The engine's handlers for ports and links."""

    def __init__(
        self,
        sitemap: SiteMap,
        switches: Switches,
        links: BelievedLinks,
        neighbours: Neighbours,
        chooser: Chooser,
        preferring: SubflowPriorities,
        resync: Resync,
    ) -> None:
        self._map = sitemap
        self._switches = switches
        self._links = links
        self._neighbours = neighbours
        self._chooser = chooser
        self._preferring = preferring
        self._resync = resync

    def status(self, status: PortStatus, now: float) -> list[Output]:
        """A switch reports the state of a port. The tagged ports that this port carries get the same state."""
        switch = self._switches.get(status.dpid)
        if switch is None:
            return []
        before = switch.drop(status.port, status.gone)
        if not status.gone:
            switch.take(status.port, status.up, status.name, status.speed)
        port = PortRef(status.dpid, status.port)
        outputs: list[Output] = []
        if not status.up:
            if self._links.port_down(port, now):
                outputs += self._resync.begin()
        elif before is not True:
            self._links.port_up(port, now)
        for carried in self._map.carried.get(status.dpid, {}).get(status.port, ()):
            outputs += self.status(status._replace(port=carried.port), now)
        return outputs + self.of_attachment(port, status.up, now)

    def of_attachment(self, port: PortRef, up: bool, now: float) -> list[Output]:
        """The port of an attachment came up or went down. Ports of links are ignored."""
        attachment = self._map.attachments.get(port)
        if attachment is None:
            return []
        self._preferring.port(port, up)
        if isinstance(attachment.part, Mcp):
            self._chooser.health[attachment.part.id].port(port, up, now)
        outputs = [] if up else self._switches.to_filled(self._neighbours.port_down(attachment, now))
        self._chooser.refresh(now)
        return outputs

    def link_up(self, link: LinkUp, now: float) -> list[Output]:
        """Discovery has found a link."""
        self._links.up(link.a, link.b)
        return []

    def link_down(self, link: LinkDown, now: float) -> list[Output]:
        """Discovery no longer finds a link. Paths will avoid it."""
        return self._resync.begin() if self._links.down(link.a, link.b) else []
