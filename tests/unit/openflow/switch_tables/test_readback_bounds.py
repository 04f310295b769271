"""Answers without end: bounded in total and in time, read in pieces, and only the largest is given up."""

import struct
from itertools import count

import pytest

from steering.core.counters import Counters
from steering.core.inputs import Input
from steering.core.outputs import ForgetReading, ReadEntries
from steering.model.ids import DatapathId
from steering.model.rules import static_cookie
from steering.openflow.messages.flowstats import parse, pieces
from steering.openflow.messages.reader import Disconnect
from steering.openflow.switch_tables import readback
from steering.openflow.switch_tables.readback import PART_TIMEOUT, READ_TIMEOUT, Readback
from steering.openflow.switch_tables.sender import Sender
from tests.support.openflow_forms import REAL


class Line:
    def __init__(self, bench: "Bench", dpid: int) -> None:
        self.bench, self.dpid = bench, dpid
        self.reason: Disconnect | None = None

    def write(self, data: bytes) -> None:
        pass

    def disconnect(self, reason: Disconnect) -> None:
        self.reason = self.reason or reason
        self.bench.readback.switch_down(self.dpid)


class Bench:
    """Switches 1 to 3 are asked for all their entries; their questions have the xids 1 to 3."""

    def __init__(self) -> None:
        self.fed: list[Input] = []
        self.lines = {dpid: Line(self, dpid) for dpid in (1, 2, 3)}
        self.readback = Readback(self.lines, count(1), self.fed.append)
        for dpid in self.lines:
            self.readback.ask(ReadEntries(dpid), 0.0)

    def part(self, dpid: int, entries: int, now: float = 1.0, more: int = 1) -> bool:
        body = REAL[:152] * entries
        head = struct.pack(">BBHIHH4x", 4, 19, 16 + len(body), dpid, 1, more)
        return self.readback.part(dpid, dpid, head + body, now)

    @property
    def reasons(self) -> list[Disconnect | None]:
        return [line.reason for line in self.lines.values()]


def test_all_answers_together_are_bounded_and_the_largest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readback, "MAX_ENTRIES", 1_000)
    bench = Bench()
    for dpid, entries in ((1, 300), (2, 400), (3, 250)):
        bench.part(dpid, entries)
    assert bench.reasons == [None] * 3
    bench.part(1, 90)
    assert bench.reasons == [None, Disconnect.TOO_MANY_ENTRIES, None]
    bench.part(1, 300)
    assert bench.reasons[0] is None, "what the other had held is free again"


def test_finished_answers_that_wait_for_their_turn_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readback, "MAX_WAITING", 1_000)
    bench = Bench()
    for dpid, entries in ((1, 300), (2, 400)):
        bench.part(dpid, entries, more=0)
    assert bench.reasons == [None] * 3 and len(bench.fed) == 2
    bench.part(3, 350, more=0)
    assert bench.reasons == [None, Disconnect.TOO_MANY_ENTRIES, None] and len(bench.fed) == 3


@pytest.mark.parametrize("end", ["filled", "nothing to fill", "gone", "asked again"])
def test_an_answer_waits_until_its_switch_is_filled_or_need_not_be_or_is_gone_or_asked_again(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readback, "MAX_WAITING", 600)
    bench = Bench()
    bench.part(1, 400, more=0)
    if end == "filled":
        bench.readback.held(DatapathId(1))
    elif end == "nothing to fill":
        sender = Sender(bench.lines, Counters(), bench.fed.append)
        sender.readback = bench.readback
        sender.execute([ForgetReading(DatapathId(1))], 1.0)
    elif end == "gone":
        bench.readback.switch_down(DatapathId(1))
    else:
        bench.readback.ask(ReadEntries(DatapathId(1)), 1.0)
    bench.part(2, 400, more=0)
    assert bench.reasons == [None] * 3 and len(bench.fed) == 2


def test_an_answer_that_is_the_largest_and_one_too_many_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readback, "MAX_WAITING", 600)
    bench = Bench()
    bench.part(1, 300, more=0)
    bench.part(2, 400, more=0)
    assert bench.reasons == [None, Disconnect.TOO_MANY_ENTRIES, None] and len(bench.fed) == 1


def test_an_answer_that_drips_has_to_end_in_time() -> None:
    bench = Bench()
    now = 0.0
    while now < READ_TIMEOUT:
        bench.part(1, 1, now)
        bench.readback.expire(now)
        now += PART_TIMEOUT / 2
    assert bench.reasons[0] is None
    bench.part(1, 1, now)
    bench.readback.expire(now)
    assert bench.reasons[0] is Disconnect.READ_TIMEOUT


def test_others_get_their_turn_between_pieces_and_a_switch_that_went_is_left() -> None:
    bench = Bench()
    body = REAL[:152] * 400
    head = struct.pack(">BBHIHH4x", 4, 19, 16 + len(body), 1, 1, 0)
    turns: list[int] = []
    assert bench.readback.part(1, 1, head + body, 1.0, lambda: turns.append(1) or len(turns) < 3)  # type: ignore[func-returns-value]
    assert len(turns) == 3 and not bench.fed


def test_what_was_not_asked_is_said_to_be_so() -> None:
    bench = Bench()
    assert bench.part(1, 1) and bench.part(1, 1, more=0)
    assert not bench.part(1, 1)


@pytest.mark.parametrize("entries", [0, 1, 63, 64, 65, 128, 200])
def test_pieces_are_whole_entries_and_all_of_them(entries: int) -> None:
    body = REAL[:152] * entries
    cut = list(pieces(body))
    assert b"".join(cut) == body
    assert sum(len(parse(DatapathId(1), piece).entries) for piece in cut) == entries
    assert all(len(piece) <= 64 * 152 for piece in cut)


def test_what_has_no_sound_length_is_the_last_piece() -> None:
    body = REAL[:152] * 70 + struct.pack(">H", 3) + bytes(200)
    assert b"".join(pieces(body)) == body
    assert list(pieces(struct.pack(">HBx4x", static_cookie(1) & 7, 0))) != []
