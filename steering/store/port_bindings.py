"""Stores port bindings, ports that MCPs keep open for devices (N-5.2.1e), since a binding outlives the controller."""

import json
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, NamedTuple

from steering.store.interface import Store
from steering.store.json_text import damaged, read_json

FILE = "bindings.json"
ADVICE = "restore it, or remove it: devices ask again"
MOST_BINDINGS = 65_536
MOST_WORD = 64  # characters
LATEST = 1 << 33  # seconds since 1970


class PortBinding(NamedTuple):
    """`ext_port` of `mcp` leads to `int_port` of `address`, an address of `device`. `lifetime_s`: seconds that were asked for.
    `until`: the end, seconds since 1970. `version` grows with every renewal."""

    id: str
    device: str
    mcp: str
    ext_port: int
    address: str
    int_port: int
    lifetime_s: int
    until: float
    version: int


class PortBindings:
    """`known`: id -> binding; callers only read it. The constructor raises StateError for a value that this program did not
    write."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.known = _read(store)

    def put(self, binding: PortBinding) -> None:
        """Add or change a binding. Raises StateError, and then nothing is changed."""
        self._keep({**self.known, binding.id: binding})

    def drop(self, ids: Iterable[str]) -> None:
        """Remove bindings that are over. Raises StateError, and then nothing is changed."""
        self._keep(self.without(ids))

    def forget(self, ids: Iterable[str]) -> None:
        """Remove bindings from memory without writing. A later controller finds by `until` that they are over."""
        self.known = self.without(ids)

    def without(self, ids: Iterable[str]) -> dict[str, PortBinding]:
        gone = set(ids)
        return {name: one for name, one in self.known.items() if name not in gone}

    def _keep(self, changed: dict[str, PortBinding]) -> None:
        told = {name: one._asdict() for name, one in changed.items()}
        self._store.write(FILE, json.dumps(told))
        self.known = changed


def _read(store: Store) -> dict[str, PortBinding]:
    told = read_json(store, FILE, ADVICE)
    if told is None:
        return {}
    try:
        if len(told) > MOST_BINDINGS:
            raise ValueError(len(told))
        found = {name: _binding(one) for name, one in told.items()}
        if any(one.id != name for name, one in found.items()):
            raise ValueError(FILE)
        return found
    except (ValueError, KeyError, TypeError, AttributeError):
        raise damaged(FILE, ADVICE) from None


def _binding(told: dict[str, Any]) -> PortBinding:
    one = PortBinding(**told)
    for text in (one.id, one.device, one.mcp, one.address):
        if not isinstance(text, str) or not 1 <= len(text) <= MOST_WORD:
            raise ValueError(text)
    ip_address(one.address)
    for number in (one.ext_port, one.int_port, one.lifetime_s, one.version):
        if type(number) is not int or not 0 <= number <= LATEST:
            raise ValueError(number)
    if type(one.until) not in (int, float) or not 0 <= one.until <= LATEST:
        raise ValueError(one.until)
    return one
