"""The MCP that a join is led to: its session's. A strategy object, so that a lab can inject one that is wrong."""

from typing import Protocol

from steering.core.network.site_index import SiteMap
from steering.core.sessions.records import Session
from steering.model.ids import NO_WAYPOINT, WaypointId


class Destination(Protocol):
    """Tells which MCP a session's joins are led to."""

    def waypoint(self, session: Session) -> WaypointId:
        """The waypoint of its inside; NO_WAYPOINT if there is none any more."""


class OwnMcp:
    """A join comes to exactly the MCP of its session (D-6.2c)."""

    def __init__(self, sitemap: SiteMap) -> None:
        self._map = sitemap

    def waypoint(self, session: Session) -> WaypointId:
        inside = self._map.inside.get(session.mcp)
        return NO_WAYPOINT if inside is None else inside.id
