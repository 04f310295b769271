"""Asks authorisers over the network. The core goes on meanwhile. At most IN_FLIGHT questions are asked at a time.

One access network may use only as many of these places as remain free for the others. Its further questions wait. The
access networks take turns, and a question that waits for longer than the core waits for its answer is dropped. So a flood
of sources in one access network does not starve the others.
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

AskAuthoriser = Callable[[Authorise], Authorised]

log = logging.getLogger(__name__)


class Authorisers:
    """Asks authorisers. `asks`: authoriser -> the function that asks it."""

    def __init__(self, asks: dict[Authorizer, AskAuthoriser]) -> None:
        self._asks = asks
        self._pool = GreenPool(IN_FLIGHT)
        self._out: Counter[str] = Counter()  # access network -> questions that are being asked
        # Access network -> (deadline, question); the access network whose turn is next stands first.
        self._waiting: dict[str, deque[tuple[float, Authorise]]] = {}
        self._feed: Callable[[Input], None] | None = None

    def connect(self, feed: Callable[[Input], None]) -> None:
        """Answers go to the engine through `feed` from now on."""
        self._feed = feed

    def ask(self, question: Authorise) -> None:
        """Begin to ask, or let the question wait for its turn, and return at once. Where QUEUED questions of the access
        network wait already, the question fails at once."""
        queue = self._waiting.setdefault(question.access, deque())
        if len(queue) >= QUEUED:
            self._answer(Authorised(question.request, Verdict.ERROR))
            return
        queue.append((monotonic() + question.seconds, question))
        self._go_on()

    def _go_on(self) -> None:
        """Ask the waiting questions for which there is a free place."""
        passed = 0  # access networks in a row that have no free place
        while passed < len(self._waiting):
            access = next(iter(self._waiting))
            queue = self._waiting.pop(access)
            while queue and queue[0][0] <= monotonic():
                queue.popleft()  # the core does not wait for this answer any more
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
    asks: dict[Authorizer, AskAuthoriser] = {}
    try:
        if aaa.http is not None:
            from steering.runtime.aaa.http_aaa import http_authorizer  # late, as few sites name one

            asks[Authorizer.HTTP] = http_authorizer(aaa.http)
        if aaa.radius is not None:
            from steering.runtime.aaa.radius import radius_authorizer

            asks[Authorizer.RADIUS] = radius_authorizer(aaa.radius)
    except OSError as error:
        raise StateError(
            StateRefusal.INPUT_OUTPUT, f"aaa: cannot use {error.filename or 'its files'}: {error.strerror}"
        ) from None
    return Authorisers(asks)
