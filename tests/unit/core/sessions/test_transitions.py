"""A session's life is its table: every pair of state and event, walked at random, and the books that go with it."""

import ast
import re
from collections import Counter
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.core.counters import Counters
from steering.core.restart import readback
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.records import Session, Subflow
from steering.core.sessions.table import SessionTable
from steering.core.sessions.transitions import BEGINNINGS, TRANSITIONS, Beginning, Event, SessionLife
from steering.model.decision import Candidates, Outcome, Ruling
from steering.model.policy import Limits, Terms
from steering.model.session import SessionState
from tests.architecture.layers import ROOT, sources

MCP, ENTRANCE = 3, 7
FIRST = flow_key(b"\n\1\0\2", b"\n\x09\0\2", 40_000, 443)
NETWORK = Candidates(1, 2, 1.0, (), (), ())
RULING = Ruling(Outcome.PROXY, -1, "score", NETWORK, (), "", Terms(), 1, "anna", "video", "anna")
KEYS = {
    ("subscriber", "anna"), ("server", FIRST[4:8] + FIRST[10:]), ("application", "video"), ("mcp", MCP),
}  # fmt: skip
CLOSED = (SessionState.CLOSING,)


class Books:
    """A table with one session after another, and what is to be counted of them."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.table = SessionTable(Limits(), [MCP])
        self.life = SessionLife(self.table, self.counters)
        self.known: dict[int, SessionState | None] = {}
        self.sessions: list[Session] = []
        self.refused: Counter[tuple[str, str]] = Counter()
        self.uncounted: set[int] = set()  # by what the events said

    def begin(self, how: Beginning) -> Session:
        mcp = 0 if how is Beginning.LEFT_TO_ITS_ENDS else MCP
        session = self.life.begin(how, mcp, RULING, 0.0, ENTRANCE, FIRST)
        self.known[session.id] = BEGINNINGS[how][0]
        self.sessions.append(session)
        return session

    def give(self, session: Session, event: Event) -> None:
        """What the table says, and only that."""
        before = self.known[session.id]
        step = None if before is None else TRANSITIONS.get((before, event))
        assert self.life.happened(session, event) is (step is not None)
        if step is None:
            self.refused[session.state, event] += 1
        else:
            self.known[session.id] = step.state
            if step.action in (SessionTable.discount, SessionTable.dismiss):
                self.uncounted.add(session.id)
            elif step.action in (
                SessionTable.establish, SessionTable.reopen, SessionTable.rest, SessionTable.forget,
            ):  # fmt: skip
                self.uncounted.discard(session.id)

    def check(self) -> None:
        """Count everything anew."""
        table, alive = self.table, {n: state for n, state in self.known.items() if state is not None}
        assert {session.id: session.state for session in table} == alive
        assert {state: n for state, n in table.states.items() if n} == Counter(alive.values())
        resting = (SessionState.LINGER, SessionState.WITHDRAWN)
        assert set(table.lingering) == {n for n, state in alive.items() if state in resting}
        idle = {n for n, state in alive.items() if state is SessionState.IDLE}
        assert set(table.idle) == idle
        half_open = {
            n for n, state in alive.items() if state in (SessionState.SYN_PINNED, SessionState.ANSWERED)
        }
        assert set(table.half_open) == half_open and table.half_open_at.get(ENTRANCE, 0) == len(half_open)
        assert sum(table.half_open_from.values()) == len(half_open)
        assert table.uncounted <= {n for n, state in alive.items() if n in half_open or state in CLOSED}
        assert table.uncounted == {n for n in alive if n in self.uncounted}
        assert table.load_seen_at(ENTRANCE) == table.active
        elsewhere = len(half_open - table.uncounted)
        assert table.load_seen_at(ENTRANCE + 1)[MCP] == table.active[MCP] - elsewhere
        load = sum(
            state not in (*resting, SessionState.IDLE) and n not in table.uncounted
            for n, state in alive.items()
        )
        assert table.active[MCP] == load and table.active[0] == 0
        assert {(kind, key): n for kind, key, n in table.ledger} == (
            dict.fromkeys(KEYS, load) if load else {}
        )
        heard = any(
            state not in (*resting, SessionState.SYN_PINNED, SessionState.ANSWERED)
            and n not in table.uncounted
            for n, state in alive.items()
        )
        assert table.heard.has(FIRST[:4]) is heard and len(table.heard) == heard
        assert self.counters.session_events_refused == self.refused


def way_to(wanted: SessionState) -> tuple[Beginning, list[Event]]:
    """How a session comes to be in a state."""
    ways: dict[SessionState, tuple[Beginning, list[Event]]] = {
        state: (how, []) for how, (state, _) in BEGINNINGS.items()
    }
    while wanted not in ways:
        found = {
            step.state: (ways[state][0], [*ways[state][1], event])
            for (state, event), step in TRANSITIONS.items()
            if state in ways and step.state is not None and step.state not in ways
        }
        assert found, f"no way to {wanted}"
        ways |= found
    return ways[wanted]


@given(st.sampled_from(SessionState), st.sampled_from(Event))
def test_each_event_in_each_state_does_what_the_table_says_or_is_refused_and_counted(
    state: SessionState, event: Event
) -> None:
    books = Books()
    how, way = way_to(state)
    session = books.begin(how)
    for step in way:
        books.give(session, step)
    assert session.state is state
    books.give(session, event)
    books.check()


@given(st.lists(st.one_of(st.sampled_from(Beginning), st.tuples(st.integers(0, 5), st.sampled_from(Event)))))
def test_whatever_happens_in_whatever_order_the_books_are_right(steps) -> None:
    books = Books()
    for step in steps:
        if isinstance(step, Beginning):
            books.begin(step)
        elif books.sessions:
            books.give(books.sessions[step[0] % len(books.sessions)], step[1])
        books.check()
    for session in books.sessions:
        books.give(session, Event.OVER)
    assert not len(books.table) and not list(books.table.ledger)


def test_every_state_can_be_reached_and_left_for_good() -> None:
    for state in SessionState:
        way_to(state)
        assert TRANSITIONS[state, Event.OVER].state is None
    assert set(BEGINNINGS) == set(Beginning)
    assert {event for _, event in TRANSITIONS} == set(Event)


def test_the_picture_has_every_state_and_every_step() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "design" / "session-life.svg")
    texts = ["".join(one.itertext()) for one in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {*SessionState, "begins", "is over"} <= set(texts)
    ways: list[tuple[str, str, str]] = [("", state, how) for how, (state, _) in BEGINNINGS.items()]
    ways += [(before, step.state or "", event) for (before, event), step in TRANSITIONS.items()]
    told = Counter((before, after) for before, after, _ in ways)
    arrows = [one for one in picture.iter("{http://www.w3.org/2000/svg}path") if one.get("class") == "arrow"]
    assert len(arrows) == len(told)
    words = [word for text in texts for word in text.split("; ")]
    for event in {*Beginning, *Event}:
        assert words.count(event) == len({way[:2] for way in ways if way[2] == event}), event


def test_the_documentation_explains_every_state_and_event_in_words() -> None:
    page = (ROOT / "docs" / "design" / "session-life.rst").read_text(encoding="utf-8")
    words = page.split(".. Made by packaging/reference.py", 1)[0]
    headings = {
        name
        for line in words.splitlines()
        if re.fullmatch("(?:``[^`]+``(?:, )?)+", line)
        for name in re.findall("``([^`]+)``", line)
    }
    assert headings == {*SessionState, *Beginning, *Event}


# What makes a record in a state, and who does: the table of transitions; and who reads sessions back, many at once, in the state
# that the table has for them.
MAKERS = {
    "create": "sessions/transitions.py",
    "restore": "restart/readback.py",
    "Session": "sessions/table.py",
}
ACTIONS = {step.action.__name__ for step in TRANSITIONS.values()} | {
    action.__name__ for _, action in BEGINNINGS.values()
}


def changes_of_state(tree: ast.AST, place: str) -> list[str]:
    """What in a file of core changes a session's state, or makes a session in a state. `place`: the file below core."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            wrong = node.func.id == "setattr" or MAKERS.get(node.func.id, place) != place
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            stored = isinstance(node.ctx, ast.Store) and node.attr == "state" and owner != "self"
            of_table = owner in ("table", "_table")
            called = of_table and (node.attr in ACTIONS or MAKERS.get(node.attr, place) != place)
            wrong = stored or called or node.attr == "__setattr__"
        else:
            continue
        if wrong:
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def test_no_other_module_changes_a_state_or_calls_what_the_table_does() -> None:
    core = ROOT / "steering" / "core"
    found = [
        f"{path.relative_to(ROOT)}:{what}"
        for path in sources()
        if path.is_relative_to(core) and path != core / "sessions" / "transitions.py"
        for what in changes_of_state(
            ast.parse(path.read_text(encoding="utf-8")), path.relative_to(core).as_posix()
        )
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "code",
    [
        "session.state = SessionState.PLAIN",
        "def f():\n    subflow.session.state, x = PLAIN, 1",
        "setattr(session, 'state', PLAIN)",
        "object.__setattr__(session, 'state', PLAIN)",
        "self._table.establish(session)",
        "table.create(PLAIN, mcp, None, now)",
        "self._table.restore(PLAIN, entry, mcp, token, key, 1, 1, now)",
        "Session(1, PLAIN, mcp, None, now)",
    ],
)
def test_a_change_of_state_beside_the_table_is_found(code: str) -> None:
    assert changes_of_state(ast.parse(code), "handshakes/x.py")


