"""Which MCP a join is led to: the one of its session. A strategy, so that a lab can inject one that is wrong."""

from typing import Protocol

from steering.core.network.site_index import SiteMap
from steering.core.sessions.records import Session


class Destination(Protocol):
    """Which MCP a session's joins are led to."""

    def waypoint(self, session: Session) -> int:
        """The waypoint of its inside; 0 if there is none any more."""


class OwnMcp:
    """A join comes to exactly the MCP of its session (D-6.2c)."""

    def __init__(self, sitemap: SiteMap) -> None:
        self._map = sitemap

    def waypoint(self, session: Session) -> int:
        inside = self._map.inside.get(session.mcp)
        return 0 if inside is None else inside.id
