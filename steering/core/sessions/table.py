"""The session table: records, their indexes, and the bounds on both."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from steering.core.selection.quotas import Key, Ledger
from steering.core.sessions.flow_key import NO_FLOW, FlowKey, FlowParts, parts_of, source_of, split
from steering.core.sessions.session_keys import Secrets
from steering.model.decision import Ruling
from steering.model.network import PortRole
from steering.model.policy import Limits
from steering.model.preference import NO_WISH
from steering.model.session import PENDING, PLAIN, Entry, EntryKind, SessionState, Watch, pack_cookie

# Members of enumerations stand here by names of their own wherever every handshake asks for them: Python 3.11 takes
# three times as long to look one up in its class.
INITIAL, JOIN, RETURN = EntryKind.INITIAL, EntryKind.JOIN, EntryKind.RETURN
SYN_PINNED, ESTABLISHED, FELL_BACK = SessionState.SYN_PINNED, SessionState.ESTABLISHED, SessionState.PLAIN
NOTHING, COPY = Watch.NOTHING, Watch.COPY

_new = tuple.__new__
_RETURN = EntryKind.RETURN << 48  # what a cookie of this kind has over one of kind INITIAL


class Subflow:
    """One subflow as the network sees it: a flow from a host, where it enters and where it is led."""

    __slots__ = (
        "session", "kind", "key", "dpid", "role", "waypoint", "isn",
        "address_id", "backup", "closed", "packets", "bytes", "active", "watch", "wish", "port",
    )  # fmt: skip

    def __init__(
        self,
        session: "Session",
        kind: EntryKind,
        key: FlowKey,
        dpid: int,
        role: int,
        waypoint: int,
        isn: int,
        port: int = 0,
    ) -> None:
        self.session = session
        self.kind = kind
        self.key = key
        self.dpid = dpid
        self.role = role
        self.waypoint = (
            waypoint  # 0: no entry: it goes to its MCP's own address, or entries set ahead lead it
        )
        self.isn = isn
        self.address_id = 0
        self.backup = False
        self.closed = 0  # HOST_FIN | MCP_FIN
        self.packets = 0
        self.bytes = 0
        self.active = 0.0
        self.watch = 0  # what its entry shows to the controller: Watch
        self.port = port  # where it comes in; 0 for one read back from switches
        self.wish = NO_WISH  # what its MCP was told last

    @property
    def flow(self) -> FlowParts:
        """Its flow key taken apart: the host's end is the source."""
        return parts_of(self.key)


HOST_FIN = 1
MCP_FIN = 2
BOTH_FINS = 3


class Session:
    """One M-session (D-2.1), or the plain TCP connection that one fell back to."""

    __slots__ = (
        "id", "state", "version", "mcp", "token", "subflows", "returns", "ruling", "keys",
        "created", "edge", "active", "server_closed", "deadline", "first", "secrets", "unit",
        "reverse", "host_token", "dscp",
    )  # fmt: skip

    def __init__(self, number: int, mcp: int, ruling: Ruling | None, now: float) -> None:
        self.id = number
        self.state = SYN_PINNED
        self.version = 1
        self.mcp = mcp
        self.token = -1
        self.subflows: list[Subflow] = []
        self.returns: tuple[tuple[int, int], ...] = ()  # (dpid, waypoint) of each server-leg entry
        self.ruling = ruling
        self.keys: tuple[Key, ...] = ()  # what it counts towards in the ledger
        self.created = now
        self.edge = 0  # the waypoint its first SYN came in at
        self.active = now
        self.server_closed = 0
        self.deadline = 0.0
        self.secrets: Secrets | None = None  # where the policy needs keys
        self.unit: str | None = (
            None  # whose entries set ahead brought it here (core.proactive); None: its own
        )
        self.host_token = -1  # of the host's key where the MCP was asked: what joins of the MCP carry
        self.reverse = False  # a server opened it (core.reverse): hosts and gateways have changed places
        self.dscp = 0  # of its first SYN
        self.first = NO_FLOW  # flow key of the initial subflow: what the server leg's entries match, reversed

    @property
    def flow(self) -> FlowParts:
        """The initial subflow's key taken apart: the host's end is the source, or the server's where `reverse`."""
        return parts_of(self.first)

    def cookie(self, kind: EntryKind) -> int:
        """The cookie of this session's entries of one kind, as its state is now."""
        if self.token >= 0:
            return pack_cookie(kind, 0, self.mcp, self.token)
        return pack_cookie(kind, PLAIN if self.state is FELL_BACK else PENDING, self.mcp, 0)

    def entry(self, subflow: Subflow) -> Entry | None:
        """The uplink entry of a subflow; None where it needs none."""
        waypoint = subflow.waypoint
        if not waypoint:
            return None
        family, src, dst, sport, dport = split(subflow.key)
        return _new(Entry, (
            subflow.dpid, subflow.role, family, src, dst, sport, dport, waypoint, 0,
            self.cookie(subflow.kind), subflow.watch,
        ))  # fmt: skip

    def return_entries(self, role: int) -> list[Entry]:
        """The server leg's entries: the initial subflow's 5-tuple reversed, at the gateways."""
        if not self.returns:
            return []
        family, src, dst, sport, dport = split(self.first)
        cookie = self.cookie(RETURN)
        watch = NOTHING
        if self.reverse:
            role = PortRole.ACCESS
            # The host's SYN/ACK tells the token.
            watch = COPY if self.state is SYN_PINNED else NOTHING
        return [
            Entry(dpid, role, family, dst, src, dport, sport, waypoint, 0, cookie, watch)
            for dpid, waypoint in self.returns
        ]

    def entries(self, gateway_role: int) -> list[Entry]:
        """Everything this session has in flow tables: the server leg first, it is downstream."""
        if len(self.subflows) == 1 and not self.reverse:
            only = self.subflows[0]
            if only.key is self.first and only.waypoint:
                return self._first_entries(only, gateway_role)
        found = self.return_entries(gateway_role)
        for subflow in self.subflows:
            entry = self.entry(subflow)
            if entry is not None:
                found.append(entry)
        return found

    def _first_entries(self, subflow: Subflow, gateway_role: int) -> list[Entry]:
        """The same for a session of one subflow, which every session is when it begins: one pass."""
        family, src, dst, sport, dport = split(self.first)
        cookie = self.cookie(INITIAL)
        returned = cookie | _RETURN
        found = [
            _new(Entry, (dpid, gateway_role, family, dst, src, dport, sport, waypoint, 0, returned, 0))
            for dpid, waypoint in self.returns
        ]
        found.append(_new(Entry, (
            subflow.dpid, subflow.role, family, src, dst, sport, dport, subflow.waypoint, 0, cookie, subflow.watch,
        )))  # fmt: skip
        return found


