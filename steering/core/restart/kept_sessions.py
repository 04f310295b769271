"""Keeps and restores the sessions of proactive insertion. These have no entries of their own in switches, so the store keeps
them (S-18).

The store gets news of sessions that begin and end, some at a time. After a restart, these sessions are restored when all
other sessions have been read back from the switches.
"""

from collections.abc import Iterator

from steering.core.counters import Counters
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import Part
from steering.core.proactive.learned_sessions import LearnedSessions
from steering.core.proactive.units import ProactiveInsertion
from steering.core.sessions.table import SessionTable
from steering.core.sessions.transitions import Beginning, SessionLife
from steering.model.ids import NO_MCP, NO_WAYPOINT, Token
from steering.model.kept import KeptSession, KeptState, LostPiece
from steering.model.network import PortRole
from steering.model.session import EntryKind, SessionState

LOOKED_AT = 5_000  # sessions that one call of `news` examines for their end
MOST_SESSIONS = 100_000  # most sessions that are kept
_LIVE = (SessionState.ESTABLISHED, SessionState.PLAIN)


class KeptSessions(Part):
    """Gives the store only changes (`news`), because writing all sessions each second would be too much."""

    def __init__(
        self,
        sitemap: SiteMap,
        table: SessionTable,
        life: SessionLife,
        proactive: ProactiveInsertion,
        answered: LearnedSessions,
        counters: Counters,
    ) -> None:
        self._map = sitemap
        self._table = table
        self._life = life
        self._proactive = proactive
        self._answered = answered
        self._counters = counters
        self._mcps = {mcp.name: mcp.id for mcp in sitemap.site.mcps}
        self._sessions: tuple[KeptSession, ...] = ()
        self._told: dict[int, None] = {}  # ids of the sessions that are kept
        self._looking: Iterator[int] = iter(())
        self.finished = False  # restoring is over

    # ---- keeping --------------------------------------------------------------------------------

    def news(self) -> tuple[list[tuple[int, KeptSession]], list[int]]:
        """Sessions (by id) that began or changed since the last call, and the ids of sessions that are over.

        Each call finds only some of those that are over. A session that got entries of its own counts as over here, because
        the switches hold it.
        """
        begun: list[tuple[int, KeptSession]] = []
        fresh = self._answered.news
        half_open = [number for number in fresh if number in self._table.half_open]
        while fresh:
            number, _ = fresh.popitem()
            told = self._told_of(number)
            if told is not None and (number in self._told or len(self._told) < MOST_SESSIONS):
                self._told[number] = None
                begun.append((number, told))
        fresh.update(dict.fromkeys(half_open))  # half-open sessions stay news until their host has confirmed
        return begun, self._over()

    def _told_of(self, number: int) -> KeptSession | None:
        session = self._table.by_id.get(number)
        if session is None or session.unit is None or session.returns or session.state not in _LIVE:
            return None  # a closing session is over by the time a later controller reads it
        mcp = self._map.mcps.get(session.mcp)
        if mcp is None:
            return None  # the MCP was removed from the site, and the session ends with it
        return KeptSession(
            session.unit, mcp.name, session.token, session.version, session.first,
            tuple((s.key, s.dpid, s.isn) for s in session.subflows),
        )  # fmt: skip

    def _over(self) -> list[int]:
        found = []
        for _ in range(min(LOOKED_AT, len(self._told))):
            number = next(self._looking, None)
            if number is None:
                self._looking = iter(tuple(self._told))
                break
            if number in self._told and self._told_of(number) is None:
                del self._told[number]
                found.append(number)
        return found

    # ---- restoring ------------------------------------------------------------------------------

    def restore(self, kept: KeptState, now: float) -> dict[LostPiece, int]:
        self._sessions = kept.sessions
        return {}

    def recovered(self, now: float) -> list[Output]:
        sessions, self._sessions, self.finished = self._sessions, (), True
        return [output for told in sessions for output in self._take_session(told, now)]

    def _take_session(self, told: KeptSession, now: float) -> list[Output]:
        table, mcp = self._table, self._mcps.get(told.mcp, NO_MCP)
        known = any(key in table.flows for key, _, _ in told.flows) or (
            told.token >= 0 and any(s.mcp == mcp for s in table.with_token(Token(told.token)))
        )
        if known:
            return []  # a switch holds the session, or it has begun anew
        if not mcp or not table.has_room or any(d not in self._map.switches for _, d, _ in told.flows):
            self._counters.not_restored[LostPiece.SESSION] += 1
            return []
        how = Beginning.FOUND_WITH_TOKEN if told.token >= 0 else Beginning.FOUND_PLAIN
        session = self._life.begin(
            how, mcp, None, now, first=told.first, version=told.version, unit=told.unit
        )
        for key, dpid, isn in told.flows:
            kind = EntryKind.INITIAL if key == told.first else EntryKind.JOIN
            table.begin_subflow(session, kind, key, dpid, PortRole.ACCESS, NO_WAYPOINT, isn, now)
        if told.token >= 0:
            table.learn(session, Token(told.token))
        self._counters.sessions_recovered += 1
        self._answered.news[session.id] = None
        unit = self._proactive.units.get(told.unit)
        if unit is None or unit.mcp != mcp:
            return self._proactive.pin(session)
        if told.token >= 0:
            self._proactive.note(unit, session)
        return []
