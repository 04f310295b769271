"""/v1/access-networks and /v1/offload: the access networks' present types and trust, and traffic moved between them."""

from http import HTTPStatus
from typing import Any, cast

from steering.core.inputs import AccessChanged, Offload
from steering.model.control import Control
from steering.model.event_kind import EventKind
from steering.northbound.http.body import wrong_at
from steering.northbound.http.conditional import require_match, tag_of
from steering.northbound.http.events import EventHub
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import conflict, not_found, shown
from steering.northbound.resources.access_updates import AccessUpdates
from steering.northbound.schema.bodies import AccessUpdate, OffloadOrder
from steering.store.orders import AccessOrder, KeptOrders

Json = dict[str, Any]

ACCEPTED = int(HTTPStatus.ACCEPTED)


class AccessNetworks:
    def __init__(self, updates: AccessUpdates, control: Control, hub: EventHub, orders: KeptOrders) -> None:
        self._updates = updates
        self._control = control
        self._hub = hub
        self._orders = orders

    def listed(self, _: Call) -> RestReply:
        return RestReply({"access_networks": self._updates.all()})

    def one(self, call: Call) -> RestReply:
        found = self._found(call)
        return RestReply(found, tag=tag_of(found))

    def put(self, call: Call) -> RestReply:
        """Set the type and trust of an access network; they apply to live sessions at once (D-6.3e)."""
        update = cast(AccessUpdate, call.body)
        before = self._found(call)
        require_match(call.if_match, tag_of(before))
        name, order = before["name"], AccessOrder(update.type, update.trust, update.sequence)
        if not self._updates.is_news(name, order):
            raise conflict(f"update {update.sequence} of {name} is stale: {before['sequence']} is in force")
        self._orders.access(name, order)
        self._updates.accept(name, order)
        self._control.give(AccessChanged(name, update.type, update.trust))
        after = self._found(call)
        self._hub.publish(EventKind.ACCESS, told_of(after))
        return RestReply(after, tag=tag_of(after))

    def offload(self, call: Call) -> RestReply:
        """Move an access network's traffic to another, or back (D-1.u2)."""
        order = cast(OffloadOrder, call.body)
        for key, name in (("from", order.source), ("to", order.target)):
            if name is not None and self._updates.one(name) is None:
                raise wrong_at(key, f"no access network {shown(name)}")
        if order.source == order.target:
            raise wrong_at("to", "another access network is wanted")
        self._orders.offload(order.source, order.target)
        self._control.give(Offload(order.source, order.target))
        return RestReply({"from": order.source, "to": order.target}, status=ACCEPTED)

    def _found(self, call: Call) -> Json:
        wanted = call.path["name"]
        found = self._updates.one(wanted)
        if found is None:
            raise not_found(f"no access network {shown(wanted)}")
        return found


def told_of(access: Json) -> Json:
    """An access network as events carry it: what an MCP needs to find the access network of a subflow by its address."""
    return {name: access[name] for name in ("name", "type", "trust", "sequence", "prefixes")}
