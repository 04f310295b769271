"""The live lists of who may what: access control list, registry, pairings. Kept in the state directory, since a
controller that starts again must not forget whom it was told to keep out (N-5.3, S-14)."""

import json
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any, Protocol

from steering.core.inputs import AclReplaced, Input, PairingsReplaced, RegistryReplaced
from steering.model.authorisation import AclEntry, Answering, Registered

Json = dict[str, Any]

ACL, REGISTRY, PAIRINGS = "acl.json", "registry.json", "pairings.json"
MOST_REGISTERED = 10_000
MOST_PAIRED = 4_096


class Full(Exception):
    """A list takes no more; the message is one line."""


class Store(Protocol):
    def load(self, name: str) -> str | None:
        """A file's text, None where there is none."""

    def save(self, name: str, text: str) -> None:
        """Put a file in place whole, readable by its owner alone."""


class Memory:
    """A store that forgets."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def load(self, name: str) -> str | None:
        return self.files.get(name)

    def save(self, name: str, text: str) -> None:
        self.files[name] = text


class Lists:
    """`acl`: entries as REST has them. `registry`: pseudonym -> {"allowed", "addresses"}; nobody's own name is in
    it. `pairings`: device -> addresses. Raises ValueError for a file of ours that cannot be read: to go on without
    would be to let in whom somebody has locked out."""

    def __init__(self, store: Store, give: Callable[[Input], None]) -> None:
        self._store = store
        self._give = give
        self.acl: list[Json] = self._load(ACL, [])
        self.registry: dict[str, Json] = self._load(REGISTRY, {})
        self.pairings: dict[str, list[str]] = self._load(PAIRINGS, {})
        self._inputs()

    def _load(self, name: str, empty: Any) -> Any:
        text = self._store.load(name)
        if text is None:
            return empty
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if type(found) is not type(empty):
            raise ValueError(f"{name} cannot be read: restore it, or remove it to begin with an empty list")
        return found

    def _inputs(self) -> tuple[Input, ...]:
        try:
            return self._acl(), self._registry(), self._pairings()
        except (KeyError, TypeError, ValueError, AttributeError):
            wrong = f"one of {ACL}, {REGISTRY}, {PAIRINGS} is none of ours: restore or remove it"
            raise ValueError(wrong) from None

    def restore(self) -> None:
        """Tell the engine all of it."""
        for given in self._inputs():
            self._give(given)

    # ---- changes --------------------------------------------------------------------------------

    def replace_acl(self, entries: list[Json]) -> None:
        """Another list, whole."""
        self.acl = entries
        self._keep(ACL, entries, self._acl())

    def register(self, pseudonym: str, allowed: bool, addresses: list[str]) -> Json:
        """A subscriber, or a change of one. Raises Full."""
        if pseudonym not in self.registry and len(self.registry) >= MOST_REGISTERED:
            raise Full(f"{MOST_REGISTERED} subscribers are registered, which is all there may be")
        self.registry[pseudonym] = {"allowed": allowed, "addresses": addresses}
        self._keep(REGISTRY, self.registry, self._registry())
        return {"id": pseudonym, **self.registry[pseudonym]}

    def strike(self, pseudonym: str) -> bool:
        """Take a subscriber out; False for one that is not there."""
        found = self.registry.pop(pseudonym, None) is not None
        if found:
            self._keep(REGISTRY, self.registry, self._registry())
        return found

    def pair(self, device: str, addresses: list[str]) -> None:
        """A device says where it speaks from. Raises Full."""
        if device not in self.pairings and len(self.pairings) >= MOST_PAIRED:
            raise Full(f"{MOST_PAIRED} devices are paired, which is all there may be")
        self.pairings[device] = addresses
        self._keep(PAIRINGS, self.pairings, self._pairings())

    def unpair(self, device: str) -> bool:
        """False for one that is not paired."""
        found = self.pairings.pop(device, None) is not None
        if found:
            self._keep(PAIRINGS, self.pairings, self._pairings())
        return found

    def _keep(self, name: str, data: Any, given: Input) -> None:
        self._store.save(name, json.dumps(data))
        self._give(given)

    # ---- as the engine takes them ----------------------------------------------------------------

    def _acl(self) -> AclReplaced:
        return AclReplaced(tuple(_entry(one) for one in self.acl))

    def _registry(self) -> RegistryReplaced:
        return RegistryReplaced(
            tuple(
                Registered(name, bool(one["allowed"]), tuple(map(ip_network, one["addresses"])))
                for name, one in self.registry.items()
            )
        )

    def _pairings(self) -> PairingsReplaced:
        found = (ip_address(text).packed for addresses in self.pairings.values() for text in addresses)
        return PairingsReplaced(frozenset(found))


def _entry(one: Json) -> AclEntry:
    return AclEntry(
        one["name"],
        Answering(one["action"]),
        tuple(map(ip_network, one["source"])),
        frozenset(one["access"]),
        tuple(map(ip_network, one["destination"])),
        tuple((low, high) for low, high in map(ports_of, one["port"])),
    )


def ports_of(text: str) -> tuple[int, int]:
    """`443` or `5000-6000` as a range, both ends included. Raises ValueError."""
    first, dash, last = text.partition("-")
    low, high = int(first), int(last if dash else first)
    if not 1 <= low <= high <= 65_535:
        raise ValueError(text)
    return low, high
