"""Makes one object of each resource and of what the resources share. This module owns no socket, no thread and no file."""

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from steering.core.counters import Counters
from steering.model.cluster import ClusterControl, ClusterPeers
from steering.model.control import Control
from steering.model.mapping import Mappings
from steering.model.view import Pause, no_pause
from steering.northbound.auth.keyring import Keyring
from steering.northbound.auth.pseudonyms import pseudonym
from steering.northbound.http.application import RestApplication
from steering.northbound.http.events import HEARTBEAT, EventHub
from steering.northbound.http.meter import HttpMeter
from steering.northbound.http.throttle import Throttle
from steering.northbound.resources.access_networks import AccessNetworks
from steering.northbound.resources.access_updates import AccessUpdates
from steering.northbound.resources.acl import Acl
from steering.northbound.resources.alarm_teller import AlarmTeller
from steering.northbound.resources.bindings import Bindings
from steering.northbound.resources.clock import Clock
from steering.northbound.resources.cluster import ClusterResource
from steering.northbound.resources.cluster_metrics import ClusterMetrics, LabelledMetrics
from steering.northbound.resources.decisions import Decisions
from steering.northbound.resources.description import Description
from steering.northbound.resources.event_streams import EventStreams
from steering.northbound.resources.kept_orders import OrdersRestorer
from steering.northbound.resources.layout import LayoutResource
from steering.northbound.resources.links import LinksResource
from steering.northbound.resources.mappings import MappingLog, RecentMappings
from steering.northbound.resources.mcp_registration import McpRegistration
from steering.northbound.resources.mcps import Mcps
from steering.northbound.resources.member_events import MemberEvents
from steering.northbound.resources.metrics import Collector
from steering.northbound.resources.pairings import McpDiscovery, Pairings
from steering.northbound.resources.peer_reads import PeerReads
from steering.northbound.resources.policies import Policies
from steering.northbound.resources.registry import Registry
from steering.northbound.resources.reservations import ReservationsResource
from steering.northbound.resources.routes import ROUTES
from steering.northbound.resources.session_reports import SessionReports
from steering.northbound.resources.sessions import Sessions
from steering.northbound.resources.status import Status
from steering.northbound.resources.subflow_intents import IntentPublisher
from steering.northbound.resources.subscribers import Subscribers
from steering.northbound.resources.watcher import Watcher
from steering.northbound.schema.view import View
from steering.store.interface import StateError, Store
from steering.store.link_weights import LinkWeights
from steering.store.lists import AccessLists
from steering.store.memory import MemoryStore
from steering.store.orders import KeptOrders
from steering.store.port_bindings import PortBindings


class Restorers(NamedTuple):
    """Three functions that give the engine what an earlier run of the controller stored. The runtime calls each once, in
    this order."""

    lists: Callable[[], None]
    links: Callable[[], None]
    orders: Callable[[], None]


class Northbound(NamedTuple):
    """The parts of the northbound that the runtime calls. `application` is the WSGI application. `watcher.look()`,
    `alarms.look()` and `bindings.look()` (ends bindings that are over) are called every `watcher.PERIOD` seconds, and so is
    `gather()`, which fetches events of a cluster's other controllers. `save()` is called every few seconds and at the end;
    it never raises. `hub.close()` ends the event streams. `observe(status, seconds)` counts an answer that was given
    without `application`. `intents.tell` publishes intents of the engine to MCPs."""

    application: RestApplication
    watcher: Watcher
    hub: EventHub
    intents: IntentPublisher
    bindings: Bindings
    alarms: AlarmTeller
    observe: Callable[[int, float], None]
    save: Callable[[], None]
    restore: Restorers
    gather: Callable[[], None]