class SessionTable:
    """All records with their indexes. Bounded by `limits`; whoever adds asks `has_room` first."""

    def __init__(self, limits: Limits, mcps: Iterable[int], hosts_move: bool = True) -> None:
        """`hosts_move`: whether a host can turn up at another switch, so that flows have to be found by host."""
        self.limits = limits
        self._hosts_move = hosts_move
        self.by_id: dict[int, Session] = {}
        self.flows: dict[FlowKey, Subflow] = {}
        self._hosts: dict[bytes, dict[FlowKey, Subflow]] = {}  # source address -> its flows
        self._tokens: dict[int, Session | list[Session]] = {}
        self.half_open: dict[int, Session] = {}  # in order of age
        self.half_open_at: dict[int, int] = {}  # waypoint -> half-open sessions that came in there
        self.lingering: dict[int, Session] = {}  # in order of age
        # MCP id (0: none) -> sessions that count as its load
        self.active = defaultdict(int, dict.fromkeys(mcps, 0))
        self.ledger = Ledger()
        self.states = dict.fromkeys(SessionState, 0)  # how many are in each, so that nobody has to count
        self.subflows = defaultdict(int, dict.fromkeys(mcps, 0))  # MCP id -> subflows
        self.joins_of: dict[str, int] = {}  # subscriber -> later subflows, of those the policy knows
        self.leftovers: list[Subflow] = []  # recovered while their entries were watched
        self.changed: dict[int, None] = {}  # sessions of several subflows that got or lost one
        self._next = 1

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[Session]:
        return iter(self.by_id.values())

    @property
    def has_room(self) -> bool:
        """Room for one more record."""
        return len(self.by_id) < self.limits.sessions

    def create(self, mcp: int, ruling: Ruling | None, now: float, edge: int = 0) -> Session:
        """A new half-open session; `edge`: the waypoint it came in at."""
        session = Session(self._next, mcp, ruling, now)
        session.edge = edge
        self.half_open_at[edge] = self.half_open_at.get(edge, 0) + 1
        self._next += 1
        self.by_id[session.id] = session
        self.half_open[session.id] = session
        self.states[session.state] += 1
        self.active[mcp] += 1
        return session

    def restore(
        self, entry: Entry, mcp: int, token: int, key: FlowKey, packets: int, size: int, now: float
    ) -> Session:
        """What `create`, `learn`, `settle` and `add_subflow` make of an initial subflow's entry, at once: a
        controller that starts finds them by the hundred thousand. Neither `key` nor `token` is known yet."""
        number = self._next
        self._next = number + 1
        session = Session(number, mcp, None, now)
        session.state = ESTABLISHED
        session.token = token
        session.first = key
        subflow = Subflow(session, INITIAL, key, entry.dpid, entry.role, entry.waypoint, -1)
        subflow.packets, subflow.bytes = packets, size
        session.subflows.append(subflow)
        self.by_id[number] = session
        self._tokens[token] = session
        self.flows[key] = subflow
        if self._hosts_move:
            self._hosts.setdefault(entry.src, {})[key] = subflow
        self.states[ESTABLISHED] += 1
        self.active[mcp] += 1
        self.subflows[mcp] += 1
        return session

    def knows_token(self, token: int) -> bool:
        """Whether any session may own a token."""
        return token in self._tokens

    def count(self, session: Session, keys: tuple[Key, ...]) -> None:
        """What this session counts towards, for as long as it is active."""
        session.keys = keys
        self.ledger.take(keys)

    def add_subflow(self, subflow: Subflow) -> None:
        """Attach a subflow to its session and index its flow."""
        session, key = subflow.session, subflow.key
        session.subflows.append(subflow)
        if len(session.subflows) > 1:
            self.changed[session.id] = None
        self.subflows[session.mcp] += 1
        if session.ruling is not None and session.ruling.subscriber:
            self._count_joins(session, (subflow,), 1)
        self.flows[key] = subflow
        if self._hosts_move:
            self._hosts.setdefault(source_of(key), {})[key] = subflow

    def subflows_of(self, address: bytes) -> list[Subflow]:
        """The subflows that a host has from one of its addresses; none where hosts cannot move."""
        return list(self._hosts.get(address, {}).values())

    def _forget_flow(self, subflow: Subflow) -> None:
        if self.flows.get(subflow.key) is subflow:
            del self.flows[subflow.key]
            if not self._hosts_move:
                return
            source = source_of(subflow.key)
            del self._hosts[source][subflow.key]
            if not self._hosts[source]:
                del self._hosts[source]

    def drop_subflow(self, subflow: Subflow) -> None:
        """Forget a subflow; the record of its session stays."""
        session = subflow.session
        session.subflows.remove(subflow)
        if session.subflows:
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

    def learn(self, session: Session, token: int) -> None:
        """The token is known: index it. Several sessions may share one (G4)."""
        session.token = token
        self._index(session, token)

    def learn_host(self, session: Session, token: int) -> None:
        """The token of the host's key: index it too, an MCP may join its host (kernel-mptcp 5)."""
        if session.host_token < 0:
            session.host_token = token
            self._index(session, token)

    def _index(self, session: Session, token: int) -> None:
        known = self._tokens.get(token)
        if known is None:
            self._tokens[token] = session
        elif isinstance(known, list):
            known.append(session)
        else:
            self._tokens[token] = [known, session]

    def with_token(self, token: int) -> list[Session]:
        """Every session that may own a token."""
        known = self._tokens.get(token)
        if known is None:
            return []
        return list(known) if isinstance(known, list) else [known]

    def settle(self, session: Session, state: SessionState) -> None:
        """Leave the half-open state (or revive a lingering record)."""
        self._answered(session)
        if self.lingering and self.lingering.pop(session.id, None) is not None:
            self.active[session.mcp] += 1
            self.ledger.take(session.keys)
        self.states[session.state] -= 1
        self.states[state] += 1
        session.state = state

    def _answered(self, session: Session) -> None:
        """No longer half-open, if it was."""
        if self.half_open.pop(session.id, None) is not None:
            left = self.half_open_at[session.edge] - 1
            if left:
                self.half_open_at[session.edge] = left
            else:
                del self.half_open_at[session.edge]

    def linger(self, session: Session, state: SessionState = SessionState.LINGER) -> None:
        """No entries any more; the record still answers joins (or only tells what became of it), but is no load."""
        self.settle(session, state)
        self.lingering[session.id] = session
        self.active[session.mcp] -= 1
        self.ledger.give_back(session.keys)

    def remove(self, session: Session) -> None:
        """Forget a session and all its indexes."""
        if session.id not in self.by_id:
            return
        if session.id not in self.lingering:
            self.active[session.mcp] -= 1
            self.ledger.give_back(session.keys)
        self.states[session.state] -= 1
        self.subflows[session.mcp] -= len(session.subflows)
        self._count_joins(session, session.subflows, -1)
        del self.by_id[session.id]
        self._answered(session)
        self.lingering.pop(session.id, None)
        for subflow in session.subflows:
            self._forget_flow(subflow)
        self._forget_token(session, session.token)
        self._forget_token(session, session.host_token)
        if session.secrets is not None:
            session.secrets.wipe()
            session.secrets = None
        # The cycle between a session and its subflows is cut here: full collections are rare (see launcher).
        session.subflows = []

    def _forget_token(self, session: Session, token: int) -> None:
        known = self._tokens.get(token)
        if known is session:
            del self._tokens[token]
        elif isinstance(known, list):
            known.remove(session)
            if len(known) == 1:
                self._tokens[token] = known[0]
