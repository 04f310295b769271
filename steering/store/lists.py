"""The live lists of access rights: access control list, registry of subscribers, pairings of devices. They are stored, since a
controller that starts again must not admit whom an operator has shut out (N-5.3, S-14).

A change is stored first and counts only then. A change that cannot be stored is refused.
"""

import json
from ipaddress import ip_address, ip_network
from typing import Any

from steering.model.authorisation import AclEntry, ListAnswer, RegistryEntry
from steering.store.interface import Store
from steering.store.json_text import damaged, read_json

Json = dict[str, Any]

ACL, REGISTRY, PAIRINGS = "acl.json", "registry.json", "pairings.json"
MOST_REGISTERED = 10_000
MOST_PAIRED = 4_096


class ListFull(Exception):
    """A list has no room for another entry; the message is one line."""


class AccessLists:
    """`acl`: entries as REST has them. `registry`: pseudonym -> {"allowed", "addresses"}, without subscribers' own names.
    `pairings`: device -> addresses. Callers only read these. The constructor raises StateError for a stored list that
    cannot be read: without it the controller would admit whom an operator has shut out."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.acl: list[Json] = self._load(ACL, [])
        self.registry: dict[str, Json] = self._load(REGISTRY, {})
        self.pairings: dict[str, list[str]] = self._load(PAIRINGS, {})
        for name, read in ((ACL, self.entries), (REGISTRY, self.registered), (PAIRINGS, self.paired)):
            try:
                read()
            except (KeyError, TypeError, ValueError, AttributeError):
                raise damaged(name) from None

    def _load(self, name: str, empty: Any) -> Any:
        found = read_json(self._store, name)
        if found is None:
            return empty
        if type(found) is not type(empty):
            raise damaged(name)
        return found

    # ---- changes --------------------------------------------------------------------------------

    def replace_acl(self, entries: list[Json]) -> None:
        """Replace the whole access control list. Raises StateError."""
        self._store.write(ACL, json.dumps(entries))
        self.acl = entries

    def register(self, pseudonym: str, allowed: bool, addresses: list[str]) -> Json:
        """Register a subscriber, or change its entry; the entry with its id. Raises ListFull, StateError."""
        if pseudonym not in self.registry and len(self.registry) >= MOST_REGISTERED:
            raise ListFull(f"{MOST_REGISTERED} subscribers are registered, which is all there may be")
        told = {"allowed": allowed, "addresses": addresses}
        self._keep_registry({**self.registry, pseudonym: told})
        return {"id": pseudonym, **told}

    def strike(self, pseudonym: str) -> bool:
        """Remove a subscriber; False for one that is not registered. Raises StateError."""
        if pseudonym not in self.registry:
            return False
        self._keep_registry({name: one for name, one in self.registry.items() if name != pseudonym})
        return True

    def pair(self, device: str, addresses: list[str]) -> None:
        """Pair a device with addresses, in place of earlier ones. Raises ListFull, StateError."""
        if device not in self.pairings and len(self.pairings) >= MOST_PAIRED:
            raise ListFull(f"{MOST_PAIRED} devices are paired, which is all there may be")
        self._keep_pairings({**self.pairings, device: addresses})

    def unpair(self, device: str) -> bool:
        """End a pairing; False for a device that is not paired. Raises StateError."""
        if device not in self.pairings:
            return False
        self._keep_pairings({name: one for name, one in self.pairings.items() if name != device})
        return True

    def _keep_registry(self, changed: dict[str, Json]) -> None:
        self._store.write(REGISTRY, json.dumps(changed))
        self.registry = changed

    def _keep_pairings(self, changed: dict[str, list[str]]) -> None:
        self._store.write(PAIRINGS, json.dumps(changed))
        self.pairings = changed

    # ---- as records -----------------------------------------------------------------------------

    def entries(self) -> tuple[AclEntry, ...]:
        """The access control list."""
        return tuple(_entry(one) for one in self.acl)

    def registered(self) -> tuple[RegistryEntry, ...]:
        """The registry."""
        return tuple(
            RegistryEntry(name, bool(one["allowed"]), tuple(map(_network, _list(one["addresses"]))))
            for name, one in self.registry.items()
        )

    def paired(self) -> frozenset[bytes]:
        """Every address that a device is paired with, packed."""
        return frozenset(
            ip_address(_text(text)).packed
            for addresses in self.pairings.values()
            for text in _list(addresses)
        )


def _entry(one: Json) -> AclEntry:
    return AclEntry(
        _text(one["name"]),
        ListAnswer(one["action"]),
        tuple(map(_network, _list(one["source"]))),
        frozenset(map(_text, _list(one["access"]))),
        tuple(map(_network, _list(one["destination"]))),
        tuple((low, high) for low, high in map(ports_of, _list(one["port"]))),
    )


def _text(value: Any) -> str:
    """The value, if it is a text. Raises TypeError. A number must not pass: `ip_address(1)` is 0.0.0.1."""
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _list(value: Any) -> list[Any]:
    """The value, if it is a list. Raises TypeError. A text must not pass: it could be iterated like a list."""
    if not isinstance(value, list):
        raise TypeError(type(value).__name__)
    return value


def _network(value: Any) -> Any:
    return ip_network(_text(value))


def ports_of(text: str) -> tuple[int, int]:
    """`443` or `5000-6000` as a range, both ends included. Raises ValueError."""
    first, dash, last = text.partition("-")
    low, high = int(first), int(last if dash else first)
    if not 1 <= low <= high <= 65_535:
        raise ValueError(text)
    return low, high
