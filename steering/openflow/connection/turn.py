"""How long one connection may work in a row, and when it is not read for a while.

The hub asks the kernel which connections are readable only when no greenthread works. So a connection whose peer sends
without pause would work until it stops by itself, and every other switch would wait. Two rules end a turn. A turn never
lasts longer than `Budgets.turn`. And after each step (`Budgets.step`) the kernel is asked, without waiting, whether
another descriptor is ready; if one is, the turn is over. So a switch that is alone keeps long turns, which cost less for
each message. A switch beside one that floods waits for one step only.
"""

from collections.abc import Callable

from steering.model.token_bucket import TokenBucket
from steering.openflow.budgets import Budgets
from steering.openflow.messages.reader import Type

SELDOM = frozenset((int(Type.ECHO_REQUEST), int(Type.PORT_STATUS)))
"""Message types that a sound switch sends seldom, and that must not be left out: each echo request is answered, and
each port's last state counts. Errors are not among them: a switch whose table is full sends one for each entry, before
the barrier reply that its filling waits for. Packet-ins are not among them either: their rate depends on the traffic,
and meters in the switch bound it."""


class ConnectionTurn:
    """How long one connection is read before others have their turn. `others_wait`: whether another descriptor of the hub is
    ready, asked without waiting."""

    __slots__ = ("_ends", "_length", "_look_at", "_others_wait", "_step")

    def __init__(self, budgets: Budgets, others_wait: Callable[[], bool], now: float) -> None:
        self._length = budgets.turn
        self._step = min(budgets.step, budgets.turn)
        self._others_wait = others_wait
        self.begin(now)

    def begin(self, now: float) -> None:
        """A turn begins."""
        self._ends = now + self._length
        self._look_at = now + self._step

    def end(self) -> None:
        """The turn is over, however long it was."""
        self._ends = self._look_at = 0.0  # seconds of a monotonic clock

    def is_over(self, now: float) -> bool:
        """Whether others are to have their turn. Called for every message, so it is cheap before a step has ended."""
        if now < self._look_at:
            return False
        if now >= self._ends or self._others_wait():
            return True
        self._look_at = min(now + self._step, self._ends)
        return False


class Brake:
    """Limits how fast one connection is read while it sends messages that a sound switch sends seldom (SELDOM). Nothing
    is lost: unread bytes wait in the kernel, and then at the peer."""

    __slots__ = ("_bucket", "_rest")

    def __init__(self, budgets: Budgets, now: float) -> None:
        self._bucket = TokenBucket(budgets.seldom_rate, budgets.seldom_burst, now)
        self._rest = budgets.rest

    def rest(self, kind: int, now: float) -> float:
        """A message of type `kind` came. Returns the seconds for which the connection is not read from now: 0 while the
        connection keeps to its rate."""
        return self._rest if kind in SELDOM and self._bucket.take(now) else 0.0
