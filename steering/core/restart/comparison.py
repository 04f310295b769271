"""Compares the session entries that a switch holds with those that it should hold.

The work is done in slices, because it takes seconds with a million sessions and SYNs have to be handled meanwhile. A
session may begin, change or end between two slices. Its entries then change at the switch at once. Therefore each result of
an earlier slice is checked again before it is used.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice

from steering.core.inputs import EntriesRead, ObservedEntry
from steering.core.outputs import Output, RemoveEntries, Steer
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.model.network import PortRole
from steering.model.session import Entry

INDEXED, COMPARED = 512, 128  # entries that one slice indexes, and sessions that one slice compares
SENT = 256  # entries that are sent in one slice
_SHELVES = 64  # number of dictionaries in the index; each is small, so that none takes long to grow

Key = tuple[object, ...]


class Comparison:
    """Compares the entries of one switch with the session table.

    `stale`: the entries that must be removed if no session wants them by then. None: all entries that no session wants.
    `put_back` is called with entries that the switch gets again.
    """

    def __init__(
        self,
        table: SessionTable,
        read: EntriesRead,
        stale: list[Entry] | None,
        put_back: Callable[[Iterable[Entry]], None],
    ) -> None:
        self._table = table
        self._put_back = put_back
        self._dpid = read.dpid
        self._read = read.entries
        self._stale = None if stale is None else {entry[:7] for entry in stale}
        self._held: tuple[dict[Key, Entry], ...] = tuple({} for _ in range(_SHELVES))
        self._missing: list[tuple[Session, Entry]] = []

    def slices(self) -> Iterator[list[Output]]:
        """Do the work slice by slice. Each slice yields outputs that have to leave at once. The last few entries are left for
        `rest`. A small table needs no slice."""
        made: list[Output] | None = None
        for step in self._steps():
            if made is not None:
                yield made  # before the next step: no session may change between a result and its sending
            made = step()
        if made:
            yield made

    def _steps(self) -> Iterator[Callable[[], list[Output]]]:
        observed = iter(self._read)
        while some := list(islice(observed, INDEXED)):
            yield partial(self._index, some)
        after: int | None = 0
        while after is not None:
            sessions, after = self._table.order.following(after)
            for at in range(0, max(len(sessions), 1), COMPARED):
                yield partial(self._compare, sessions[at : at + COMPARED])
        for shelf in self._held:
            while len(shelf) > SENT:
                yield partial(self._removed, shelf)

    def rest(self) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """The entries that the switch lacks now, and those that must be removed now."""
        return self._take_missing(), tuple(entry for entry in self._unknown() if not self._is_wanted(entry))

    def _index(self, observed: list[ObservedEntry]) -> list[Output]:
        for entry, *_ in observed:
            self._held[entry.sport % _SHELVES][entry[:7]] = entry
        return []

    def _compare(self, sessions: list[Session]) -> list[Output]:
        for session in sessions:
            if session.is_at(self._dpid) and session.id in self._table.by_id:
                for entry in session.entries(PortRole.GATEWAY):
                    if entry.dpid == self._dpid:
                        if self._held[entry.sport % _SHELVES].pop(entry[:7], None) != entry:
                            self._missing.append((session, entry))
        return self._added() if len(self._missing) >= SENT else []

    def _take_missing(self) -> tuple[Entry, ...]:
        """The missing entries that their sessions still want."""
        by_id, missing = self._table.by_id, self._missing
        self._missing = []
        return tuple(
            entry
            for session, entry in missing
            if session.id in by_id and entry in session.entries(PortRole.GATEWAY)
        )

    def _added(self) -> list[Output]:
        added = self._take_missing()
        self._put_back(added)
        return [Steer(added, None)] if added else []

    def _unknown(self) -> Iterator[Entry]:
        """The entries that the switch holds and that no session wanted."""
        for shelf in self._held:
            for key, entry in shelf.items():
                if self._stale is None or key in self._stale:
                    yield entry

    def _removed(self, shelf: dict[Key, Entry]) -> list[Output]:
        """Remove up to SENT entries of a shelf, where no session wants them."""
        gone = tuple(
            entry
            for entry in [shelf.pop(key) for key in list(islice(shelf, SENT))]
            if (self._stale is None or entry[:7] in self._stale) and not self._is_wanted(entry)
        )
        return [RemoveEntries(gone)] if gone else []

    def _is_wanted(self, entry: Entry) -> bool:
        flows = self._table.flows
        found = flows.get(flow_key(entry.src, entry.dst, entry.sport, entry.dport)) or flows.get(
            flow_key(entry.dst, entry.src, entry.dport, entry.sport)
        )
        return found is not None and any(
            wanted[:7] == entry[:7] for wanted in found.session.entries(PortRole.GATEWAY)
        )
