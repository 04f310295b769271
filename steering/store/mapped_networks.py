"""Keeps a small file beside the mapping logs of an MCP: the networks whose addresses occur in the logs. Thus a search only opens the logs
of the MCPs that may have the answer.

A network is written to the file before the first line about one of its addresses is written to the log. It stays in the file even if that
line is removed later. So the file may name too many networks, and never too few. Logs without such a file, as those of earlier versions, may
have any address.
"""

import os
from collections.abc import Callable, Iterable
from ipaddress import IPv6Network, ip_address, ip_network
from pathlib import Path

from steering.model.mapping import Mapping
from steering.store.interface import StateError
from steering.store.private_file import read_private, replace_private

MOST = 1_024  # most networks of one MCP; with more, its logs may have any address
ANY = "*"
_MOST_BYTES = 64 * MOST
_LENGTHS = {
    4: 24,
    6: 40,
}  # lengths of the prefixes that are noted; few of them cover an MCP's addresses and pools


def network_of(mapping: Mapping) -> str:
    """The network that is noted for a mapping: it has all addresses that the mapping may contain. ANY for an unusual mapping."""
    try:
        found = ip_network(mapping.external)
        if isinstance(found, IPv6Network) and found.prefixlen == 128 and not int(found.network_address) >> 64:
            inside = ip_network(mapping.internal, strict=False)  # an identifier under this host's own prefix
            found = inside if isinstance(inside, IPv6Network) else found
    except ValueError:
        return ANY
    length = min(found.prefixlen, _LENGTHS[found.version])
    return str(found.supernet(new_prefix=length))


class MappedNetworks:
    """The file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: frozenset[str] | None = None  # None: not read yet

    def note(self, mappings: Iterable[Mapping], has_logs: Callable[[], bool]) -> None:
        """Mappings are about to be logged. `has_logs`: whether there are logs already. Raises StateError."""
        if self._known is None:
            self._known = self._read(has_logs)
        if ANY in self._known:
            return
        known = self._known | {network_of(mapping) for mapping in mappings}
        if len(known) > MOST:
            known = frozenset({ANY})
        if known != self._known:
            if self._known and not os.path.lexists(self._path):
                known = frozenset({ANY})  # somebody removed the file, perhaps to put other logs here
            self._write(known)

    def _read(self, has_logs: Callable[[], bool]) -> frozenset[str]:
        try:
            return frozenset(read_private(self._path, _MOST_BYTES).split())
        except FileNotFoundError:
            return frozenset({ANY}) if has_logs() else frozenset()
        except StateError:
            # What it holds is not known, and it must not come back as if it were whole.
            self._write(frozenset({ANY}))
            return frozenset({ANY})

    def _write(self, known: frozenset[str]) -> None:
        replace_private(self._path, ("\n".join(sorted(known)) + "\n").encode("ascii"), synced=True)
        self._known = known


def may_tell_of(path: Path, address: str) -> bool:
    """Whether the logs beside the file at `path` may tell of an address."""
    asked = ip_address(address)
    try:
        known = read_private(path, _MOST_BYTES).split()
        return any(one == ANY or asked in ip_network(one) for one in known)
    except (FileNotFoundError, StateError, ValueError):
        return True
