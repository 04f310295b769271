"""Orders that operators gave over REST and that no file holds: drains of MCPs (D-6.7.1), types of access networks and accesses
of subscribers with their sequence numbers (D-6.3e), offloads (D-1.u2). They are stored, since a controller that starts again
must not send sessions to an MCP in maintenance, and must not accept an outdated update.

Subscribers are stored by their pseudonyms (N-7.1).
"""

import json
from typing import Any, NamedTuple

from steering.model.network import NetworkAccessType, Trust
from steering.store.interface import Store
from steering.store.json_text import damaged, read_json

Json = dict[str, Any]

FILE = "orders.json"
MOST_SUBSCRIBERS = 10_000  # orders about subscribers; the newest are kept
MOST_NAME = 64  # characters
MOST_SEQUENCE = 2**53 - 1  # the largest number that every JSON reader holds exactly (RFC 8259 section 6)
WORDS = frozenset({"draining", "access_networks", "subscribers", "offloads"})


class AccessOrder(NamedTuple):
    """The type and trust of an access network, as update number `sequence` has set them."""

    type: NetworkAccessType
    trust: Trust
    sequence: int


class SubscriberOrder(NamedTuple):
    """The access types that a subscriber may combine and those that come first, as update number `sequence` has set them.
    Both empty: the policy's rules apply."""

    allowed: tuple[NetworkAccessType, ...]
    preferred: tuple[NetworkAccessType, ...]
    sequence: int


class Orders(NamedTuple):
    """All orders. `draining`: names of MCPs. The others are by name of the access network, or by pseudonym. `offloads`: from
    -> to."""

    draining: tuple[str, ...]
    access_networks: dict[str, AccessOrder]
    subscribers: dict[str, SubscriberOrder]
    offloads: dict[str, str]


class KeptOrders:
    """Orders in a store. `orders` are those in force. The constructor raises StateError for a value that this program did
    not write."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.orders = _read(store)
        self._unsaved = False

    def drain(self, mcp: str, draining: bool) -> None:
        """Drain an MCP, or end its drain; stored when this returns. Raises StateError."""
        others = tuple(name for name in self.orders.draining if name != mcp)
        self._keep(self.orders._replace(draining=(*others, mcp) if draining else others))

    def access(self, name: str, order: AccessOrder) -> None:
        """Set the type and trust of an access network; stored when this returns. Raises StateError."""
        self._keep(
            self.orders._replace(access_networks={**self.orders.access_networks, name: order}),
        )

    def offload(self, source: str, target: str | None) -> None:
        """Move traffic of access network `source` to `target`, or with None no more; stored when this returns. An offload
        the other way ends. Raises StateError."""
        known = {
            name: to
            for name, to in self.orders.offloads.items()
            if name != source and (name, to) != (target, source)
        }
        self._keep(self.orders._replace(offloads=known if target is None else {**known, source: target}))

    def subscriber(self, pseudonym: str, order: SubscriberOrder) -> None:
        """Set a subscriber's accesses; stored with the next `save`, as there may be many such orders."""
        known = dict(self.orders.subscribers)
        known.pop(pseudonym, None)
        while len(known) >= MOST_SUBSCRIBERS:
            del known[next(iter(known))]
        known[pseudonym] = order
        self.orders = self.orders._replace(subscribers=known)
        self._unsaved = True

    def save(self) -> None:
        """Store what is not stored yet; called every few seconds. Raises StateError."""
        if self._unsaved:
            self._keep(self.orders)

    def _keep(self, changed: Orders) -> None:
        self._store.write(FILE, _text(changed))
        self.orders = changed
        self._unsaved = False


def _text(orders: Orders) -> str:
    told = {
        "draining": orders.draining,
        "access_networks": {name: one._asdict() for name, one in orders.access_networks.items()},
        "subscribers": {name: one._asdict() for name, one in orders.subscribers.items()},
        "offloads": orders.offloads,
    }
    return json.dumps(told, separators=(",", ":"))


def _read(store: Store) -> Orders:
    told = read_json(store, FILE)
    if told is None:
        return Orders((), {}, {}, {})
    try:
        if told.keys() - WORDS or len(told.get("subscribers", {})) > MOST_SUBSCRIBERS:
            raise ValueError(FILE)
        return Orders(
            tuple(_name(one) for one in _list(told.get("draining", []))),
            {_name(name): _access(one) for name, one in told.get("access_networks", {}).items()},
            {_name(name): _subscriber(one) for name, one in told.get("subscribers", {}).items()},
            {_name(name): _name(one) for name, one in told.get("offloads", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise damaged(FILE) from None


def _access(told: Json) -> AccessOrder:
    return AccessOrder(NetworkAccessType(told["type"]), Trust(told["trust"]), _sequence(told["sequence"]))


def _subscriber(told: Json) -> SubscriberOrder:
    allowed, preferred = (
        tuple(map(NetworkAccessType, _list(told.get(word, []))[: len(NetworkAccessType) + 1]))
        for word in ("allowed", "preferred")
    )
    if max(len(allowed), len(preferred)) > len(NetworkAccessType):
        raise ValueError(len(allowed))
    return SubscriberOrder(allowed, preferred, _sequence(told["sequence"]))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(type(value).__name__)
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MOST_NAME:
        raise ValueError(value)
    return value


def _sequence(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MOST_SEQUENCE:
        raise ValueError(value)
    return value
