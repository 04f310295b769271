"""Sessions and subflows begin, change and end in any order. The table's indexes equal plain dicts, each record has its own
numbers as long as anybody holds it, and there are no more pages than the most records that lived at once need."""

import gc
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from steering.core.counters import Counters
from steering.core.sessions.flow_key import FlowKey, flow_key, source_of
from steering.core.sessions.record_pages import (
    HEARD,
    PLACES,
    RecordPages,
    pages_of_sessions,
    pages_of_subflows,
)
from steering.core.sessions.records import Session, Subflow
from steering.core.sessions.table import SessionTable
from steering.core.sessions.transitions import Beginning, Event, SessionLife
from steering.model.ids import DatapathId, McpId, Token, WaypointId
from steering.model.policy import Limits
from steering.model.session import EntryKind, Watch

MCP = McpId(1)
HOSTS, TOKENS = 40, 12  # so few that hosts have several subflows, and sessions a token in common
SERVER = bytes((10, 9, 0, 2))
MOST = PLACES + 20  # sessions that begin in one step


@dataclass
class WantedSubflow:
    """What a subflow is to tell."""

    isn: int
    packets: int = 0
    bytes: int = 0
    active: float = 0.0
    watch: Watch = Watch.NOTHING
    progress: int = HEARD
    closed: int = 0

    def holds(self, one: Subflow) -> bool:
        told = (one.isn, one.packets, one.bytes, one.active, one.watch, one.progress, one.closed)
        return told == (
            self.isn, self.packets, self.bytes, self.active, self.watch, self.progress, self.closed,
        )  # fmt: skip


@dataclass
class WantedSession:
    """What a session is to tell. `flows`: its subflows, the oldest first."""

    number: int
    created: float
    active: float
    first: FlowKey
    loads: tuple[int, ...]  # as long as it lives
    token: int = -1
    host_token: int = -1
    flows: dict[FlowKey, WantedSubflow] = field(default_factory=dict)

    def holds(self, one: Session) -> bool:
        told = (one.id, one.created, one.active, one.token, one.host_token, one.first)
        return told == (
            self.number, self.created, self.active, self.token, self.host_token, self.first,
        )  # fmt: skip


