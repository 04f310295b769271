"""Access networks with the sequence numbers of their updates: an old update is never believed (D-6.3e)."""

from typing import Any, NamedTuple

from steering.model.network import NetworkAccessType, Trust
from steering.model.view import View
from steering.northbound.bodies import SubscriberUpdate

Json = dict[str, Any]


class _Update(NamedTuple):
    type: NetworkAccessType
    trust: Trust
    sequence: int


class Accesses:
    """What the view tells, and over it what was accepted here, which the engine may be about to hear."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._updates: dict[str, _Update] = {}
        self._subscribers: dict[str, SubscriberUpdate] = {}  # by id; no more than policies name

    def all(self) -> list[Json]:
        return [self._told(found) for found in self._view.access_networks()]

    def one(self, name: str) -> Json | None:
        return next((found for found in self.all() if found["name"] == name), None)

    def accept(self, name: str, kind: NetworkAccessType, trust: Trust, sequence: int) -> bool:
        """Whether the update is newer than the last; it is remembered then."""
        last = self._updates.get(name)
        if last is not None and sequence <= last.sequence:
            return False
        self._updates[name] = _Update(kind, trust, sequence)
        return True

    def accept_subscriber(self, subscriber: str, update: SubscriberUpdate) -> int | None:
        """None if the update is newer than the last, and is remembered; else the last one's number."""
        last = self._subscribers.get(subscriber)
        if last is not None and update.sequence <= last.sequence:
            return last.sequence
        self._subscribers[subscriber] = update
        return None

    def of_subscriber(self, subscriber: str) -> Json:
        """The last update of a subscriber as REST tells it; sequence 0 and nothing named: as rules say."""
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
