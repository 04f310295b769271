"""Inputs about the state of MCPs, ports and access networks and about the time of day, on which decisions depend."""

from steering.core.inputs import AccessChanged, McpAdmin, McpReport, PortLoad, TimeOfDay
from steering.core.network.graph import Graph
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.selection.chooser import Chooser
from steering.core.selection.mcp_probes import McpProbes
from steering.core.subflow_priority import SubflowPriorities
from steering.model.network import AccessNetwork, Mcp, PortRef


class Conditions:
    """Handlers of the engine. Each passes its input on to the chooser of MCPs, or to the ranking of live subflows."""

    def __init__(
        self,
        sitemap: SiteMap,
        graph: Graph,
        chooser: Chooser,
        probes: McpProbes,
        preferring: SubflowPriorities,
    ) -> None:
        self._map = sitemap
        self._graph = graph
        self._chooser = chooser
        self._probes = probes
        self._preferring = preferring

    def mcp_admin(self, given: McpAdmin, now: float) -> list[Output]:
        """An operator drains an MCP, or lets it have sessions again."""
        if given.mcp in self._chooser.health:
            self._chooser.health[given.mcp].draining = given.draining
            self._chooser.refresh(now)
        return []

    def mcp_report(self, given: McpReport, now: float) -> list[Output]:
        """An MCP reports its health and load."""
        if given.mcp in self._chooser.health:
            self._chooser.health[given.mcp].report(
                given.alive, given.load, now, given.pace if self._probes.enabled else None
            )
            self._chooser.refresh(now)
        return []

    def port_load(self, given: PortLoad, now: float) -> list[Output]:
        """A port's utilisation counts for what is behind the port: an MCP, an access network, or a link."""
        for port in self._map.carried.get(given.dpid, {}).get(given.port, ()):
            self.port_load(given._replace(port=port.port), now)
        attachment = self._map.at.get((given.dpid, given.port))
        if attachment is not None and isinstance(attachment.part, Mcp):
            self._chooser.health[attachment.part.id].use(given.utilisation, now)
        elif attachment is not None and isinstance(attachment.part, AccessNetwork):
            self._preferring.port_load(attachment.part, PortRef(given.dpid, given.port), given.utilisation)
        elif attachment is None and given.port in self._graph.core_ports(given.dpid):
            self._chooser.link_load(PortRef(given.dpid, given.port), given.utilisation)
        return []

    def access_changed(self, given: AccessChanged, now: float) -> list[Output]:
        """An access network has another type or trust. Joins and live subflows are judged by the new values (D-6.3e)."""
        known = self._chooser.access.get(given.name)
        if known is not None:
            self._chooser.access[given.name] = (given.type or known[0], given.trust or known[1])
            self._preferring.look_again()
        return []

    def time_of_day(self, given: TimeOfDay, now: float) -> list[Output]:
        """Rules with time windows begin and end (D-3.2c)."""
        self._chooser.minute = given.minute % 10_080
        self._preferring.new_minute(self._chooser.minute)
        return []
