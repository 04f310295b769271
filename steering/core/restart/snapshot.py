"""What has to outlive a controller and is in no flow table: told for the store, and taken back (D-6.4g, N-5.6.1k3, S-18).

Taking back has two steps. `take` comes before any switch: links, who is led by entries, what is reserved, so that each
switch is filled with what it holds and nothing lapses. `finish` comes when the switches have told of their sessions.
"""

from collections.abc import Callable, Iterator

from steering.core.counters import Counters
from steering.core.inputs import Restored
from steering.core.network.graph import Graph
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.proactive.learned_sessions import Answered
from steering.core.proactive.units import Proactive
from steering.core.reservations.service import Reserving
from steering.core.sessions.table import SessionTable, Subflow
from steering.core.subflow_priority import Preferring
from steering.model.kept import KeptNetwork, KeptReservation, KeptSession, KeptUnit, KeptUsage, Lost
from steering.model.network import PortRef, PortRole
from steering.model.session import EntryKind, SessionState

LOOKED_AT = 5_000  # sessions of `over` at a time
MOST_SESSIONS = 100_000  # that are kept
_LIVE = (SessionState.ESTABLISHED, SessionState.PLAIN)


class Keeping:
    """`unconfirmed`: the engine's links that have yet to be seen (again), and until when that is waited for."""

    def __init__(
        self,
        sitemap: SiteMap,
        graph: Graph,
        table: SessionTable,
        reserving: Reserving,
        preferring: Preferring,
        proactive: Proactive,
        answered: Answered,
        counters: Counters,
        unconfirmed: dict[tuple[PortRef, PortRef], float],
    ) -> None:
        self._map = sitemap
        self._graph = graph
        self._table = table
        self._reserving = reserving
        self._preferring = preferring
        self._proactive = proactive
        self._answered = answered
        self._counters = counters
        self._unconfirmed = unconfirmed
        self._mcps = {mcp.name: mcp.id for mcp in sitemap.site.mcps}
        self._sessions: tuple[KeptSession, ...] = ()
        self._told: dict[int, None] = {}  # ids of the sessions that are kept
        self._looking: Iterator[int] = iter(())
        self.finished = False  # all that will be taken back has been

    # ---- to be kept -----------------------------------------------------------------------------

    def marks(self) -> dict[str, Callable[[], int]]:
        """What is kept as a whole -> a number that is another when it has changed."""
        return {
            "network": lambda: self._graph.version + self._proactive.changes,
            "reservations": lambda: self._reserving.changes,
            "usage": lambda: self._preferring.changes,
        }

    def network(self) -> KeptNetwork:
        """Links and who is led. Links of the site file need not be kept."""
        site, proactive = self._map.site, self._proactive
        links = tuple((link.a, link.b) for link in self._graph.links()) if site.discover else ()
        units = (
            KeptUnit(u.name, u.prefixes, self._map.mcps[u.mcp].name, u.name in proactive.strays)
            for u in proactive.units.values()
        )
        return KeptNetwork(links, tuple(units))

    def reservations(self, now: float) -> tuple[KeptReservation, ...]:
        return self._reserving.kept(now)

    def usage(self) -> KeptUsage:
        return self._preferring.kept()

    def sessions(self) -> tuple[list[tuple[int, KeptSession]], list[int]]:
        """Sessions by id that began or changed since this was asked last, and the ids of those that are over; of
        these some each time. Those that got entries of their own are over here: switches hold them."""
        begun: list[tuple[int, KeptSession]] = []
        news = self._answered.news
        while news:
            number, _ = news.popitem()
            told = self._told_of(number)
            if told is not None and (number in self._told or len(self._told) < MOST_SESSIONS):
                self._told[number] = None
                begun.append((number, told))
        return begun, self._over()

    def _told_of(self, number: int) -> KeptSession | None:
        session = self._table.by_id.get(number)
        if session is None or session.unit is None or session.returns or session.state not in _LIVE:
            return None  # one that is closing is over by the time somebody reads this
        mcp = self._map.mcps.get(session.mcp)
        if mcp is None:
            return None  # its MCP was taken out, and it ends with it
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

    # ---- taken back -----------------------------------------------------------------------------

    def take(self, restored: Restored, now: float) -> list[Output]:
        """What an earlier controller kept; before any switch is there."""
        kept = restored.kept
        for a, b in kept.network.links:
            self._lose(Lost.LINK, not self._take_link(a, b))
        units = [unit for unit in kept.network.units if self._may_lead(unit)]
        self._lose(Lost.UNIT, len(kept.network.units) - len(units))
        self._proactive.resume((u.name, u.prefixes, self._mcps[u.mcp], u.asked) for u in units)
        for told in kept.reservations:
            self._lose(Lost.RESERVATION, not self._reserving.restore(told, now))
        self._lose(Lost.RECORD, self._preferring.restore(kept.usage))
        self._sessions = kept.sessions
        return []

    def _lose(self, what: Lost, how_many: int) -> None:
        if how_many:
            self._counters.not_restored[what] += how_many

    def _take_link(self, a: PortRef, b: PortRef) -> bool:
        """Believed until both ends had time to show it, as one whose switch was away for a moment."""
        known = self._map.switches
        ends = self._map.attachments
        if not self._map.site.discover or a.dpid not in known or b.dpid not in known or {a, b} & ends.keys():
            return False
        self._graph.add(a, b)
        self._unconfirmed[a, b] = float("inf")
        return True

    def _may_lead(self, unit: KeptUnit) -> bool:
        prefixes = self._map.access_prefixes()
        return unit.mcp in self._mcps and all(
            any(p.version == q.version and p.subnet_of(q) for q in prefixes)  # type: ignore[arg-type]
            for p in unit.prefixes
        )

    def finish(self, now: float) -> list[Output]:
        """Every switch has told of its sessions, or had the time to."""
        sessions, self._sessions, self.finished = self._sessions, (), True
        outputs: list[Output] = []
        for told in sessions:
            outputs += self._take_session(told, now)
        self._preferring.returned()
        self._reserving.returned()
        self._proactive.resumed(now)
        return outputs

    def _take_session(self, told: KeptSession, now: float) -> list[Output]:
        table, mcp = self._table, self._mcps.get(told.mcp, 0)
        known = any(key in table.flows for key, _, _ in told.flows) or (
            told.token >= 0 and any(s.mcp == mcp for s in table.with_token(told.token))
        )
        if known:
            return []  # a switch holds it, or it has begun anew
        if not mcp or not table.has_room or any(d not in self._map.switches for _, d, _ in told.flows):
            self._lose(Lost.SESSION, 1)
            return []
        session = table.create(mcp, None, now)
        session.unit, session.version, session.first = told.unit, told.version, told.first
        for key, dpid, isn in told.flows:
            kind = EntryKind.INITIAL if key == told.first else EntryKind.JOIN
            table.add_subflow(Subflow(session, kind, key, dpid, PortRole.ACCESS, 0, isn))
        if told.token >= 0:
            table.learn(session, told.token)
        table.settle(session, SessionState.ESTABLISHED if told.token >= 0 else SessionState.PLAIN)
        self._counters.sessions_recovered += 1
        self._answered.news[session.id] = None
        unit = self._proactive.units.get(told.unit)
        if unit is None or unit.mcp != mcp:
            return self._proactive.pin(session)
        if told.token >= 0:
            self._proactive.note(unit, session)
        return []
