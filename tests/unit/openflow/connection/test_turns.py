"""Long work in turns: others are served between them, and nothing is left out."""

import struct
from collections import deque
from itertools import count
from math import inf
from types import SimpleNamespace

import pytest

from steering.core.inputs import SweepRead
from steering.core.outputs import SweepEntries
from steering.model.ids import DatapathId
from steering.openflow.budgets import UNBOUNDED, Budgets
from steering.openflow.connection.turn import Brake, ConnectionTurn
from steering.openflow.messages.reader import Message, Type
from steering.openflow.slices import in_turns
from steering.openflow.switch_tables.readback import Readback
from tests.support.openflow_forms import REAL


@pytest.mark.parametrize(("turn", "pauses"), [(2.0, 5), (100.0, 0), (inf, 0)])
def test_work_pauses_each_time_its_turn_is_over(turn: float, pauses: int) -> None:
    done: list[int] = []
    paused: list[int] = []

    def pause() -> None:
        paused.append(len(done))

    in_turns(range(10), done.append, turn, pause, lambda: float(len(done)))
    assert done == list(range(10))
    assert paused == [2, 4, 6, 8, 10][:pauses]


class Desk:
    """What channels ask of their adapter in a pause. `unsent`: answers of other channels."""

    foyer = None

    def __init__(self) -> None:
        self.unsent: list[str] = []

    def settle(self, now: float) -> None:
        self.unsent.clear()


def test_what_others_are_to_be_told_leaves_before_a_connection_has_its_next_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os_ken.base.app_manager  # noqa: F401  (os-ken's modules import each other in a circle)

    from steering.openflow.connection import channel

    flood, desk = channel.Channel.__new__(channel.Channel), Desk()
    flood.adapter, flood._in_foyer, flood._rest = desk, False, 0.0  # type: ignore[assignment]
    flood._turn = ConnectionTurn(Budgets(), lambda: True, 0.0)
    monkeypatch.setattr(channel.hub, "sleep", lambda seconds: desk.unsent.append("echo reply"))
    flood.pause()
    assert not desk.unsent


def test_what_a_piece_of_a_sweep_brought_is_handled_before_the_next_is_read() -> None:
    import os_ken.base.app_manager  # noqa: F401

    from steering.openflow.connection.channel import Channel
    from steering.openflow.statistics import Statistics

    dpid, inbox, handled = DatapathId(1), deque[SweepRead](), []
    readback = Readback({dpid: SimpleNamespace(write=len)}, count(1), inbox.append)  # type: ignore[arg-type,dict-item]
    statistics = Statistics.__new__(Statistics)
    statistics._inbox = inbox  # type: ignore[assignment]
    statistics._sender = SimpleNamespace(readback=readback)  # type: ignore[assignment]

    def settle(now: float) -> None:
        if inbox:
            handled.append(sum(len(read.entries) for read in inbox))
        inbox.clear()

    channel = Channel.__new__(Channel)
    channel.adapter, channel._turn = (
        SimpleNamespace(settle=settle, foyer=None),
        ConnectionTurn(UNBOUNDED, bool, 0.0),
    )  # type: ignore[assignment]
    channel.id, channel._rest, channel._in_foyer, channel._ended = dpid, 0.0, False, False
    readback.sweep(SweepEntries(dpid), 0.0)
    body = REAL[:152] * 200
    answer = struct.pack(">BBHIHH4x", 4, 19, 16 + len(body), 1, 1, 0) + body
    assert statistics.take(channel, Message(4, 19, 1, answer), 0.0)
    assert handled == [64, 64, 64, 8]


COST = 1e-5  # seconds that each message of a flood takes here
LATER = 137  # messages of it, then a good switch becomes readable


class Flooded:
    """A channel whose peer sends `kind` without end, and a clock that only its work and its rests move on.

    `waits`: whether a good switch becomes readable after LATER messages. `stops`: the message before which each pause
    was, and its seconds.
    """

    foyer = usual = None

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, budgets: Budgets, kind: Type, waits: bool = False
    ) -> None:
        import os_ken.base.app_manager  # noqa: F401

        from steering.openflow.connection import channel

        self.now, self.handled = 1_000.0, 0
        self.stops: list[tuple[int, float]] = []
        self.listened: list[bool] = []
        self._kind = kind
        monkeypatch.setattr(channel, "monotonic", lambda: self.now)
        monkeypatch.setattr(channel.hub, "sleep", self._sleep)
        flood = self._channel = channel.Channel.__new__(channel.Channel)
        flood.adapter, flood.is_ready, flood._ended, flood._in_foyer = self, True, False, False  # type: ignore[assignment]
        flood._rest, flood._brake = 0.0, Brake(budgets, self.now)
        flood._turn = ConnectionTurn(budgets, lambda: waits and self.handled >= LATER, self.now)
        flood._read_wait = self  # type: ignore[assignment]

    def _sleep(self, seconds: float) -> None:
        self.stops.append((self.handled, seconds))
        self.now += seconds

    def unlisten(self) -> None:
        self.listened.append(False)

    def settle(self, now: float) -> None: ...

    def received(self, channel: object, message: Message, now: float) -> None:
        self.handled += 1
        self.now += COST

    def send(self, count: int) -> None:
        self._channel._work(struct.pack(">BBHI", 4, self._kind, 8, 0) * count)


