"""The MCP to which a join is led: the MCP of its session. It is a strategy object, so that a lab can inject a wrong one."""

from typing import Protocol

from steering.core.network.site_index import SiteMap
from steering.core.sessions.records import Session
from steering.model.ids import NO_WAYPOINT, WaypointId


class Destination(Protocol):
    """Decides to which MCP a session's joins are led."""

    def waypoint(self, session: Session) -> WaypointId:
        """The waypoint of the MCP's inside port, NO_WAYPOINT if the site no longer has the MCP."""


class OwnMcp:
    """Leads joins to the MCP of their session (D-6.2c)."""

    def __init__(self, sitemap: SiteMap) -> None:
        self._map = sitemap

    def waypoint(self, session: Session) -> WaypointId:
        inside = self._map.inside.get(session.mcp)
        return NO_WAYPOINT if inside is None else inside.id
