"""Switches that another controller takes over, or that are taken over from another controller.

When a switch is given up, the sessions that began there are forgotten. When a switch is taken over, the entries of other
switches have to be read once more.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from steering.core.inputs import EntriesRead, ObservedEntry
from steering.core.long_work import PORTION, Work, portions
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.outputs import Output, ReadEntries
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.model.ids import DatapathId
from steering.model.session import EntryKind

EntrySelection = Callable[[list[ObservedEntry]], list[ObservedEntry]]


class Handover:
    """`unread`: the switches whose entries were not read yet (shared with the engine). `adopt` takes entries into the
    session table. In `giving_up` sessions end that live on at another controller."""

    def __init__(
        self,
        sitemap: SiteMap,
        table: SessionTable,
        teardown: Teardown,
        switches: Switches,
        unread: set[DatapathId],
        adopt: Callable[[list[Any], float], object],
        giving_up: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._map = sitemap
        self._table = table
        self._teardown = teardown
        self._switches = switches
        self._unread = unread
        self._adopt = adopt
        self._giving_up = giving_up
        self._again: set[DatapathId] = set()  # switches that are being read once more
        self._later: set[DatapathId] = set()  # switches that are to be read once more
        # Switches that were given up, and the youngest session that leaves with each.
        self._leaving: dict[DatapathId, int] = {}

    def taken(self, dpids: Iterable[DatapathId], mine: Iterable[DatapathId]) -> None:
        """The switches `dpids` are taken over. `mine`: the switches that this controller had before and keeps.

        A session of the former controller may have entries at `mine`, which were ignored when `mine` were read. Therefore
        `mine` are read once more, but only after `dpids`: before that, it is not known which sessions began at `dpids`.
        """
        again = {d for d in mine if self._switches.is_connected(d)} - (self._unread - self._again)
        self._unread |= {*dpids, *again}
        self._later |= again

    def read_later(self, now_or_never: bool = False) -> list[Output]:
        """Read switches once more, as soon as all switches that were taken over have been read. `now_or_never`: do so even
        if some were not read."""
        if not self._later or self._again or (self._unread - self._later and not now_or_never):
            return []
        self._again, self._later = self._later, set()
        return [ReadEntries(dpid) for dpid in sorted(self._again)]

    def lost(self, dpid: DatapathId) -> None:
        """A switch lost its connection. It may have lost its entries, so after it connects it is read and filled as any
        other."""
        self._again.discard(dpid)
        self._later.discard(dpid)

    def given_up(self, dpids: set[DatapathId]) -> Work:
        """Another controller takes these switches over. It rebuilds the sessions that began there from the switches'
        entries. This controller forgets these sessions, a portion at a time, and leaves the switches untouched."""
        self._unread -= dpids
        self._again -= dpids
        self._later -= dpids
        last = self._table.youngest
        self._leaving |= dict.fromkeys(dpids, last)
        return self._forget(dpids, last)

    def _forget(self, dpids: set[DatapathId], last: int) -> Work:
        yield 0
        is_over = True
        try:
            for sessions in self._until(last):
                for session in sessions:
                    if session.id in self._table.by_id and self._began_at(session) in dpids:
                        with self._giving_up():
                            self._teardown.end(session)
                yield PORTION  # the search is work, also where few sessions were found
        except GeneratorExit:
            is_over = False  # the switches will be given up again; the remaining sessions still leave
            raise
        finally:
            if is_over:
                kept = {dpid: at for dpid, at in self._leaving.items() if dpid not in dpids or at != last}
                self._leaving = kept
        return []

    def _until(self, last: int) -> Iterator[list[Session]]:
        """All sessions up to number `last`, in portions."""
        after: int | None = 0
        while after is not None and after < last:
            sessions, after = self._table.order.following(after, PORTION)
            yield [session for session in sessions if session.id <= last]

    @property
    def is_giving_up(self) -> bool:
        """Whether sessions are left that are to be forgotten."""
        return bool(self._leaving)

    def leaves(self, session: Session) -> bool:
        """Whether a session belongs to another controller already and is only waiting to be forgotten. It must not be
        used."""
        if not self._leaving:
            return False
        began = self._began_at(session)
        return began is not None and session.id <= self._leaving.get(began, 0)

    def _began_at(self, session: Session) -> DatapathId | None:
        for subflow in session.subflows:
            if subflow.kind is EntryKind.INITIAL:
                return subflow.course.dpid
        attachment = self._map.by_waypoint.get(session.entrance)
        return None if attachment is None else attachment.waypoint.port.dpid

    def is_again(self, dpid: DatapathId) -> bool:
        """Whether a switch is only being read once more. Then it holds the right entries and is not filled afterwards."""
        return dpid in self._again

    def read(self, read: EntriesRead, own: EntrySelection) -> Generator[int, float, float]:
        """Take over the entries of a switch that was read once more, a portion at a time. `own` selects the entries of this
        controller's sessions. Returns the time at the end."""
        done = 0
        for portion in portions(read.entries):
            now = yield done
            self._adopt(own(portion), now)
            done = len(portion)
        now = yield done
        self._again.discard(read.dpid)
        if read.dpid not in self._later:
            self._unread.discard(read.dpid)
        return now