@pytest.mark.parametrize("kind", [Type.ECHO_REQUEST, Type.PORT_STATUS, Type.ERROR, Type.PACKET_IN])
def test_a_good_switch_waits_for_a_step_of_a_flood_and_not_for_its_turn(
    monkeypatch: pytest.MonkeyPatch, kind: Type
) -> None:
    budgets = Budgets()
    flood = Flooded(monkeypatch, budgets, kind, waits=True)
    flood.send(2_000)
    first = flood.stops[0][0]
    assert LATER <= first <= LATER + budgets.step / COST + 1
    assert budgets.step / COST * 3 < budgets.turn / COST, "otherwise this shows nothing"


@pytest.mark.parametrize("kind", [Type.ECHO_REQUEST, Type.PORT_STATUS, Type.ERROR, Type.PACKET_IN])
def test_without_budgets_it_waits_for_all_that_was_read(monkeypatch: pytest.MonkeyPatch, kind: Type) -> None:
    flood = Flooded(monkeypatch, UNBOUNDED, kind, waits=True)
    flood.send(20_000)
    assert flood.handled == 20_000 and not flood.stops


def test_who_is_alone_keeps_its_long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    budgets = Budgets()
    flood = Flooded(monkeypatch, budgets, Type.PACKET_IN)
    flood.send(2_000)
    turn = budgets.turn / COST
    ends = [handled for handled, _ in flood.stops]
    assert [end - start for start, end in zip([0, *ends], ends, strict=False)] == pytest.approx(
        [turn] * 4, abs=1
    )


def test_a_turn_of_one_descriptor_is_asked_about_once_a_step() -> None:
    asked: list[float] = []
    now = 0.0

    def others_wait() -> bool:
        asked.append(now)
        return False

    turn = ConnectionTurn(Budgets(turn=0.004, step=0.001), others_wait, 0.0)
    while not turn.is_over(now):
        now += 1e-5
    assert now == pytest.approx(0.004, abs=2e-5) and len(asked) == 3


@pytest.mark.parametrize("kind", [Type.ECHO_REQUEST, Type.PORT_STATUS])
def test_what_a_switch_sends_seldom_is_read_at_its_rate_and_not_lost(
    monkeypatch: pytest.MonkeyPatch, kind: Type
) -> None:
    budgets = Budgets(seldom_burst=100.0)
    flood = Flooded(monkeypatch, budgets, kind)
    began, count = flood.now, 10_000
    flood.send(count)
    assert flood.handled == count
    rests = [seconds for _, seconds in flood.stops if seconds]
    assert set(rests) == {budgets.rest} and len(flood.listened) == len(rests), (
        "not asked about while it rests"
    )
    # One more than its rate allows in a rest is handled before each.
    most = budgets.seldom_rate + 1 / budgets.rest
    assert (count - budgets.seldom_burst) / (flood.now - began) <= most
    assert COST * count < (flood.now - began) / 50, "the thread is free nearly all the time"


@pytest.mark.parametrize(
    ("kind", "budgets"),
    [(Type.PACKET_IN, Budgets()), (Type.ERROR, Budgets()), (Type.ECHO_REQUEST, UNBOUNDED)],
)
def test_traffic_and_errors_have_no_rate_and_without_budgets_nothing_has(
    monkeypatch: pytest.MonkeyPatch, kind: Type, budgets: Budgets
) -> None:
    flood = Flooded(monkeypatch, budgets, kind)
    flood.send(20_000)
    assert flood.handled == 20_000 and not any(seconds for _, seconds in flood.stops)


def test_who_sends_one_at_a_time_rests_before_the_next_read(monkeypatch: pytest.MonkeyPatch) -> None:
    budgets = Budgets(seldom_burst=1.0)
    flood = Flooded(monkeypatch, budgets, Type.ECHO_REQUEST)
    channel = flood._channel
    channel._more, channel._turns = True, 0
    channel._raw = SimpleNamespace(recv=lambda size: struct.pack(">BBHI", 4, Type.ECHO_REQUEST, 8, 0))
    for _ in range(3):
        channel._more = True
        assert not channel._work(channel._read())
    assert flood.stops == [(2, budgets.rest)]
