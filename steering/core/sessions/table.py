"""The session table: all records, their indexes, and the counts of sessions for loads and limits."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from steering.core.selection.active_sessions import ActiveSessions
from steering.core.selection.quotas import Ledger, QuotaKeys
from steering.core.sessions.change_journal import ChangeJournal
from steering.core.sessions.flow_key import NO_FLOW, FlowKey, OriginOf, source_of
from steering.core.sessions.found_holders import FoundHolders
from steering.core.sessions.garbage_collector import AT_ONCE, Index, untrack, untrack_all
from steering.core.sessions.half_open_index import HalfOpenIndex, count_less, is_half_open
from steering.core.sessions.host_flows import HostFlows
from steering.core.sessions.idle_pins import IdlePins
from steering.core.sessions.indexes import HashedIndex, NumberedIndex
from steering.core.sessions.records import NOTHING, Session, Subflow
from steering.core.sessions.served_hosts import HeardHosts
from steering.core.sessions.session_order import SIZE, SessionOrder
from steering.core.sessions.shared_parts import LoadLog, LoadWindow, Returns
from steering.core.sessions.token_index import TokenIndex
from steering.model.decision import Ruling
from steering.model.ids import NO_PORT, NO_WAYPOINT, DatapathId, McpId, PortNumber, Token, WaypointId
from steering.model.network import PortRole
from steering.model.policy import Limits
from steering.model.session import Entry, EntryKind, SessionState

# Names for members of enums: core.sessions.records says why.
INITIAL, JOIN = EntryKind.INITIAL, EntryKind.JOIN
GATEWAY = PortRole.GATEWAY

BLOCK = SIZE - 1  # mask of a session's number: 0 where a block of session_order begins


class SessionTable:
    """All records with their indexes. Bounded by `limits`: a caller checks `has_room` before it adds a record. The table only
    keeps records and counts. core.sessions.transitions decides what happens to a session, and alone changes its state."""

    def __init__(
        self, limits: Limits, mcps: Iterable[int], hosts_move: bool = True, origin_of: OriginOf = bytes
    ) -> None:
        """`hosts_move`: whether a host can move to another port, so that flows have to be found by host. `origin_of`: see
        SiteMap.origin_of."""
        self.limits, self._hosts_move, self.origin_of = limits, hosts_move, origin_of
        most = limits.sessions
        self.by_id: NumberedIndex[Session] = NumberedIndex()
        self.flows: HashedIndex[FlowKey, Subflow] = HashedIndex(most)
        self.hosts = HostFlows(most)
        self._note_host = self.hosts.note  # a name of its own, as every set-up calls it
        self._forget_host = self.hosts.forget
        self._tokens = TokenIndex(most)  # tokens by which sessions are known
        self._host_tokens = TokenIndex(most)  # tokens of hosts' keys, which the joins of MCPs carry
        self.half_open = HalfOpenIndex(self.by_id)
        self.half_open_at: defaultdict[int, int] = defaultdict(int)  # waypoint -> number of half-open ones
        self.half_open_from: defaultdict[bytes, int] = defaultdict(int)  # origin -> number of half-open ones
        # Sessions that count as no load: half-open ones whose host is late, and those that closed before.
        self.uncounted: set[int] = set()
        # Half-open sessions that count as load, by waypoint and MCP id (16 bits).
        self._young: defaultdict[int, int] = defaultdict(int)
        self.lingering: dict[int, Session] = Index()  # in order of age
        self.idle = IdlePins(origin_of)
        # MCP id (0: none) -> sessions that count as its load
        self.active = ActiveSessions(dict.fromkeys(mcps, 0))
        self.ledger = Ledger(most)
        self.found, self.heard = FoundHolders(origin_of), HeardHosts(most)
        self.states = dict.fromkeys(SessionState, 0)  # number of sessions in each state
        self.subflows = defaultdict(int, dict.fromkeys(mcps, 0))  # MCP id -> number of subflows
        self.joins_of: dict[str, int] = {}  # subscriber of the policy -> number of later subflows
        self.leftovers: list[Subflow] = []  # read back with watched entries
        self.unfinished: list[Session] = []  # read back while they were being aborted
        self.changed: dict[int, None] = {}  # sessions whose subflows have to be ranked again
        self.journal: ChangeJournal | None = None  # while a client wants to know the changes
        self.order = SessionOrder(self.by_id)
        self._new: list[object] = []  # records that the garbage collector still tracks
        self._next, self._loads = 1, LoadLog()

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[Session]:
        return self.by_id.all_values()

    @property
    def youngest(self) -> int:
        """The number of the session that began last. Numbers count up from 1."""
        return self._next - 1

    @property
    def has_room(self) -> bool:
        """Whether there is room for one more record."""
        return self.by_id.size < self.limits.sessions

    def create(
        self, state: SessionState, mcp: McpId, ruling: Ruling | None, now: float, entrance: WaypointId = NO_WAYPOINT,
        first: FlowKey = NO_FLOW, version: int = 1, returns: Returns = (), dscp: int = 0,
        reverse: bool = False, unit: str | None = None, loads: tuple[int, ...] = (),
    ) -> Session:  # fmt: skip
        """Make a new record. Only `SessionLife.begin` calls this, and then sets what the session counts as."""
        number = self._next
        self._next = number + 1
        window = self._loads.kept(number, loads)
        session = Session(
            number, state, mcp, ruling, now, entrance, first, version, returns, dscp, reverse, unit
        )
        self._new.append(session)
        self.by_id.put(number, session)
        if window is not None:
            self.by_id.keep_beside(number, window)
        if not number & BLOCK or number == 1:
            self.order.note(number)
        self.states[state] += 1
        if self.journal is not None:
            self.journal.begins(number)
        return session

    def settle(self) -> None:
        """Called at each tick: untrack all new records (garbage_collector)."""
        untrack_all(self._new)

    def restore(
        self, state: SessionState, entry: Entry, mcp: McpId, token: Token, key: FlowKey, packets: int, size: int,
        now: float,
    ) -> Session:  # fmt: skip
        """Restore a session from its initial subflow's entry: the same as `SessionLife.begin` (FOUND_WITH_TOKEN), `learn` and
        `begin_subflow`, but faster, because a starting controller restores hundreds of thousands. Neither `key` nor `token`
        may be known yet."""
        number = self._next
        self._next = number + 1
        session = Session(number, state, mcp, None, now, NO_WAYPOINT, key, reverse=entry.role == GATEWAY)
        session.token = token
        untrack(session)
        subflow = Subflow(session, INITIAL, key, entry.dpid, entry.role, WaypointId(entry.waypoint), -1, now)
        untrack(subflow)
        subflow.found(packets, size, NOTHING)
        session.add(subflow)
        self.by_id.put(number, session)
        if not number & BLOCK or number == 1:
            self.order.note(number)
        self._tokens.put(token, session)
        self.flows.put(key, subflow)
        if self._hosts_move:
            self._note_host(entry.src, subflow)
        self.states[state] += 1
        self.active[mcp] += 1
        self.subflows[mcp] += 1
        if self.journal is not None:
            self.journal.begins(number)
        return session

    def loads_of(self, session: Session) -> tuple[int, ...]:
        """Active sessions of each MCP at the session's decision, in the order of its ruling's candidates. Empty if there was no
        decision, or if the session is over."""
        number = session.id
        for window in self.by_id.beside(number):
            assert isinstance(window, LoadWindow)
            if loads := window.row(number):
                return loads
        return ()

    def knows_token(self, token: Token) -> bool:
        """Whether some session is known by a token."""
        return token in self._tokens

    def begin_subflow(
        self, session: Session, kind: EntryKind, key: FlowKey, dpid: DatapathId, role: int, waypoint: WaypointId, isn: int,
        now: float, port: PortNumber = NO_PORT, address_id: int = 0, backup: bool = False,
    ) -> Subflow:  # fmt: skip
        """Add a subflow to a session, and index it by its flow and its host."""
        if self.journal is not None:
            self.journal.changes(session)
        subflow = Subflow(session, kind, key, dpid, role, waypoint, isn, now, port, address_id, backup)
        self._new.append(subflow)
        if len(self._new) >= AT_ONCE:
            untrack_all(self._new)
        if session.add(subflow):
            self.changed[session.id] = None
        self.subflows[session.mcp] += 1
        if session.ruling is not None and session.ruling.subscriber:
            self._count_joins(session, (subflow,), 1)
        self.flows.put(key, subflow)
        if self._hosts_move:
            self._note_host(source_of(key), subflow)
        return subflow

    def subflows_of(self, address: bytes, most: int | None = None) -> list[Subflow]:
        """The subflows from a host's address, at most the `most` oldest. Empty if hosts cannot move, as there is no index."""
        return self.hosts.subflows_of(address, most)

    def _forget_flow(self, subflow: Subflow) -> None:
        if self.flows.get(subflow.key) is subflow:
            del self.flows[subflow.key]
            if self._hosts_move:
                self._forget_host(source_of(subflow.key), subflow)

    def drop_subflow(self, subflow: Subflow) -> None:
        """Remove a subflow. The record of its session stays."""
        session = subflow.session
        if self.journal is not None:
            self.journal.changes(session)
        if session.remove(subflow):
            self.changed[session.id] = None
        self.subflows[session.mcp] -= 1
        self._count_joins(session, (subflow,), -1)
        self._forget_flow(subflow)

    def _count_joins(self, session: Session, subflows: Iterable[Subflow], step: int) -> None:
        who = session.ruling.subscriber if session.ruling is not None else ""
        if not who:
            return
        count = self.joins_of.get(who, 0) + step * sum(s.kind is JOIN for s in subflows)
        if count:
            self.joins_of[who] = count
        else:
            self.joins_of.pop(who, None)

    def learn(self, session: Session, token: Token) -> None:
        """Index a session by its token, which has become known. Several sessions may have the same token (G4)."""
        session.token = token
        known = self._tokens.shard_of(token).setdefault(token, session)
        if known is not session:
            self._tokens.add(session, token)

    def learn_host(self, session: Session, token: Token) -> None:
        """Index a session by the token of the host's key, which joins of its MCP carry. The index is separate, because a host
        chooses its key, and could choose one with the token of another session's MCP."""
        if session.host_token < 0:
            session.known_by_host(token)
            self._host_tokens.add(session, token)

    def unlearn(self, session: Session) -> None:
        """Remove a session that is over from the indexes of tokens."""
        self._tokens.drop(session, session.token)
        self._host_tokens.drop(session, session.host_token)

    def with_token(self, token: int) -> list[Session]:
        """Every session that is known by a token: of its MCP's key, or of its host's key if a server opened it."""
        return self._tokens.sessions_of(token)

    def with_mcp_token(self, token: int) -> list[Session]:
        """Every session that a host's join with this token may mean: the token is made from the MCP's key."""
        known = self._tokens.get(token)
        if known is None:
            return []
        if isinstance(known, list):
            return [session for session in known if not session.onset.reverse]
        return [] if known.onset.reverse else [known]

    def with_host_token(self, token: int) -> list[Session]:
        """Every session that an MCP's join with this token may mean: the token is made from the host's key."""
        beside = self._host_tokens.sessions_of(token)
        return [*beside, *(session for session in self.with_token(token) if session.reverse)]

    # ---- what a session counts as; only sessions.transitions calls these ----------------------------

    def await_host(self, session: Session, keys: QuotaKeys | None = None) -> None:
        """The session is half-open, and counts as its MCP's load for its first seconds."""
        entrance = session.onset.entrance
        self.half_open.size += 1
        self.half_open_at[entrance] += 1
        self.half_open_from[self.origin_of(source_of(session.first))] += 1
        self._young[entrance << 16 | session.mcp] += 1
        self.take_load(session, keys)

    def establish(self, session: Session) -> None:
        """The session is no longer half-open, and counts as its MCP's load."""
        self._leave_half_open(session)
        if self.uncounted and session.id in self.uncounted:
            self.uncounted.discard(session.id)
            self.take_over(session)
        else:
            self.heard.add(session)

    def reopen(self, session: Session) -> None:
        """A session that was closing goes on. If it was no load, it counts as its MCP's load from now on."""
        if session.id in self.uncounted:
            self.uncounted.discard(session.id)
            self.take_over(session)

    def discount(self, session: Session) -> None:
        """The session stays half-open, and is no load."""
        if session.id not in self.uncounted:
            count_less(self._young, session.entrance << 16 | session.mcp)
            self._no_load(session)

    def dismiss(self, session: Session) -> None:
        """The session is no longer half-open, and never became a load."""
        self._leave_half_open(session)
        if session.id not in self.uncounted:
            self._no_load(session)

    def _no_load(self, session: Session) -> None:
        self.uncounted.add(session.id)
        self._give_load_back(session)

    def _leave_half_open(self, session: Session) -> None:
        entrance = session.onset.entrance
        self.half_open.size -= 1
        count_less(self.half_open_at, entrance)
        count_less(self.half_open_from, self.origin_of(source_of(session.first)))
        if not self.uncounted or session.id not in self.uncounted:
            count_less(self._young, entrance << 16 | session.mcp)

    def load_seen_at(self, entrance: WaypointId) -> ActiveSessions:
        """The load by MCP id for a SYN from a waypoint: without half-open sessions from other waypoints."""
        seen = self.active.copy()
        for place, young in self._young.items():
            if place >> 16 != entrance:
                seen[place & 0xFFFF] -= young
        return seen

    def take_over(self, session: Session, keys: QuotaKeys | None = None) -> None:
        """The session is more than half open, and counts as its MCP's load: it was found so, or is live again."""
        self.take_load(session, keys)
        self.heard.add(session)

    def take_load(self, session: Session, keys: QuotaKeys | None = None) -> None:
        """The session counts as its MCP's load, and towards the limits that it is under."""
        self.active[session.mcp] += 1
        keys = keys or session.quota_keys(self.origin_of) or self.found.keys_of(session)
        if keys is not None:
            self.ledger.take(keys)

    def _give_load_back(self, session: Session) -> None:
        self.active[session.mcp] -= 1
        keys = session.quota_keys(self.origin_of) or self.found.keys_of(session)
        if keys is not None:
            self.ledger.give_back(keys)

    def nothing(self, session: Session) -> None:
        """The session counts as before."""

    def keep_record(self, session: Session, keys: QuotaKeys | None = None) -> None:
        """The session never was a load. Its record tells what became of it, until a deadline."""
        self.lingering[session.id] = session

    def rest(self, session: Session) -> None:
        """The session has no entries of subflows and is no load. Its record answers joins until a deadline."""
        self.lingering[session.id] = session
        if session.id in self.uncounted:
            self.uncounted.discard(session.id)
        else:
            self._give_load_back(session)
            self.heard.remove(session)

    def revive(self, session: Session) -> None:
        """A session whose record only lingered is a load again."""
        del self.lingering[session.id]
        self.take_over(session)

    def doze(self, session: Session) -> None:
        """The session keeps its entries, and is no load."""
        self.idle.add(session)
        self._give_load_back(session)

    def wake(self, session: Session) -> None:
        """A session that was idle is a load again."""
        self.idle.discard(session)
        self.take_load(session)

    def doze_on(self, session: Session) -> None:
        """A session that was idle has no entries any more, and is no load as before. Its record answers joins."""
        self.idle.discard(session)
        self.heard.remove(session)
        self.lingering[session.id] = session

    def forget(self, session: Session) -> None:
        """Remove a session: its record and every index of it."""
        if self.journal is not None:
            self.journal.changes(session)
        was_half_open = is_half_open(session)
        if was_half_open:
            self._leave_half_open(session)
        if session.id in self.uncounted:
            self.uncounted.discard(session.id)
        elif session.id not in self.lingering:
            if not self.idle.discard(session):
                self._give_load_back(session)
            if not was_half_open:
                self.heard.remove(session)
        self.found.forget(session)
        self.subflows[session.mcp] -= len(session.subflows)
        self._count_joins(session, session.subflows, -1)
        del self.by_id[session.id]
        self.lingering.pop(session.id, None)
        for subflow in session.subflows:
            self._forget_flow(subflow)
        self.unlearn(session)
        if session.secrets is not None:
            session.secrets.wipe()
            session.keep(None)
        session.let_go()
