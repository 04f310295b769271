"""Switches that change hands: whose sessions are given up with one, and what has to be read when one is taken over."""

from collections.abc import Callable, Iterable
from typing import Any

from steering.core.inputs import EntriesRead
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.outputs import Output, ReadEntries
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.model.ids import DatapathId
from steering.model.session import EntryKind


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

    def given_up(self, dpids: set[DatapathId]) -> None:
        """Another controller decides there: it has the sessions that began there, from what the switches hold. Here they
        are forgotten, and nothing at a switch is touched."""
        self._unread -= dpids
        self._again -= dpids
        self._later -= dpids
        for session in list(self._table):
            if self._began_at(session) in dpids:
                self._teardown.end(session)

    def _began_at(self, session: Session) -> DatapathId | None:
        for subflow in session.subflows:
            if subflow.kind is EntryKind.INITIAL:
                return subflow.course.dpid
        attachment = self._map.by_waypoint.get(session.edge)
        return None if attachment is None else attachment.waypoint.port.dpid

    def read(self, read: EntriesRead, now: float) -> bool:
        """Whether a switch was only read once more: it holds what it should, and is not filled."""
        if read.dpid not in self._again:
            return False
        self._again.discard(read.dpid)
        if read.dpid not in self._later:
            self._unread.discard(read.dpid)
        self._adopt(read.entries, now)
        return True
