"""Gives the engine at a start the orders that operators gave an earlier run of the controller (steering.store.orders)."""

import logging
from collections.abc import Callable

from steering.core.inputs import AccessChanged, Input, McpAdmin, Offload, SubscriberAccess
from steering.northbound.resources.access_updates import AccessUpdates
from steering.northbound.resources.subscribers import pooling_of
from steering.northbound.schema.view import View
from steering.store.orders import Orders

log = logging.getLogger(__name__)


class OrdersRestorer:
    """`take` has the engine handle an input before it returns."""

    def __init__(
        self,
        view: View,
        updates: AccessUpdates,
        pseudonym: Callable[[str], str],
        take: Callable[[Input], None],
    ) -> None:
        self._view = view
        self._updates = updates
        self._pseudonym = pseudonym
        self._take = take

    def restore(self, orders: Orders) -> None:
        """Give the engine the stored orders whose MCP, access network or subscriber still exists; log the others."""
        mcps = {mcp["name"]: mcp["id"] for mcp in self._view.mcps()}
        for name in orders.draining:
            if name in mcps:
                self._take(McpAdmin(mcps[name], True))
        known = self._access_networks(orders)
        self._subscribers(orders)
        for source, target in orders.offloads.items():
            if {source, target} <= known:
                self._take(Offload(source, target))
        named = {*orders.access_networks, *orders.offloads, *orders.offloads.values()}
        gone = sorted((set(orders.draining) - mcps.keys()) | (named - known))
        if gone:
            what = "orders about %s are of no use: the site has no such MCP or access network now"
            log.warning(what, ", ".join(gone))

    def _access_networks(self, orders: Orders) -> set[str]:
        """Restore the updates of access networks. The names of all access networks of the site."""
        declared = {one["name"]: (one["type"], one["trust"]) for one in self._updates.all()}
        for name, update in orders.access_networks.items():
            if name in declared and self._updates.accept(name, update):
                self._take(AccessChanged(name, update.type, update.trust))
                if declared[name] != (update.type, update.trust):
                    what = "%s is %s, %s by update %d over REST"
                    log.info(what, name, update.type, update.trust, update.sequence)
        return set(declared)

    def _subscribers(self, orders: Orders) -> None:
        if not orders.subscribers:
            return
        names = {self._pseudonym(one["id"]): one["id"] for one in self._view.subscribers()}
        for pseudonym, update in orders.subscribers.items():
            if pseudonym in names:
                self._updates.accept_subscriber(names[pseudonym], update)
                self._take(SubscriberAccess(names[pseudonym], pooling_of(update)))