def _at_once(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _document() -> dict[str, Any]:
    from steering.northbound import openapi  # late: it builds every model's schema

    return openapi.document()


def _labelled(
    cluster: ClusterControl, collector: Collector, cluster_events: Iterable[str]
) -> LabelledMetrics:
    """The metrics of one controller of a cluster; every series carries the controller's name."""
    named, own = cluster.status, ClusterMetrics(cluster.status, cluster_events)
    return LabelledMetrics(lambda: named().controller, collector.collect, own.collect)


def northbound(
    view: View, control: Control, counters: Counters, registry: CollectorRegistry, keyring: Keyring, now: Callable[[], float], *,
    epoch: str, pseudonyms: bytes, store: Store | None = None, mappings: Mappings | None = None, throttle: Throttle | None = None,
    heartbeat: float | None = None, malformed: Iterable[str] = (), disconnects: Iterable[str] = (),
    cluster_events: Iterable[str] = (), work: Callable[..., Any] = _at_once, pause: Pause = no_pause,
    cluster: ClusterControl | None = None, peers: ClusterPeers | None = None, wall: Callable[[], float] = lambda: 0.0,
) -> Northbound:  # fmt: skip
    """One northbound, for one controller.

    `registry` gets the collector of `counters` and `view`; a registry takes one northbound. `keyring` finds the identity of
    a bearer token. `now`: the engine's clock, seconds. `epoch`: 8 hex digits that no earlier run had; they are part of
    the events' ids. `pseudonyms`: the key of subscribers' pseudonyms. `store` keeps the live lists, `mappings` what MCPs
    report of addresses; without them both are kept in memory alone. `heartbeat`: seconds of silence after which a stream
    is sent a comment. `malformed`, `disconnects` and `cluster_events` are label values shown from zero on; other values
    of the first two are counted as `other`. `work(function, *arguments)` runs long computations where no packet waits for
    them; `pause()` lets other threads run. `cluster` and `peers`: the cluster and its other controllers, None for a
    controller alone. `wall`: seconds since 1970, the time of an event. Raises StateError for a stored value that cannot be
    read.
    """

    def discreet(subscriber: str) -> str:
        return pseudonym(pseudonyms, subscriber)

    store = store or MemoryStore()
    lists, orders = AccessLists(store), KeptOrders(store)
    hub = EventHub(epoch, "" if peers is None else peers.name, now, wall)
    meter, lock = HttpMeter(), Lock()
    collector = Collector(view, counters, meter, hub, malformed, disconnects, pause)
    registry.register(collector if cluster is None else _labelled(cluster, collector, cluster_events))
    watcher, updates = Watcher(view, counters, hub, control.take, pause), AccessUpdates(view)
    intents, bindings = IntentPublisher(view, hub), Bindings(view, lists, hub, PortBindings(store))
    beat = HEARTBEAT if heartbeat is None else heartbeat
    acl, enrolled = Acl(updates, lists, control.give), Registry(lists, control.give, discreet)
    pairings = Pairings(lists, control.give)
    reads = PeerReads(peers, pause)
    members = None if peers is None else MemberEvents(hub, reads, peers, watcher, pause)
    links = LinksResource(view, LinkWeights(store), control.take)
    resources = (
        Status(view, pseudonyms), Description(_document, registry, work), links, LayoutResource(view, work),
        Mcps(view, control, hub, orders), McpRegistration(control, lock, orders),
        AccessNetworks(updates, control, hub, orders), Subscribers(view, control, updates, orders, discreet),
        acl, enrolled, pairings, McpDiscovery(view, lists), bindings, Policies(control, lock), Clock(view, control),
        Sessions(view, control, Lock(), pause, reads),
        Decisions(view, control, now, discreet, reads), ReservationsResource(view, control, discreet),
        SessionReports(view, control, now), MappingLog(view, mappings or RecentMappings(), pseudonyms, work, meter),
        EventStreams(view, hub, watcher, updates, bindings, intents, beat, pause, members), ClusterResource(cluster),
    )  # fmt: skip

    def restore_lists() -> None:
        for one in (acl, enrolled, pairings):
            one.restore()

    def restore_orders() -> None:
        OrdersRestorer(view, updates, discreet, control.take).restore(orders.orders)

    def save() -> None:
        try:
            orders.save()
        except StateError as error:
            meter.state_refused[error.refusal] += 1

    application = RestApplication(ROUTES, resources, keyring, throttle or Throttle(), now, meter, pause)
    return Northbound(
        application, watcher, hub, intents, bindings, AlarmTeller(view, hub), meter.observe, save,
        Restorers(restore_lists, links.restore, restore_orders), (lambda: None) if members is None else members.look,
    )  # fmt: skip
