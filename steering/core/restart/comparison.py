"""What a switch holds, compared with what it should hold, some entries at a time: at a million sessions this takes seconds,
and SYNs have their turns meanwhile.

A session may begin, change or end between two slices. Its entries go to the switch at once then, as ever; so what was found
before is looked at again when it is used.
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

INDEXED, COMPARED = 512, 128  # entries and sessions of one slice
SENT = 256  # entries that leave in one slice
_SHELVES = 64  # the index in pieces, none of which takes long to grow

Key = tuple[object, ...]


class Comparison:
    """Compares what one switch holds with the session table. `stale`: the entries that must go if they are still nobody's;
    None stands for all entries that are nobody's.
    `put_back` is told of entries that the switch gets again."""

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
        """The work, slice by slice, each with what leaves at once; a small table takes none. A few entries stay for
        `rest`."""
        made: list[Output] | None = None
        for step in self._steps():
            if made is not None:
                yield made  # at once: nothing may change between the finding and the leaving
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
        """Entries that are missing, and that must go, as they are now."""
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
        """What is missing of sessions that still want it."""
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
        """What is held and was nobody's."""
        for shelf in self._held:
            for key, entry in shelf.items():
                if self._stale is None or key in self._stale:
                    yield entry

    def _removed(self, shelf: dict[Key, Entry]) -> list[Output]:
        """Where many must go, all but the last of them go at once."""
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