class Room:
    """How many pages there may be: as many as what lived at once needs, and the one that is used next. Records of other tests may
    still be there."""

    def __init__(self, pages: RecordPages) -> None:  # type: ignore[type-arg]
        self.pages = pages
        self.others = pages.count * PLACES - pages.free
        self.begun_with = pages.count
        self.most = 0

    def look(self, living: int) -> None:
        self.most = max(self.most, living)
        bound = -(-(self.others + self.most) // PLACES) + 1
        assert self.pages.count <= max(self.begun_with, bound)
        assert self.pages.count * PLACES - self.pages.free <= self.others + living, "no place is lost"


class Records(RuleBasedStateMachine):
    """A table, and what plain dicts know of it."""

    @initialize(moves=st.booleans())
    def begin(self, moves: bool) -> None:
        gc.collect()
        self.table = SessionTable(Limits(sessions=100_000, half_open=100_000), [MCP], moves)
        self.life = SessionLife(self.table, Counters())
        self.moves = moves
        self.now = 1.0
        self.wanted: dict[int, WantedSession] = {}
        self.flows: dict[FlowKey, int] = {}  # in the order in which they came
        self.ports = 0
        self.held: list[tuple[Session, WantedSession]] = []  # over, and held by somebody
        self.held_flows: list[tuple[Subflow, WantedSubflow]] = []
        self.sessions, self.subflows = Room(pages_of_sessions), Room(pages_of_subflows)

    def some(self, chance: int) -> Session:
        numbers = list(self.wanted)
        return self.table.by_id[numbers[chance % len(numbers)]]

    def some_flow(self, chance: int) -> tuple[Subflow, WantedSubflow]:
        keys = list(self.flows)
        key = keys[chance % len(keys)]
        return self.table.flows[key], self.wanted[self.flows[key]].flows[key]

    def add_flow(self, session: Session, kind: EntryKind, key: FlowKey, isn: int) -> None:
        self.table.begin_subflow(session, kind, key, DatapathId(1), 1, WaypointId(1), isn, self.now)
        self.wanted[session.id].flows[key] = WantedSubflow(isn, active=self.now)
        self.flows[key] = session.id

    def new_key(self, host: int) -> FlowKey:
        self.ports += 1
        port, server = 1024 + self.ports % 60_000, SERVER[:3] + bytes([self.ports // 60_000])
        return flow_key(bytes((10, 1, 0, host % HOSTS)), server, port, 443)

    # ---- what may happen ------------------------------------------------------------------------------

    @rule(many=st.sampled_from([1, 1, 1, 2, 3, 20, MOST]), isn=st.integers(-1, 2**32 - 1))
    def sessions_begin(self, many: int, isn: int) -> None:
        for n in range(many):
            self.now += 0.001
            key, loads = self.new_key(self.ports), (self.ports, n)
            one = self.life.begin(Beginning.FOUND_PLAIN, MCP, None, self.now, WaypointId(2), key, loads=loads)
            assert one.id == self.table.youngest and one.id not in self.wanted
            self.wanted[one.id] = WantedSession(one.id, self.now, self.now, key, loads)
            self.add_flow(one, EntryKind.INITIAL, key, isn)

    @precondition(lambda self: self.wanted)
    @rule(chance=st.integers(0, 10_000), host=st.integers(0, HOSTS), isn=st.integers(0, 2**32 - 1))
    def a_host_joins(self, chance: int, host: int, isn: int) -> None:
        self.add_flow(self.some(chance), EntryKind.JOIN, self.new_key(host), isn)

    @precondition(lambda self: self.wanted)
    @rule(chance=st.integers(0, 10_000), token=st.integers(0, TOKENS), of_host=st.booleans())
    def a_token_is_learnt(self, chance: int, token: int, of_host: bool) -> None:
        one = self.some(chance)
        known = self.wanted[one.id]
        if of_host:
            self.table.learn_host(one, Token(token))
            known.host_token = token if known.host_token < 0 else known.host_token
        elif known.token < 0:
            self.table.learn(one, Token(token))
            known.token = token

    @precondition(lambda self: self.flows)
    @rule(
        chance=st.integers(0, 10_000), packets=st.integers(1, 2**64 - 1), size=st.integers(0, 2**64 - 1),
        watch=st.sampled_from(Watch), closes=st.integers(0, 3),
    )  # fmt: skip
    def something_is_seen(self, chance: int, packets: int, size: int, watch: Watch, closes: int) -> None:
        one, known = self.some_flow(chance)
        self.now += 0.1
        if packets != known.packets:
            known.active = self.wanted[one.session.id].active = self.now
        one.count_packets(packets, self.now)
        one.count_bytes(size)
        one.watch = watch
        if closes:
            one.close(closes)
        known.packets, known.bytes, known.watch = packets, size, watch
        known.closed |= closes

    @precondition(lambda self: self.flows)
    @rule(chance=st.integers(0, 10_000), hold=st.booleans())
    def a_subflow_ends(self, chance: int, hold: bool) -> None:
        one, known = self.some_flow(chance)
        if hold:
            self.held_flows.append((one, known))
        self.forget_flow(one.session.id, one.key)
        self.table.drop_subflow(one)

    def forget_flow(self, number: int, key: FlowKey) -> None:
        del self.flows[key], self.wanted[number].flows[key]

    def end(self, one: Session, hold: bool) -> None:
        known = self.wanted[one.id]
        if hold:
            self.held.append((one, known))
        for key in list(known.flows):
            self.forget_flow(known.number, key)
        del self.wanted[known.number]
        assert self.life.happened(one, Event.OVER)
        assert not self.life.happened(one, Event.OVER), "once"

    @precondition(lambda self: self.wanted)
    @rule(chance=st.integers(0, 10_000), hold=st.booleans())
    def a_session_ends(self, chance: int, hold: bool) -> None:
        self.end(self.some(chance), hold)

    @precondition(lambda self: len(self.wanted) > 1)
    @rule(keep=st.sampled_from([0, 1, 7, 100]), first=st.integers(0, 100))
    def nearly_all_end(self, keep: int, first: int) -> None:
        """All but one in so many; 0: all."""
        for at, number in enumerate(list(self.wanted), first):
            if not keep or at % (keep + 1):
                self.end(self.table.by_id[number], hold=False)

    @rule()
    def nobody_holds_anything(self) -> None:
        self.held.clear()
        self.held_flows.clear()

    # ---- what always holds ------------------------------------------------------------------------------

    @invariant()
    def indexes_are_what_dicts_would_be(self) -> None:
        table = self.table
        assert list(table.by_id) == list(self.wanted) and len(table) == len(self.wanted)
        assert {key: flow.session.id for key, flow in table.flows.items()} == self.flows
        by_token: dict[int, set[int]] = {}
        by_host: dict[int, set[int]] = {}
        for number, known in self.wanted.items():
            by_token.setdefault(known.token, set()).add(number)
            by_host.setdefault(known.host_token, set()).add(number)
        for token in range(TOKENS + 1):
            assert {one.id for one in table.with_mcp_token(token)} == by_token.get(token, set())
            assert {one.id for one in table.with_host_token(token)} == by_host.get(token, set())
        wanted: dict[bytes, list[FlowKey]] = {bytes((10, 1, 0, host)): [] for host in range(HOSTS)}
        for key in self.flows if self.moves else ():
            wanted[source_of(key)].append(key)
        for address, keys in wanted.items():
            assert [flow.key for flow in table.subflows_of(address)] == keys

    @invariant()
    def every_record_tells_what_is_its_own(self) -> None:
        for one in self.table:
            known = self.wanted[one.id]
            assert known.holds(one), "a session"
            assert self.table.loads_of(one) == known.loads
            assert [flow.key for flow in one.subflows] == list(known.flows)
            assert all(flow.session is one for flow in one.subflows)
            assert all(known.flows[flow.key].holds(flow) for flow in one.subflows)
        assert all(known.holds(one) for one, known in self.held), "one that is over"
        assert all(known.holds(one) for one, known in self.held_flows)

    @invariant()
    def pages_are_bounded_by_what_lived_at_once(self) -> None:
        self.table.settle()
        self.table.changed.clear()
        over = {id(one) for one, _ in self.held} | {
            id(one.session) for one, _ in self.held_flows if one.session.id not in self.wanted
        }
        self.sessions.look(len(self.wanted) + len(over))
        self.subflows.look(len(self.flows) + len(self.held_flows))


Records.TestCase.settings = settings(stateful_step_count=20, deadline=None)
TestRecords = Records.TestCase
