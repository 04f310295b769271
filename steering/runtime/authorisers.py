"""Authorisers that are asked over the network. The core does not wait for them, and a bounded number is asked at a
time.
"""

import logging
from collections.abc import Callable

from eventlet import GreenPool

from steering.core.inputs import Authorised, Input
from steering.core.outputs import Authorise
from steering.model.aaa import Aaa
from steering.model.authorisation import Authorizer, Verdict
from steering.store.interface import StateError, StateRefusal

IN_FLIGHT = 64

Ask = Callable[[Authorise], Authorised]

log = logging.getLogger(__name__)


class Authorisers:
    """Asks authorisers. `asks`: authoriser -> the function that asks it."""

    def __init__(self, asks: dict[Authorizer, Ask]) -> None:
        self._asks = asks
        self._pool = GreenPool(IN_FLIGHT)
        self._feed: Callable[[Input], None] | None = None

    def connect(self, feed: Callable[[Input], None]) -> None:
        """Answers go to the engine through `feed` from now on."""
        self._feed = feed

    def ask(self, question: Authorise) -> None:
        """Begin to ask, and return at once. A question beyond the bound fails at once, because its answer would
        come too late."""
        if self._pool.free() > 0:
            self._pool.spawn_n(self._work, question)
        else:
            self._answer(Authorised(question.request, Verdict.ERROR))

    def _work(self, question: Authorise) -> None:
        ask = self._asks.get(question.authorizer)
        answer = Authorised(question.request, Verdict.ERROR)
        try:
            if ask is not None:
                answer = ask(question)
        except Exception:
            log.exception("the authoriser %s failed", question.authorizer)
        self._answer(answer)

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
