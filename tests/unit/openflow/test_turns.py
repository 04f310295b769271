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
from steering.openflow.readback import Readback
from steering.openflow.reader import Message
from steering.openflow.slices import in_turns
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

    from steering.openflow import channel

    flood, desk = channel.Channel.__new__(channel.Channel), Desk()
    flood.adapter, flood._budgets, flood._in_foyer = desk, Budgets(), False  # type: ignore[assignment]
    monkeypatch.setattr(channel.hub, "sleep", lambda seconds: desk.unsent.append("echo reply"))
    flood.pause()
    assert not desk.unsent


def test_what_a_piece_of_a_sweep_brought_is_handled_before_the_next_is_read() -> None:
    import os_ken.base.app_manager  # noqa: F401

    from steering.openflow.app import SteeringApp
    from steering.openflow.channel import Channel

    dpid, inbox, handled = DatapathId(1), deque[SweepRead](), []
    readback = Readback({dpid: SimpleNamespace(write=len)}, count(1), inbox.append)  # type: ignore[arg-type,dict-item]
    app = SteeringApp.__new__(SteeringApp)
    app._inbox, app._sender = inbox, SimpleNamespace(readback=readback)  # type: ignore[assignment]

    def settle(now: float) -> None:
        if inbox:
            handled.append(sum(len(read.entries) for read in inbox))
        inbox.clear()

    channel = Channel.__new__(Channel)
    channel.adapter, channel._budgets = SimpleNamespace(settle=settle, foyer=None), UNBOUNDED  # type: ignore[assignment]
    channel.id, channel._turn_ends, channel._in_foyer, channel._ended = dpid, inf, False, False
    readback.sweep(SweepEntries(dpid), 0.0)
    body = REAL[:152] * 200
    answer = struct.pack(">BBHIHH4x", 4, 19, 16 + len(body), 1, 1, 0) + body
    assert app._multipart(channel, Message(4, 19, 1, answer), 0.0)
    assert handled == [64, 64, 64, 8]
