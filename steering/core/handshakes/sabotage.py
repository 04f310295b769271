"""Handles joins wrongly on purpose, for negative controls whose effect a lab has to see (`--disable wrong-mcp`,
`token-lookup`). The assembly uses these objects in place of the right ones. The handlers do not know this.
"""

from steering.core.handshakes.join_destination import Destination, OwnMcp
from steering.core.handshakes.mp_capable import FirstSyns
from steering.core.handshakes.syn import JoinReceiver
from steering.core.inputs import SynSeen
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.outputs import Output
from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.records import Session
from steering.model.ids import NO_WAYPOINT, WaypointId
from steering.model.mechanism import Mechanism


class AnotherMcp:
    """Leads joins to another MCP than that of their session, if there is another one."""

    def __init__(self, sitemap: SiteMap) -> None:
        self._map = sitemap
        self._own = OwnMcp(sitemap)

    def waypoint(self, session: Session) -> WaypointId:
        own = self._own.waypoint(session)
        others = (inside.id for mcp, inside in self._map.inside.items() if mcp != session.mcp)
        return next(others, own) if own else NO_WAYPOINT


class JoinsTakenForFirstSyns:
    """Handles a join as if it were a first SYN, without looking up its token."""

    def __init__(self, first_syns: FirstSyns) -> None:
        self._first_syns = first_syns

    def seen(self, attachment: Attachment, seen: SynSeen, key: FlowKey, now: float) -> list[Output]:
        return self._first_syns.seen(attachment, seen, key, now)


_DESTINATIONS = {Mechanism.WRONG_MCP: AnotherMcp}
_HANDLERS = {Mechanism.TOKEN_LOOKUP: JoinsTakenForFirstSyns}


def destination(sitemap: SiteMap, disabled: frozenset[Mechanism]) -> Destination:
    """The strategy that leads joins: the right one, unless a lab has switched it off."""
    for mechanism, wrong in _DESTINATIONS.items():
        if mechanism in disabled:
            return wrong(sitemap)
    return OwnMcp(sitemap)


def handler(joins: JoinReceiver, first_syns: FirstSyns, disabled: frozenset[Mechanism]) -> JoinReceiver:
    """The handler of joins: `joins`, the right one, unless a lab has switched it off."""
    for mechanism, wrong in _HANDLERS.items():
        if mechanism in disabled:
            return wrong(first_syns)
    return joins