def test_who_makes_records_is_let_pass() -> None:
    for maker, place in MAKERS.items():
        call = f"{maker}(1)" if maker == "Session" else f"self._table.{maker}(1)"
        assert not changes_of_state(ast.parse(call), place)


def test_sessions_that_are_read_back_are_in_a_state_of_the_table() -> None:
    """A starting controller makes hundreds of thousands at once, without the steps of a beginning."""
    code = ast.parse((ROOT / "steering" / "core" / MAKERS["restore"]).read_text(encoding="utf-8"))
    calls = [
        node
        for node in ast.walk(code)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "self._table.restore"
    ]
    assert [ast.unparse(one.args[0]) for one in calls] == ["_FOUND"]
    assert readback._FOUND is BEGINNINGS[Beginning.FOUND_WITH_TOKEN][0]


# All fields of records, those of the classes that they inherit from too: slots, and what a page or a shared part keeps.
RECORD = {
    name
    for kind in (*Session.__mro__, *Subflow.__mro__)
    for name in (
        *getattr(kind, "__slots__", ()),
        *(n for n, it in vars(kind).items() if isinstance(it, property)),
    )
}
RECORDS = {"session", "subflow", "known", "join"}  # how modules call a record


def changes_of_records(tree: ast.AST) -> list[str]:
    """What in a file assigns a field of a record, changes its list of subflows, or knows where its page is."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        of = node.value
        owner = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
        stored = isinstance(node.ctx, ast.Store | ast.Del) and node.attr in RECORD and owner in RECORDS
        mutated = owner == "subflows" and node.attr in (
            "append",
            "remove",
            "clear",
            "extend",
            "pop",
            "insert",
        )
        opened = owner in RECORDS and node.attr in ("_page", "_place")
        if stored or opened or (mutated and isinstance(of, ast.Attribute)):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def test_outside_sessions_nobody_assigns_a_field_of_a_record_or_changes_its_list_of_subflows() -> None:
    assert {"state", "token", "onset", "course", "watch", "progress", "mcp", "isn"} <= RECORD
    found = [
        f"{path.relative_to(ROOT)}:{what}"
        for path in sources()
        if not path.is_relative_to(ROOT / "steering" / "core" / "sessions")
        for what in changes_of_records(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "code",
    [
        "session.mcp = 3",
        "subflow.session.token = 7",
        "subflow.watch = 1",
        "known.course = course",
        "self._table.subflow.onset = onset",
        "join.progress += 1",
        "session.subflows.append(subflow)",
        "session._page.number[session._place] = 1",
    ],
)
def test_a_change_of_a_record_outside_sessions_is_found(code: str) -> None:
    assert changes_of_records(ast.parse(code))
    assert not changes_of_records(ast.parse("session.touch(now)\none.token = 1\nsubflows.append(2)"))
