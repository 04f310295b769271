"""Access networks and the sequence numbers of their updates, so that an old update is refused (D-6.3e)."""

from typing import Any

from steering.northbound.schema.view import View
from steering.store.orders import AccessOrder, SubscriberOrder

Json = dict[str, Any]


class AccessUpdates:
    """Access networks of the view, with the updates that were accepted here on top: the engine may not have applied them yet."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._updates: dict[str, AccessOrder] = {}
        self._subscribers: dict[str, SubscriberOrder] = {}  # by id; no more than policies name

    def all(self) -> list[Json]:
        return [self._told(found) for found in self._view.access_networks()]

    def one(self, name: str) -> Json | None:
        return next((found for found in self.all() if found["name"] == name), None)

    def is_news(self, name: str, update: AccessOrder) -> bool:
        """Whether the update is newer than the last that was accepted."""
        last = self._updates.get(name)
        return last is None or update.sequence > last.sequence

    def accept(self, name: str, update: AccessOrder) -> bool:
        """Remember the update if it is newer than the last one; whether it is."""
        news = self.is_news(name, update)
        if news:
            self._updates[name] = update
        return news

    def accept_subscriber(self, subscriber: str, update: SubscriberOrder) -> int | None:
        """None if the update is newer than the last, and is remembered; else the last one's number."""
        last = self._subscribers.get(subscriber)
        if last is not None and update.sequence <= last.sequence:
            return last.sequence
        self._subscribers[subscriber] = update
        return None

    def of_subscriber(self, subscriber: str) -> Json:
        """The last update of a subscriber as REST shows it. Without one: sequence 0 and empty lists, the policy's rules apply."""
        last = self._subscribers.get(subscriber)
        if last is None:
            return {"allowed": [], "preferred": [], "sequence": 0}
        return {
            "allowed": sorted(set(last.allowed)),
            "preferred": list(dict.fromkeys(last.preferred)),
            "sequence": last.sequence,
        }

    def _told(self, found: Json) -> Json:
        update = self._updates.get(found["name"])
        if update is None:
            return {**found, "sequence": 0}
        return {
            **found,
            "type": update.type.value,
            "trust": update.trust.value,
            "sequence": update.sequence,
        }
