"""A share with many sessions changes hands a piece at a time: others have their turns between two pieces."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

import pytest

from steering.core.engine import RECOVERY
from steering.core.inputs import (
    Continue,
    EntriesRead,
    Input,
    ObservedEntry,
    SwitchDown,
    SwitchUp,
    SynSeen,
    Tick,
)  # fmt: skip
from steering.core.long_work import AT_ONCE, PORTION
from steering.core.outputs import FillSwitch, GoOn, Output, ReadEntries, RemoveEntries, Steer
from steering.core.peer_facts import ClusterChanged, PeerTold, TurnOver
from steering.core.peers.handover import Handover
from steering.core.sessions.records import Session
from steering.core.sessions.teardown import Teardown
from steering.model.ids import DatapathId, read_token
from steering.model.network import PortRole
from steering.model.session import Refusal
from steering.wire.peer_messages import ForwardedSegment, SegmentKind
from tests.support.clustered import SHARES, Cluster
from tests.support.sites import KEY, TOKEN, UE_LTE, UE_WLAN, Driver, join

LTE, WLAN = DatapathId(1), DatapathId(2)  # a has LTE's, c has WLAN's
SESSIONS = 1_500


class Calls:
    """Calls of Python functions, counted: what a piece does, whatever the machine does meanwhile."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        self.count += event == "call"

    @contextmanager
    def counted(self) -> Iterator[None]:
        self.count = 0
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)


def begun() -> tuple[Cluster, list[ObservedEntry]]:
    """Many sessions of a, of which one has a known key; and what the switch where they began holds of them."""
    cluster = Cluster()
    sessions = [cluster.session(UE_LTE, 40_000, KEY)]
    sessions += [
        cluster.session(UE_LTE, 1_000 + number, number.to_bytes(8, "big")) for number in range(1, SESSIONS)
    ]
    held = [
        ObservedEntry(entry, 1)
        for session in sessions
        for entry in session.entries(PortRole.GATEWAY)
        if entry.dpid == LTE
    ]
    assert len(held) == SESSIONS
    cluster.shares = {**SHARES, LTE: "c"}
    return cluster, held


def pieces(cluster: Cluster, name: str, given: Input) -> Iterator[list[Output]]:
    """What an engine does about an input, piece by piece. Others hear nothing of it."""
    engine = cluster.engines[name]
    while True:
        outputs = [*engine.handle(given, cluster.now), *engine.handle(TurnOver(), cluster.now)]
        yield outputs
        if not any(isinstance(output, GoOn) for output in outputs):
            return
        given = Continue()


def changed(cluster: Cluster, name: str) -> ClusterChanged:
    return ClusterChanged(name, frozenset(cluster.names), cluster.shares)


def connected(cluster: Cluster) -> None:
    """c has LTE's switch, which is connected, and has not told what it holds."""
    cluster.give("c", changed(cluster, "c"))
    cluster.at(LTE, SwitchUp(LTE, cluster.ports(LTE)))


def sizes(work: Iterator[list[Output]]) -> list[int]:
    """The calls of each piece."""
    calls, found = Calls(), list[int]()
    while True:
        with calls.counted():
            piece = next(work, None)
        if piece is None:
            return found
        found.append(calls.count)


def test_no_piece_of_giving_up_is_long() -> None:
    cluster, _ = begun()
    table = cluster.engines["a"].sessions.table
    found = sizes(pieces(cluster, "a", changed(cluster, "a")))
    assert not len(table)
    assert max(found) * 5 < sum(found) and len(found) >= SESSIONS // AT_ONCE


def test_no_piece_of_taking_over_is_long() -> None:
    cluster, held = begun()
    connected(cluster)
    table = cluster.engines["c"].sessions.table
    before = len(table)
    found = sizes(pieces(cluster, "c", EntriesRead(LTE, held, [])))
    assert len(table) == before + SESSIONS
    assert max(found) * 5 < sum(found) and len(found) >= SESSIONS // AT_ONCE


def test_joins_are_answered_between_two_pieces() -> None:
    cluster, held = begun()
    cluster.give("a", changed(cluster, "a"))
    connected(cluster)
    engine = cluster.engines["c"]
    served, fills = 0, list[Output]()
    for number, outputs in enumerate(pieces(cluster, "c", EntriesRead(LTE, held, []))):
        fills += [output for output in outputs if isinstance(output, FillSwitch)]
        if not fills and len(engine.sessions.table):
            found = next(reversed(list(engine.sessions.table)))
            seen = join(UE_WLAN, 2_000 + number, found.token.to_bytes(4, "big"))
            answered = engine.handle(SynSeen(WLAN, 1, seen, Driver.frame(seen)), cluster.now)
            served += any(isinstance(output, Steer) for output in answered)
    assert served >= SESSIONS // AT_ONCE - 1
    (fill,) = fills
    assert isinstance(fill, FillSwitch) and not fill.entries and not fill.stale
    assert len(engine.sessions.table) == SESSIONS


def test_until_all_is_taken_over_no_join_is_a_strangers() -> None:
    cluster, held = begun()
    connected(cluster)
    engine = cluster.engines["c"]
    work = pieces(cluster, "c", EntriesRead(LTE, held, []))
    next(work)
    assert engine.sessions.readiness.recovering and len(engine.sessions.table) < SESSIONS
    assert cluster.syn(WLAN, 1, join(UE_WLAN, 40_009, b"\7\7\7\7")) == []
    asked = [output for outputs in work for output in outputs if isinstance(output, ReadEntries)]
    assert {output.dpid for output in asked} == {WLAN, 4}, "its own switches are read once more, now"


