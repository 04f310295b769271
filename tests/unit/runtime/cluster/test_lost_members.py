"""After how long, and together with whom, members count as lost whose streams have ended."""

from types import SimpleNamespace
from typing import Any

from steering.cluster.silent_members import SilentMembers
from steering.runtime.cluster.lost_members import GRACE, LostMembers

BEAT = 0.1
STEP = 0.02


class Streams:
    """Streams of this controller with others, and when something came of each."""

    def __init__(self, *names: str) -> None:
        self.now = 100.0
        self.silence = SilentMembers()
        self.lost: list[tuple[str, ...]] = []
        coordination: Any = SimpleNamespace(
            silence=self.silence, found=self.silence.found, lost=lambda *lost: self._lose(lost)
        )
        self.came: dict[str, float] = {}
        self.members = LostMembers(coordination, lambda name: self.came.get(name, 0.0))
        for name in names:
            self.open(name)

    def _lose(self, names: tuple[str, ...]) -> None:
        self.lost.append(tuple(sorted(names)))
        self.silence.lost(names, names)

    def open(self, name: str) -> None:
        self.came[name] = self.now
        self.members.found(name)

    def end(self, name: str) -> None:
        self.came.pop(name)
        self.members.ended(name, self.now)

    def go_on(self, seconds: float, *heard: str) -> None:
        """`heard`: who sends heartbeats meanwhile."""
        ends = self.now + seconds
        beat = self.now
        while self.now < ends:
            self.now += STEP
            if self.now >= beat + BEAT:
                beat += BEAT
                self.came |= dict.fromkeys(heard, self.now)
            self.members.look(self.now)


def test_one_that_is_silent_while_another_one_is_heard_is_lost_within_two_heartbeats_of_the_grace() -> None:
    streams = Streams("b", "c")
    streams.end("b")
    streams.go_on(GRACE - STEP, "c")
    assert not streams.lost
    streams.go_on(2 * BEAT + STEP, "c")
    assert streams.lost == [("b",)] and not streams.members.are_awaited


def test_the_only_other_one_is_lost_when_the_grace_is_over() -> None:
    streams = Streams("b")
    streams.end("b")
    streams.go_on(GRACE + STEP)
    assert streams.lost == [("b",)] and streams.silence.gone == {"b"}


def test_streams_that_end_one_after_the_other_are_lost_together() -> None:
    """Heartbeats of two that are cut off are missed at different moments. The first one must not count as dead meanwhile."""
    streams = Streams("b", "c")
    streams.go_on(BEAT, "c")
    streams.end("b")
    streams.go_on(4 * BEAT)
    assert not streams.lost and streams.members.are_awaited
    streams.end("c")
    streams.go_on(STEP)
    assert streams.lost == [("b", "c")] and streams.silence.is_cut_off


def test_others_that_still_sent_something_as_they_ended_the_stream_prove_nothing() -> None:
    """Who is not heard by the others hears them until they give it up: each some time after the other."""
    streams = Streams("b", "c")
    streams.end("b")
    streams.go_on(GRACE - 2 * STEP)
    streams.came["c"] = streams.now
    streams.end("c")
    streams.go_on(2 * GRACE)
    assert streams.lost == [("b", "c")] and not streams.silence.gone


def test_who_is_there_again_in_time_was_never_lost() -> None:
    streams = Streams("b", "c")
    streams.end("b")
    streams.go_on(GRACE / 2, "c")
    streams.open("b")
    streams.go_on(5 * BEAT, "b", "c")
    assert not streams.lost and not streams.members.are_awaited
