"""Rebuilds sessions from the entries that switches hold.

An entry's cookie has owner, kind, MCP and token, and its match has the 5-tuple. Everything else (MPTCP version, address ids,
the decision) stays unknown for a restored session.

A known token means that the MCP has answered. It does not mean that the host exists: the SYNs of a flood get answers, too.
Therefore a session is half open if its entry has counted no segment of the host. It ends as half-open sessions do, unless a
segment of its host is seen.
"""

from collections.abc import Callable, Generator, Iterable, Iterator

from steering.core.counters import Counters
from steering.core.inputs import EntriesRead, ObservedEntry
from steering.core.long_work import portions
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import Part
from steering.core.restart.comparison import Comparison
from steering.core.restart.found_counts import FoundCounts
from steering.core.sessions.flow_key import NO_FLOW, FlowKey, flow_key
from steering.core.sessions.found_holders import Holder
from steering.core.sessions.records import Session, more_than_resets
from steering.core.sessions.table import SessionTable
from steering.core.sessions.transitions import BEGINNINGS, Beginning, Event, SessionLife
from steering.model.ids import DatapathId, McpId, Token, WaypointId
from steering.model.network import PortRole
from steering.model.session import (
    Entry,
    EntryKind,
    SessionCookie,
    SessionState,
    Watch,
    pack_cookie,
    unpack_cookie,
)

_FOUND, _ = BEGINNINGS[Beginning.FOUND_WITH_TOKEN]
EntrySelection = Callable[
    [list[ObservedEntry]], list[ObservedEntry]
]  # selects the entries that become sessions here
_INITIAL = pack_cookie(EntryKind.INITIAL, 0, 0, 0) >> 48  # first 16 bits of such a cookie with a token


def all_own(read: EntriesRead) -> Generator[int, float, EntrySelection]:
    """Selects all entries: for a controller without a cluster."""
    yield 0
    return lambda some: some


