"""What signals do to a relay's loop."""

import os
import signal

import pytest

from steering.relay.loop.poller import Poller
from steering.relay.relay import Relay


class Signalled(Relay):
    """A relay's loop with nothing in it but what signals wake."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._poller = Poller()
        self._stop = False
        self._log_switch: bool | None = None
        self.woken = 0

    def _serve(self) -> None:
        os.kill(os.getpid(), self._number)
        self._poller.turn(60.0)
        while self.woken < 3 and self._poller._epoll.poll(0):
            self.woken += 1
            self._poller.turn(0.0)

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.row("N-5.6.7b")
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM])
def test_a_signal_wakes_the_loop_once_and_it_rests_again(number: signal.Signals) -> None:
    relay = Signalled(number)
    relay.run()
    assert relay.woken == 0
    assert relay._stop is (number == signal.SIGTERM)
    assert relay._log_switch is {signal.SIGUSR1: True, signal.SIGUSR2: False}.get(number)
