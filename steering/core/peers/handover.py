"""Switches that change hands: whose sessions are given up with one, and what has to be read when one is taken over."""

from collections.abc import Callable, Generator, Iterable, Iterator
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

Own = Callable[[list[ObservedEntry]], list[ObservedEntry]]


class Handover:
    """`unread`: the engine's switches that have not told of their sessions yet. `adopt` takes entries into the table."""

    def __init__(
        self,
        sitemap: SiteMap,
        table: SessionTable,
        teardown: Teardown,
        switches: Switches,
        unread: set[DatapathId],
        adopt: Callable[[list[Any], float], object],
    ) -> None:
        self._map = sitemap
        self._table = table
        self._teardown = teardown
        self._switches = switches
        self._unread = unread
        self._adopt = adopt
        self._again: set[DatapathId] = set()  # are being read once more
        self._later: set[DatapathId] = set()  # are to be
        self._leaving: dict[
            DatapathId, int
        ] = {}  # switches given up, and the youngest session that goes with each

    def taken(self, dpids: Iterable[DatapathId], mine: Iterable[DatapathId]) -> None:
        """These are to be decided for here from now on. A session of who had them may have entries at switches that were
        this controller's already, which it left alone when it read them: it reads them once more, but not yet. Until
        it knows which sessions began where it took over, such entries are of who had them."""
        again = {d for d in mine if self._switches.is_connected(d)} - (self._unread - self._again)
        self._unread |= {*dpids, *again}
        self._later |= again

    def read_later(self, now_or_never: bool = False) -> list[Output]:
        """Read once more what is to be, as soon as all that was taken over has told. `now_or_never`: some did not."""
        if not self._later or self._again or (self._unread - self._later and not now_or_never):
            return []
        self._again, self._later = self._later, set()
        return [ReadEntries(dpid) for dpid in sorted(self._again)]

    def lost(self, dpid: DatapathId) -> None:
        """A switch that connects again may have lost what it held: it is read and filled as any."""
        self._again.discard(dpid)
        self._later.discard(dpid)

    def given_up(self, dpids: set[DatapathId]) -> Work:
        """Another controller decides there: it has the sessions that began there, from what the switches hold. Here they
        are forgotten, a portion at a time, and nothing at a switch is touched."""
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
                        self._teardown.end(session)
                yield PORTION  # numbers of which no session is left were looked at too
        except GeneratorExit:
            is_over = False  # the same are given up once more: what was left of them still leaves
            raise
        finally:
            if is_over:
                kept = {dpid: at for dpid, at in self._leaving.items() if dpid not in dpids or at != last}
                self._leaving = kept
        return []

    def _until(self, last: int) -> Iterator[list[Session]]:
        """All sessions up to a number, some at a time."""
        after: int | None = 0
        while after is not None and after < last:
            sessions, after = self._table.order.following(after, PORTION)
            yield [session for session in sessions if session.id <= last]

    def leaves(self, session: Session) -> bool:
        """Whether a session is to be forgotten: it is another controller's, and nothing here is to go by it."""
        if not self._leaving:
            return False
        began = self._began_at(session)
        return began is not None and session.id <= self._leaving.get(began, 0)

    def _began_at(self, session: Session) -> DatapathId | None:
        for subflow in session.subflows:
            if subflow.kind is EntryKind.INITIAL:
                return subflow.course.dpid
        attachment = self._map.by_waypoint.get(session.edge)
        return None if attachment is None else attachment.waypoint.port.dpid

    def is_again(self, dpid: DatapathId) -> bool:
        """Whether a switch is only read once more: it holds what it should, and is not filled."""
        return dpid in self._again

    def read(self, read: EntriesRead, own: Own) -> Generator[int, float, float]:
        """A switch that is read once more told what it holds: its `own` entries are taken over, a portion at a time. Returns
        the time then."""
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