class Recovery(Part):
    """Restores sessions from entries that switches reported.

    `put_back` is called with entries that a switch gets again. `holder_of`: see restart.found_counts. `disabled`, for the
    negative control: no entry is taken over.
    """

    def __init__(
        self,
        sitemap: SiteMap,
        table: SessionTable,
        life: SessionLife,
        counters: Counters,
        put_back: Callable[[Iterable[Entry]], None],
        holder_of: Callable[[bytes, bytes, int], Holder],
        disabled: bool = False,
    ) -> None:
        self._counts = FoundCounts(table, holder_of)
        self._map = sitemap
        self._put_back = put_back
        self._table = table
        self._life = life
        self._counters = counters
        self._disabled = disabled
        # Sessions without a token, by their initial flow, of which perhaps only the server leg is known so far.
        self._returns: dict[FlowKey, Session] = {}
        # By switch that is to be filled: the comparison, or if none is needed the entries that must be removed.
        self._told: dict[DatapathId, Comparison | tuple[Entry, ...]] = {}

    def told(
        self, read: EntriesRead, own: EntrySelection, first: bool
    ) -> Generator[int, float, tuple[Iterator[list[Output]], float]]:
        """Take over the entries of a switch that is to be filled, a portion at a time (core.long_work).

        `own` selects the entries that become sessions here. Sessions are restored only if the switch is read for the `first`
        time. Returns the slices of the comparison, which have to be done before the filling, and the time. A controller
        that has begun no session yet need not compare, because all its sessions come from the switches.
        """
        mine: list[ObservedEntry] = []
        stale: list[Entry] = []
        done = 0
        for portion in portions(read.entries):
            now = yield done
            some = own(portion)
            mine += some
            if first:
                stale += self.adopt(some, now)
            done = len(portion)
        now = yield done
        if first and not self._counters.sessions_started:
            self._told[read.dpid] = tuple(stale)
            return iter(()), now
        compared = Comparison(
            self._table, read._replace(entries=mine), stale if first else None, self._put_back
        )
        self._told[read.dpid] = compared
        return compared.slices(), now

    def to_change(self, dpid: DatapathId) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """The entries that a switch lacks, and those that must be removed, at the moment of its filling."""
        told = self._told.pop(dpid)
        if not isinstance(told, Comparison):
            return (), told
        missing, stale = told.rest()
        self._put_back(missing)
        return missing, stale

    def adopt(self, observed: list[ObservedEntry], now: float) -> list[Entry]:
        """Restore sessions from entries of a switch. Returns the entries that fit no session and must be removed."""
        if self._disabled:
            return [one.entry for one in observed]
        stale = []
        mcps, flows, knows_token = self._map.mcps, self._table.flows, self._table.knows_token
        for entry, packets, size in observed:
            number = entry.cookie
            mcp, token = McpId(number >> 32 & 0xFFFF), Token(number & 0xFFFFFFFF)
            # Short cut for nearly all entries: of an initial subflow with a token, not watched, with segments of the host,
            # and the first entry of its session that is read.
            if (
                number >> 48 == _INITIAL
                and more_than_resets(packets, size, entry.family == 4)
                and mcp in mcps
                and not entry.watch
                and not knows_token(token)
                and self._table.has_room
                and (key := flow_key(entry.src, entry.dst, entry.sport, entry.dport)) not in flows
            ):
                self._counts.restored(self._table.restore(_FOUND, entry, mcp, token, key, packets, size, now))
                self._counters.sessions_recovered += 1
                self._returns.pop(key, None)
                continue
            cookie = unpack_cookie(number)
            if cookie is None or cookie.mcp not in mcps or not self._take(entry, cookie, packets, size, now):
                stale.append(entry)
        return stale

    def _take(self, entry: Entry, cookie: SessionCookie, packets: int, size: int, now: float) -> bool:
        if cookie.kind is EntryKind.RETURN:
            return self._take_return(entry, cookie, now)
        key = flow_key(entry.src, entry.dst, entry.sport, entry.dport)
        known = self._table.flows.get(key)
        if known is not None:
            return known.session.mcp == cookie.mcp
        reverse = entry.role == PortRole.GATEWAY
        unheard = cookie.kind is EntryKind.INITIAL and not (
            reverse or entry.watch or more_than_resets(packets, size, entry.family == 4)
        )
        session = self._session(cookie, key, now, reverse, unheard)
        if session is None:
            return False
        subflow = self._table.begin_subflow(
            session, cookie.kind, key, entry.dpid, entry.role, WaypointId(entry.waypoint), -1, now
        )
        subflow.found(packets, size, entry.watch)
        if entry.watch:
            self._table.leftovers.append(subflow)
        if cookie.kind is EntryKind.INITIAL:
            self._counts.told(session, lambda: session.found_first(key, reverse))
            self._returns.pop(key, None)
        elif session.state is SessionState.ANSWERED:
            self._life.happened(session, Event.JOINED)  # a join shows that the host got the MCP's answer
        if session.state in (SessionState.CLOSING, SessionState.LINGER):
            # All known subflows were over. Another switch shows a subflow that is not.
            self._life.happened(session, Event.JOINED)
        return True

    def _take_return(self, entry: Entry, cookie: SessionCookie, now: float) -> bool:
        key = flow_key(entry.dst, entry.src, entry.dport, entry.sport)
        known = self._table.flows.get(key)
        if known is not None and known.kind is EntryKind.INITIAL:
            session: Session | None = known.session
        else:
            session = self._session(cookie, key, now, reverse=entry.role == PortRole.ACCESS)
        if session is None or session.mcp != cookie.mcp:
            return False
        if entry.watch == Watch.PUNT:
            self._table.unfinished.append(session)
        found, place = session, (entry.dpid, WaypointId(entry.waypoint))
        return self._counts.told(found, lambda: found.found_return(place, key, entry.role == PortRole.ACCESS))

    def _session(
        self, cookie: SessionCookie, key: FlowKey, now: float, reverse: bool, unheard: bool = False
    ) -> Session | None:
        """The session of an entry, None if there is no room for a new one.

        The session is found by token and MCP, or without a token by its initial flow. Several sessions may have one token.
        Then an entry that is no join belongs to the session with its initial flow. `reverse`: a server opened the session.
        `unheard`: the entry counts segments of the host, and has counted none.
        """
        if cookie.pending or cookie.plain:
            known = self._returns.get(key)
            if known is not None and known.id not in self._table.by_id:
                del self._returns[key]
                known = None
            if known is None and self._table.has_room:
                # A pending session's SYN/ACK may have passed meanwhile, unseen. Then its token stays unknown, and so do its
                # joins. The session is half open until its entry counts segments of the host. If a server opened the
                # session, no entry can show that, so the session counts as plain.
                pending = cookie.pending and not reverse
                how = Beginning.FOUND_PENDING if pending else Beginning.FOUND_PLAIN
                known = self._returns[key] = self._begin(how, cookie, now, key)
            return known
        for session in self._table.with_token(cookie.token):
            if session.mcp == cookie.mcp and (
                cookie.kind is EntryKind.JOIN or session.first in (NO_FLOW, key)
            ):
                alone = not session.subflows and session.first == key
                return self._doubted(session, key, now) if unheard and alone else session
        if not self._table.has_room:
            return None
        if unheard:
            session = self._begin(Beginning.FOUND_ANSWERED, cookie, now, key)
        else:
            session = self._begin(Beginning.FOUND_WITH_TOKEN, cookie, now)
        self._table.learn(session, cookie.token)
        return session

    def _doubted(self, known: Session, key: FlowKey, now: float) -> Session:
        """Replace a session that was restored from its server leg, and that the entry of its host now shows to be half open.
        Half-open sessions are kept in order of number, which has to be the order of age. So the session gets a new number."""
        self._life.happened(known, Event.OVER)
        session = self._life.begin(
            Beginning.FOUND_ANSWERED, known.mcp, None, now, first=key, returns=known.returns
        )
        self._table.learn(session, Token(known.token))
        return session

    def _begin(self, how: Beginning, cookie: SessionCookie, now: float, first: FlowKey = NO_FLOW) -> Session:
        self._counters.sessions_recovered += 1
        return self._life.begin(how, cookie.mcp, None, now, first=first)

    def recovered(self, now: float) -> list[Output]:
        # Keep sessions without subflows, because the switch of their host may be read later.
        self._returns = {
            key: one for key, one in self._returns.items() if not one.subflows and one.id in self._table.by_id
        }
        return []
