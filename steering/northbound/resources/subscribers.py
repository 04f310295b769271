"""/v1/subscribers: subscribers of the policy, by pseudonym, and the access types each may combine (D-6.3e)."""

from collections.abc import Callable
from typing import cast

from steering.core.inputs import SubscriberAccess
from steering.model.control import Control
from steering.model.policy import Pooling
from steering.northbound.http.body import wrong_at
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import conflict, not_found, shown
from steering.northbound.resources.access_updates import AccessUpdates
from steering.northbound.schema.bodies import SubscriberName, SubscriberUpdate
from steering.northbound.schema.view import View
from steering.store.orders import KeptOrders, SubscriberOrder


def pooling_of(update: SubscriberOrder) -> Pooling | None:
    """An update as the engine takes it; None for an empty one, after which the policy's rules apply."""
    allowed, order = frozenset(update.allowed), tuple(dict.fromkeys(update.preferred))
    return Pooling(allowed, order) if allowed or order else None


class Subscribers:
    """`pseudonym`: a subscriber's own name -> its pseudonym, which is stored and shown."""

    def __init__(
        self,
        view: View,
        control: Control,
        updates: AccessUpdates,
        orders: KeptOrders,
        pseudonym: Callable[[str], str],
    ) -> None:
        self._view = view
        self._control = control
        self._updates = updates
        self._orders = orders
        self._pseudonym = pseudonym

    def listed(self, _: Call) -> RestReply:
        found = [
            {**one, "id": self._pseudonym(one["id"]), "access": self._updates.of_subscriber(one["id"])}
            for one in self._view.subscribers()
        ]
        return RestReply({"subscribers": found})

    def named(self, call: Call) -> RestReply:
        """The pseudonym of a subscriber's own name, known or unknown. The name is neither stored nor logged (N-7.1)."""
        return RestReply({"id": self._pseudonym(cast(SubscriberName, call.body).subscriber)})

    def put_access(self, call: Call) -> RestReply:
        """Set which access types a subscriber may combine. The path has the pseudonym, so that no log gets the subscriber's own
        name (N-7.1). Raises Problem 404, 409 for a stale update, 422."""
        body, wanted = cast(SubscriberUpdate, call.body), call.path["id"]
        known = (one["id"] for one in self._view.subscribers())
        subscriber = next((name for name in known if self._pseudonym(name) == wanted), None)
        if subscriber is None:
            raise not_found(f"no subscriber {shown(wanted)}")
        for kind in body.preferred:
            if body.allowed and kind not in body.allowed:
                raise wrong_at("preferred", f"{kind} is preferred and not allowed")
        update = SubscriberOrder(tuple(body.allowed), tuple(body.preferred), body.sequence)
        last = self._updates.accept_subscriber(subscriber, update)
        if last is not None:
            raise conflict(f"update {body.sequence} of this subscriber is stale: {last} is in force")
        self._orders.subscriber(wanted, update)
        self._control.give(SubscriberAccess(subscriber, pooling_of(update)))
        return RestReply({"id": wanted} | self._updates.of_subscriber(subscriber))
