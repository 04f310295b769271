"""The names of the site file for switches, ports and expected things."""

from steering.core.network.site_index import SiteMap
from steering.core.supervision.expected_things import Thing
from steering.model.ids import DatapathId, McpId
from steering.model.network import PortRef
from steering.model.supervision import ThingKind


class ThingNames:
    """The current names. After a change of the site, a new object has to be made."""

    def __init__(self, sitemap: SiteMap) -> None:
        self._map = sitemap
        self._switches = {dpid: name for name, dpid in sitemap.site.switches.items()}

    def switch(self, dpid: DatapathId) -> str:
        return self._switches.get(dpid, f"{dpid:016x}")

    def port(self, port: PortRef) -> str:
        known = self._map.at.get((port.dpid, port.port))
        place = port.place if known is None else known.waypoint.port.place
        return f"{self.switch(port.dpid)}:{place}"

    def of(self, thing: Thing) -> tuple[str, str | None]:
        """The name of a thing, and its port as `switch:number`. The port is None for switches and links."""
        kind, key = thing
        if isinstance(key, PortRef):
            attachment = self._map.attachments.get(key)
            return "" if attachment is None else attachment.name, self.port(key)
        if isinstance(key, tuple):
            return "-".join(self.port(end) for end in key), None
        if kind is ThingKind.SWITCH:
            return self.switch(DatapathId(key)), None
        mcp = self._map.mcps.get(McpId(key))
        return (f"{key:04x}", None) if mcp is None else (mcp.name, self.port(mcp.inside))
