"""The read-only REST and metrics of a running controller: WSGI application, credentials, OpenAPI."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from steering.core.counters import Counters
from steering.model.view import View

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from steering.northbound.wsgi import Application

__all__ = ["application"]


def application(
    view: View,
    counters: Counters,
    registry: "CollectorRegistry",
    token: str,
    now: Callable[[], float],
    *,
    malformed: Iterable[str] = (),
    disconnects: Iterable[str] = (),
) -> "Application":
    """The northbound as a WSGI callable; it owns no sockets and no threads.

    `registry` gets the collector of `counters` and `view` (one application for a registry). `token` is
    the bearer token every request needs. `now` is the clock of the engine, in seconds: a decision's age
    is measured with it. `malformed` and `disconnects` are the label values shown from zero on; values
    counted outside them appear as `other`. Raises ValueError for a token shorter than 32 characters.
    """
    # Late: reading credentials does not need webob, Routes and prometheus_client in memory.
    from steering.northbound.metrics import Collector, HttpMeter
    from steering.northbound.wsgi import Application

    meter = HttpMeter()
    registry.register(Collector(view, counters, meter, malformed, disconnects))
    return Application(view, registry, token, now, meter)
