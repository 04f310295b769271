"""Handlers of handshakes get what they need when they are made, and none calls another."""

import ast
import inspect
import re

from steering.core import assembly
from steering.core.handshakes import dispatcher, mp_capable, mp_join, server_sessions, syn_ack
from steering.core.handshakes.join_destination import OwnMcp
from steering.core.handshakes.mp_join import JoinHandler
from steering.core.sessions.first_answer import LearntToken
from steering.model.mechanism import Mechanism
from tests.architecture import rooms
from tests.architecture.layers import ROOT
from tests.support.sites import UE_LTE, UE_WLAN, Driver, answer, capable, join, steered

HANDLERS = (
    mp_capable.FirstSyns,
    mp_join.JoinHandler,
    server_sessions.ServerSessions,
    syn_ack.SynAckHandler,
    dispatcher.HandshakeDispatcher,
)


def handler_modules():
    return sorted((ROOT / "steering" / "core" / "handshakes").glob("*.py"))


def test_no_handler_is_given_a_handler_but_by_who_tells_segments_apart() -> None:
    for handler in HANDLERS[:-1]:
        given = {str(p.annotation) for p in inspect.signature(handler.__init__).parameters.values()}
        names = {other.__name__ for other in HANDLERS}
        assert not {one for one in given if any(name in one for name in names)}, handler


# Who hands segments on: by what they are; when an MCP has answered a SYN on a flow that another subflow has; a lab that handles joins
# wrongly on purpose; the fast path, which gives back what is not usual.
HANDING_ON = {
    "HandshakeDispatcher", "SynHandler", "NewAttempts", "JoinsTakenForFirstSyns", "UsualSegments",
}  # fmt: skip


def given_a_handler(tree: ast.AST) -> set[str]:
    """Classes whose constructor gets a handler of segments, or what stands for one."""
    names = {one.__name__ for one in HANDLERS} | {"SynHandler", "JoinReceiver"}
    return {
        kind.name
        for kind in ast.walk(tree)
        if isinstance(kind, ast.ClassDef)
        for maker in kind.body
        if isinstance(maker, ast.FunctionDef) and maker.name == "__init__"
        for one in (*maker.args.args, *maker.args.kwonlyargs)
        if one.annotation is not None and names & set(re.findall(r"\w+", ast.unparse(one.annotation)))
    }


def test_nobody_else_of_core_is_given_a_handler() -> None:
    found = set[str]()
    for path in rooms.modules_in(rooms.CORE).values():
        found |= given_a_handler(ast.parse(path.read_text(encoding="utf-8")))
    assert found == HANDING_ON
    code = "class A:\n    def __init__(self, *, joins: 'mp_join.JoinHandler | None') -> None: ..."
    assert given_a_handler(ast.parse(code)) == {"A"}


def test_a_first_answer_is_learnt_in_one_place_and_a_ruling_made_in_one() -> None:
    learning, ruling = set[str](), list[str]()
    for name, path in rooms.modules_in(rooms.CORE).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("Event.KEY_SEEN", "Event.NO_KEY"):
                learning.add(name)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Ruling":
                ruling.append(name)
    assert learning == {"sessions.transitions", "sessions.first_answer"}
    assert ruling == ["selection.chooser"]


def test_what_is_made_is_whole_nothing_is_set_on_another_afterwards() -> None:
    """Of the assembly and of handlers: an assignment goes to a name of one's own or to `self`, or it counts."""
    for path in [*handler_modules(), ROOT / "steering" / "core" / "assembly.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                owner = ast.unparse(node.value)
                assert owner in ("self", "self._counters"), f"{path.name}:{node.lineno}: {ast.unparse(node)}"


def test_who_handles_joins_knows_of_no_mechanism_that_is_off() -> None:
    source = inspect.getsource(mp_join)
    assert "Mechanism" not in source and "disabled" not in source
    given = inspect.signature(JoinHandler.__init__).parameters
    assert "destination" in given


def test_a_token_that_is_learnt_comes_back_as_a_fact_and_waiting_joins_come_again() -> None:
    driver = Driver()
    opening = capable(UE_LTE, 40_000)
    driver.syn(1, 1, opening)
    assert driver.syn(2, 1, join(UE_WLAN, 50_000)) == []  # held
    outputs = driver.syn_ack(3, 1, answer(opening))
    (session,) = driver.table
    assert [s.key[-4:-2] for s in session.subflows] == [p.to_bytes(2, "big") for p in (40_000, 50_000)]
    assert len(outputs) == 2 and not driver.engine.sessions.waiting
    assert LearntToken._fields == ("outputs", "token") and LearntToken([]).token < 0


def test_a_lab_that_switches_wrong_mcp_off_has_joins_led_to_another_mcp() -> None:
    right, wrong = Driver(), Driver(disabled=frozenset({Mechanism.WRONG_MCP}))
    led = []
    for driver in (right, wrong):
        driver.session()
        led.append(steered(driver.syn(2, 1, join(UE_WLAN, 50_000))).entries[-1].waypoint)
    inside: dict[int, int] = {waypoint.id: mcp for mcp, waypoint in right.engine.map.inside.items()}
    (session,) = right.table
    assert inside[led[0]] == session.mcp != inside[led[1]]
    assert OwnMcp(right.engine.map).waypoint(session) == led[0]


def test_a_lab_that_switches_token_lookup_off_has_joins_decided_as_first_syns() -> None:
    right, wrong = Driver(), Driver(disabled=frozenset({Mechanism.TOKEN_LOOKUP}))
    for driver in (right, wrong):
        session = driver.session()
        driver.syn(2, 1, join(UE_WLAN, 50_000))
        assert len(session.subflows) == (2 if driver is right else 1)


def test_every_piece_is_made_once() -> None:
    driver = Driver()
    made = driver.engine.sessions
    pieces = vars(made).values()
    assert isinstance(made, assembly.SessionPieces) and len({id(piece) for piece in pieces}) == len(pieces)
    assert len(pieces) > 25
