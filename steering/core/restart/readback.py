"""Rebuilding sessions from what switches hold: the flow tables are a durable copy of the pins.

A cookie tells owner, kind, MCP and token; the match tells the 5-tuple. What a cookie cannot tell
(MPTCP version, address ids, the decision) stays unknown for a recovered session.

A token says that the MCP answered, not that there is a host: of a flood's SYNs nothing else came. So a session whose entry
has counted nothing of its host is half open as before, and ends as such unless its host is heard.
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
Own = Callable[[list[ObservedEntry]], list[ObservedEntry]]  # those of some entries that make sessions here
_INITIAL = pack_cookie(EntryKind.INITIAL, 0, 0, 0) >> 48  # of an entry whose session has a token


def all_own(read: EntriesRead) -> Generator[int, float, Own]:
    """Of a controller that is alone, which need not look."""
    yield 0
    return lambda some: some


class Recovery(Part):
    """Adopts entries that switches reported into the session table. `disabled`, for the negative control: no entry
    is believed. `put_back` is told of entries that a switch gets again; `holder_of` tells whose a session is
    (restart.found_counts)."""

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
        self._returns: dict[FlowKey, Session] = {}  # sessions known only by their server leg so far
        # Of switches that are to be filled: what is compared, or the entries that must go.
        self._told: dict[DatapathId, Comparison | tuple[Entry, ...]] = {}

    def told(
        self, read: EntriesRead, own: Own, first: bool
    ) -> Generator[int, float, tuple[Iterator[list[Output]], float]]:
        """A switch told what it holds, and is to be filled. Of its `own` entries those that it tells the `first` time are taken
        over, a portion at a time (core.long_work). Returns the time, and what then has to be done before it is filled,
        slice by slice: it is compared. A controller that has begun no session yet need not compare: all it knows, it has
        from the switches."""
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
        """The entries that a switch that is filled now lacks, and those that must go."""
        told = self._told.pop(dpid)
        if not isinstance(told, Comparison):
            return (), told
        missing, stale = told.rest()
        self._put_back(missing)
        return missing, stale

    def adopt(self, observed: list[ObservedEntry], now: float) -> list[Entry]:
        """Take over what a switch holds; returns the entries that belong to nothing and must go."""
        if self._disabled:
            return [one.entry for one in observed]
        stale = []
        mcps, flows, knows_token = self._map.mcps, self._table.flows, self._table.knows_token
        for entry, packets, size in observed:
            number = entry.cookie
            mcp, token = McpId(number >> 32 & 0xFFFF), Token(number & 0xFFFFFFFF)
            # Nearly all are so: the first subflow's, with a token, unwatched, heard, and the first seen of its session.
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
            self._life.happened(session, Event.JOINED)  # only who knows the token joins
        if session.state in (SessionState.CLOSING, SessionState.LINGER):
            # All that was known of it was over; another switch tells of a subflow that is not.
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
        """The session that an entry belongs to: by token and MCP, or without a token by its initial flow. Several may have one
        token: whatever is no join is of the one with its initial flow. `reverse`: a server opened it. `unheard`: the entry
        would have counted its host, and has not."""
        if cookie.pending or cookie.plain:
            known = self._returns.get(key)
            if known is not None and known.id not in self._table.by_id:
                del self._returns[key]
                known = None
            if known is None and self._table.has_room:
                # Whether a pending one's SYN/ACK passed meanwhile cannot be told, and joins for its token stay unknown. It
                # is half open until its entry shows its host; where a server opened it, no entry shows that.
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
        """A session that its server leg's entry told of, and the entry of its host now shows to be half open. Such are
        kept by number in order of age, so it gets a new one."""
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
        # The switch of their hosts may tell of these later.
        self._returns = {
            key: one for key, one in self._returns.items() if not one.subflows and one.id in self._table.by_id
        }
        return []
