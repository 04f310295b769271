"""Authorisers that are asked over the network. The core does not wait for them, and a bounded number is asked at a
time.

An access network may have as many questions out as are free for others; those beyond wait, of each access network in
turn, until the core does not wait for their answer any more. So a flood of sources at one starves no other.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable
from time import monotonic

from eventlet import GreenPool

from steering.core.inputs import Authorised, Input
from steering.core.outputs import Authorise
from steering.model.aaa import Aaa
from steering.model.authorisation import Authorizer, Verdict
from steering.store.interface import StateError, StateRefusal

IN_FLIGHT = 128
QUEUED = 4_096  # questions of one access network that wait

Ask = Callable[[Authorise], Authorised]

log = logging.getLogger(__name__)


class Authorisers:
    """Asks authorisers. `asks`: authoriser -> the function that asks it."""

    def __init__(self, asks: dict[Authorizer, Ask]) -> None:
        self._asks = asks
        self._pool = GreenPool(IN_FLIGHT)
        self._out: Counter[str] = Counter()  # questions that are asked now, by access network
        self._waiting: dict[str, deque[tuple[float, Authorise]]] = {}  # with deadlines, in order of turns
        self._feed: Callable[[Input], None] | None = None

    def connect(self, feed: Callable[[Input], None]) -> None:
        """Answers go to the engine through `feed` from now on."""
        self._feed = feed

    def ask(self, question: Authorise) -> None:
        """Begin to ask, or have the question wait for its turn, and return at once. A question beyond the bound
        fails at once."""
        queue = self._waiting.setdefault(question.access, deque())
        if len(queue) >= QUEUED:
            self._answer(Authorised(question.request, Verdict.ERROR))
            return
        queue.append((monotonic() + question.seconds, question))
        self._go_on()

    def _go_on(self) -> None:
        """Ask what waits, as far as there is room."""
        passed = 0  # access networks in a row for which there is none
        while passed < len(self._waiting):
            access = next(iter(self._waiting))
            queue = self._waiting.pop(access)
            while queue and queue[0][0] <= monotonic():
                queue.popleft()  # the core has given it up
            if not queue:
                continue
            self._waiting[access] = queue
            if self._out[access] >= IN_FLIGHT - self._out.total():
                passed += 1
                continue
            passed = 0
            _, question = queue.popleft()
            self._out[access] += 1
            self._pool.spawn_n(self._work, question)

    def _work(self, question: Authorise) -> None:
        ask = self._asks.get(question.authorizer)
        answer = Authorised(question.request, Verdict.ERROR)
        try:
            if ask is not None:
                answer = ask(question)
        except Exception:
            log.exception("the authoriser %s failed", question.authorizer)
        self._out[question.access] -= 1
        if not self._out[question.access]:
            del self._out[question.access]
        self._answer(answer)
        self._go_on()

    def _answer(self, answer: Authorised) -> None:
        if self._feed is not None:
            self._feed(answer)


def authorisers(aaa: Aaa) -> Authorisers:
    """The authorisers that a site names. Raises StateError for a secret that cannot be used."""
    asks: dict[Authorizer, Ask] = {}
    try:
        if aaa.http is not None:
            from steering.runtime.http_aaa import http_authorizer  # late, as few sites name one

            asks[Authorizer.HTTP] = http_authorizer(aaa.http)
        if aaa.radius is not None:
            from steering.runtime.radius import radius_authorizer

            asks[Authorizer.RADIUS] = radius_authorizer(aaa.radius)
    except OSError as error:
        raise StateError(
            StateRefusal.INPUT_OUTPUT, f"aaa: cannot use {error.filename or 'its files'}: {error.strerror}"
        ) from None
    return Authorisers(asks)
