"""What connections caused in one turn of the hub leaves once, when all that were ready have been read."""

import subprocess
import sys
from collections.abc import Callable

from steering.openflow.turn_end import LONGEST, TurnEnd, watched_poll


class Spawned:
    """A hub that runs what was spawned when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.ended: list[float] = []
        self.now = 10.0

    def turn_end(self, fails: bool = False, is_alone: Callable[[], bool] = lambda: False) -> TurnEnd:
        def end(now: float) -> None:
            self.ended.append(now)
            if fails:
                raise ValueError("one switch is broken")

        return TurnEnd(end, lambda: self.now, self.waiting.append, is_alone)

    def go_on(self) -> None:
        waiting, self.waiting[:] = list(self.waiting), []
        for run in waiting:
            run()


def test_many_wishes_of_a_turn_end_it_once() -> None:
    hub = Spawned()
    turns = hub.turn_end()
    for _ in range(16):
        turns.wish(hub.now)
    assert not hub.ended and len(hub.waiting) == 1
    hub.go_on()
    assert hub.ended == [10.0]
    turns.wish(hub.now)
    assert len(hub.waiting) == 1, "the next turn is one of its own"


def test_a_long_turn_does_not_keep_waiting_what_is_there() -> None:
    hub = Spawned()
    turns = hub.turn_end()
    times = [10.0 + step * LONGEST * 0.75 for step in range(9)]
    for now in times:
        turns.wish(now)
    assert hub.ended == times[2::2] and len(hub.waiting) == 1


def test_sending_that_fails_ends_no_later_turn() -> None:
    hub = Spawned()
    turns = hub.turn_end(fails=True)
    for _ in range(2):
        turns.wish(hub.now)
        hub.go_on()
    assert len(hub.ended) == 2


def test_who_is_alone_in_a_turn_ends_it_at_once() -> None:
    hub, alone = Spawned(), [True]
    turns = hub.turn_end(fails=True, is_alone=lambda: alone[0])
    turns.wish(hub.now)
    assert hub.ended == [10.0] and not hub.waiting
    alone[0] = False
    turns.wish(hub.now)
    alone[0] = True
    turns.wish(hub.now)
    assert hub.ended == [10.0] and len(hub.waiting) == 1, "the turn that others are in goes on"


def test_a_hub_without_a_poll_is_left_as_it_is() -> None:
    assert watched_poll(object()) is None


# In a process of its own: the hub that os-ken uses is chosen once, when it is imported.
SCRIPT = """
from steering.runtime.hub import prepare
prepare()
import eventlet, socket
from time import monotonic
from eventlet.hubs import get_hub
from os_ken.lib import hub
from steering.openflow.turn_end import TurnEnd, watched_poll

seen = []
poll = watched_poll(get_hub())
assert watched_poll(get_hub()) is poll

def spawn(run):
    seen.append("spawned")
    eventlet.spawn_n(run)

turns = TurnEnd(lambda now: seen.append("sent"), monotonic, spawn, poll.found_one)

def reader(near):
    while True:
        near.recv(1)
        seen.append("read")
        turns.wish(0.0)

one, other = socket.socketpair(), socket.socketpair()
for near, _ in (one, other):
    get_hub().add(get_hub().READ, near.fileno(), seen.remove, print, print)

def waiting():
    return [poll.others_wait(near.fileno()) for near, _ in (one, other)]

assert waiting() == [False, False]
one[1].send(b"x")
assert waiting() == [False, True] == waiting(), "to look takes nothing away"
other[1].send(b"x")
assert waiting() == [True, True] and not poll.found_one()
one[0].recv(1)
assert waiting() == [True, False]
other[0].recv(1)
for near, _ in (one, other):
    get_hub().remove_descriptor(near.fileno())

pairs = [socket.socketpair() for _ in range(4)]
for near, _ in pairs:
    hub.spawn(reader, near)
hub.sleep(0.01)
for many in (4, 1, 2):
    for _, far in pairs[:many]:
        far.send(b"x")
    end = len(seen) + many + 1 + (many > 1)
    for _ in range(3000):
        if len(seen) < end:
            hub.sleep(0.01)
print(" ".join(seen))
"""


def test_the_hub_serves_all_that_is_ready_before_anything_is_sent() -> None:
    answer = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    many, alone, two = (
        ["read", "spawned", *3 * ["read"], "sent"],
        ["read", "sent"],
        ["read", "spawned", "read", "sent"],
    )
    assert answer.stdout.split() == [*many, *alone, *two]
