"""The REST and metrics of a running controller: WSGI application, credentials, roles, events, OpenAPI."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from steering.core.counters import Counters
from steering.model.control import Control
from steering.model.mapping import Mappings
from steering.model.view import View

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from steering.northbound.bindings import Bindings
    from steering.northbound.events import EventHub
    from steering.northbound.links import Links
    from steering.northbound.lists import Lists, Store
    from steering.northbound.orders import Orders
    from steering.northbound.preferences import Preferences
    from steering.northbound.throttle import Throttle
    from steering.northbound.tokens import Keyring
    from steering.northbound.watching import Watcher
    from steering.northbound.wsgi import Application

__all__ = ["Northbound", "northbound"]


class Northbound(NamedTuple):
    """`application` is WSGI; `watcher.look()` wants calling every `watching.PERIOD` seconds; `hub.close()`
    ends the event streams; `bindings.look()` wants calling as often, and ends what is over; `orders.save()` wants it
    every few seconds; `lists.restore()`, `links.restore()` and `orders.restore()` tell the engine what was kept of
    them; `preferences.tell` takes what the engine wants MCPs to hear."""

    application: "Application"
    watcher: "Watcher"
    hub: "EventHub"
    lists: "Lists"
    preferences: "Preferences"
    links: "Links"
    bindings: "Bindings"
    orders: "Orders"


def northbound(
    view: View,
    control: Control,
    counters: Counters,
    registry: "CollectorRegistry",
    keyring: "Keyring",
    now: Callable[[], float],
    *,
    epoch: str,
    pseudonyms: bytes,
    store: "Store | None" = None,
    mappings: "Mappings | None" = None,
    throttle: "Throttle | None" = None,
    heartbeat: float | None = None,
    malformed: Iterable[str] = (),
    disconnects: Iterable[str] = (),
) -> Northbound:
    """The northbound; it owns no sockets and no threads.

    `registry` gets the collector of `counters` and `view` (one northbound for a registry). `keyring` knows
    whose a bearer token is. `now` is the clock of the engine, in seconds. `epoch`: 8 hex digits that no
    earlier run had, for the events' ids. `pseudonyms`: the key of subscribers' pseudonyms. `store`: where the live
    lists are kept, without one nowhere; `mappings` likewise of what MCPs report. `heartbeat`:
    seconds of silence after which a stream is sent a comment. `malformed` and `disconnects` are the label
    values shown from zero on; values counted outside them appear as `other`.
    """
    # Late: reading credentials does not need webob, Routes, pydantic and prometheus_client in memory.
    from steering.northbound import events, openapi
    from steering.northbound import mappings as mappings_
    from steering.northbound.accesses import Accesses
    from steering.northbound.bindings import Bindings
    from steering.northbound.links import Links
    from steering.northbound.lists import Lists, Memory
    from steering.northbound.metrics import Collector, HttpMeter
    from steering.northbound.orders import Orders
    from steering.northbound.preferences import Preferences
    from steering.northbound.pseudonyms import pseudonym
    from steering.northbound.reservations import Reserved
    from steering.northbound.throttle import Throttle
    from steering.northbound.watching import Watcher
    from steering.northbound.wsgi import Application

    hub = events.EventHub(epoch)
    store = store or Memory()
    lists, links = Lists(store, control.give), Links(view, store, control.take)
    bindings = Bindings(view, lists, hub, store)
    watcher = Watcher(view, counters, hub)
    preferences = Preferences(view, hub)
    accesses = Accesses(view)
    orders = Orders(view, accesses, store, lambda name: pseudonym(pseudonyms, name), control.take)
    meter = HttpMeter()
    registry.register(Collector(view, counters, meter, hub, malformed, disconnects))
    resources = Reserved(
        control,
        hub,
        watcher,
        preferences,
        events.HEARTBEAT if heartbeat is None else heartbeat,
        lists,
        bindings,
        mappings or mappings_.Memory(),
        links,
        orders,
        view,
        accesses,
        registry,
        now,
        openapi.document(),
        pseudonyms,
    )
    application = Application(resources, keyring, throttle or Throttle(), now, meter)
    return Northbound(application, watcher, hub, lists, preferences, links, bindings, orders)