def test_a_session_that_is_yet_to_be_forgotten_gets_no_join_and_no_segment() -> None:
    cluster, _ = begun()
    engine = cluster.engines["a"]
    work = pieces(cluster, "a", changed(cluster, "a"))
    next(work)
    token = read_token(TOKEN, "big")
    waiting = [one for one in engine.sessions.table if engine.handover.leaves(one)]
    assert waiting and not engine.sessions.table.with_mcp_token(token), "the eldest goes first"
    one = waiting[-1]
    seen = join(UE_WLAN, 40_001, one.token.to_bytes(4, "big"))
    message = ForwardedSegment(SegmentKind.SYN, WLAN, 1, 0, seen, Driver.frame(seen))
    assert not any(isinstance(output, Steer) for output in engine.handle(PeerTold("c", message), cluster.now))
    assert engine.counters.refusals[Refusal.PEER_UNREACHABLE] == 1
    assert len(one.subflows) == 1
    assert not [o for outputs in work for o in outputs if isinstance(o, RemoveEntries)]
    assert not len(engine.sessions.table)


def test_a_switch_that_comes_back_meanwhile_is_read_when_all_was_forgotten() -> None:
    """Else what is forgotten last would be what was just found."""
    cluster, held = begun()
    engine = cluster.engines["a"]
    work = pieces(cluster, "a", changed(cluster, "a"))
    next(work)
    engine.handle(SwitchDown(LTE), cluster.now)
    cluster.shares = dict(SHARES)
    engine.handle(changed(cluster, "a"), cluster.now)
    engine.handle(SwitchUp(LTE, cluster.ports(LTE)), cluster.now)
    assert not any(isinstance(o, FillSwitch) for o in engine.handle(EntriesRead(LTE, held, []), cluster.now))
    fills = [o for outputs in work for o in outputs if isinstance(o, FillSwitch)]
    assert len(fills) == 1 and len(engine.sessions.table) == SESSIONS
    assert not any(map(engine.handover.leaves, engine.sessions.table))


def test_a_switch_that_is_lost_while_it_is_read_is_read_again_as_a_whole() -> None:
    cluster, held = begun()
    connected(cluster)
    engine = cluster.engines["c"]
    work = pieces(cluster, "c", EntriesRead(LTE, held, []))
    next(work)
    engine.handle(SwitchDown(LTE), cluster.now)
    assert not [o for outputs in work for o in outputs if isinstance(o, FillSwitch)]
    assert not engine.works and engine.sessions.readiness.recovering
    connected(cluster)
    fills = [o for outputs in pieces(cluster, "c", EntriesRead(LTE, held, [])) for o in outputs]
    assert any(isinstance(o, FillSwitch) for o in fills) and len(engine.sessions.table) == SESSIONS


class Broken(Teardown):
    def __init__(self) -> None:
        pass

    def end(self, session: Session) -> list[Output]:
        raise ValueError("a session that cannot end")


def test_an_error_as_sessions_are_forgotten_leaves_none_that_neither_goes_nor_stays() -> None:
    cluster, _ = begun()
    engine = cluster.engines["a"]
    table = engine.sessions.table
    handover = Handover(
        engine.map, table, Broken(), engine.switches, set(), engine.recovery.adopt, nullcontext
    )
    work = handover.given_up({LTE})
    assert next(work) == 0 and all(map(handover.leaves, table))
    with pytest.raises(ValueError, match="cannot end"):
        next(work)
    assert not any(map(handover.leaves, table))


def test_what_is_given_up_once_more_before_all_was_forgotten_still_leaves() -> None:
    cluster, _ = begun()
    handover, table = cluster.engines["a"].handover, cluster.engines["a"].sessions.table
    first = handover.given_up({LTE})
    assert next(first) == 0 and next(first)
    second = handover.given_up({LTE})
    first.close()
    assert len(table) and all(map(handover.leaves, table))
    assert sum(second) and not len(table)


def test_numbers_of_which_no_session_is_left_are_work_too() -> None:
    cluster, _ = begun()
    engine = cluster.engines["a"]
    for session in list(engine.sessions.table)[:-1]:
        engine.sessions.teardown.end(session)
    assert list(engine.handover.given_up({LTE})) == [0, PORTION]


def test_what_is_given_up_keeps_no_join_waiting_for_a_switch_that_never_comes() -> None:
    """Only what is being taken over of a switch that has not told is waited for, and not without end."""
    cluster, _ = begun()
    engine = cluster.engines["a"]
    cluster.shares = {**SHARES, LTE: "c", DatapathId(3): "a"}
    next(pieces(cluster, "a", changed(cluster, "a")))
    assert engine.works and engine.sessions.readiness.recovering
    engine.handle(Tick(), cluster.now + RECOVERY - 0.1)
    assert engine.sessions.readiness.recovering
    engine.handle(Tick(), cluster.now + RECOVERY)
    assert engine.works and not engine.sessions.readiness.recovering


def test_what_is_being_taken_over_is_waited_for_and_not_without_end() -> None:
    cluster, held = begun()
    connected(cluster)
    engine = cluster.engines["c"]
    next(pieces(cluster, "c", EntriesRead(LTE, held, [])))
    engine.handle(Tick(), cluster.now + 4 * RECOVERY - 0.1)
    assert engine.works and engine.sessions.readiness.recovering
    engine.handle(Tick(), cluster.now + 4 * RECOVERY)
    assert engine.works and not engine.sessions.readiness.recovering
