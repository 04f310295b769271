"""The numbers of records, packed in pages.

In CPython, a float or an int takes 32 bytes, and the reference to it 8. In an array it takes 8 at most. So a session's number
and times, and the counters of a subflow's entry, are in pages. A page has one array for each kind of number, with places for
PLACES records. A record knows its page and its place. Places are small numbers, which exist only once in CPython. A
session's token, state and MCP are read many times by each handshake, so they stay in slots: a property takes ten times as
long.

A place belongs to its record until nobody refers to the record any more. So a record that is over still has its own numbers
as long as somebody holds it. Free places are used before a new page is made, and a page without records is dropped. So there
are never more pages than the most records that lived at once need. If one record of a hundred lives on, the others' places
are used by new records.

Data that few records have is in the page, too: in a dict by place.
"""

from array import array
from collections import OrderedDict
from collections.abc import Callable, Container
from typing import Generic, TypeVar

from steering.core.sessions.fin_pair import BOTH_FINS, Fin
from steering.core.sessions.garbage_collector import untrack
from steering.core.sessions.session_extras import SessionExtras, SubflowExtras
from steering.core.sessions.session_keys import Secrets
from steering.core.sessions.shared_parts import CourseParts, OnsetParts
from steering.model.ids import NO_TOKEN, Token
from steering.model.preference import NO_WISH, SubflowWish

PLACES = 256  # of a page. Its own objects then take 3 bytes per record
WATCH = 3  # mask of the bits of a subflow's marks that hold its Watch
PROGRESS = 2  # first of the two bits of a subflow's marks that hold its progress
NO_ISN = 16  # bit of a subflow's marks: the sequence number of its SYN is not known

# The progress of a join's handshake.
UNANSWERED = 0  # only its SYN was seen
ANSWERED = 1  # its MCP has answered
UNHEARD = 2  # counters show, some seconds after its SYN, that its host has sent nothing more
HEARD = 3  # its host has sent more than its SYN, or its beginning is not known

# Marks of a new subflow, and mask of the progress. For a join, `came_as_join` sets another progress.
IS_HEARD = HEARD << PROGRESS
_FIRST_OR_ALL = (1, PLACES)  # numbers of free places with which a page has to be looked after
_ALL_FREE = bytes(range(PLACES))
_ZEROS = bytes(8 * PLACES)
_HALF_ZEROS = bytes(4 * PLACES)


class Page:
    """`free`: the places without a record."""

    __slots__ = ("free",)

    def __init__(self) -> None:
        self.free = bytearray(_ALL_FREE)


class PageOfSessions(Page):
    """`number`: of the session. `created`: time of its first SYN, or when it was found. `active`: time of the last known
    activity of any of its subflows. `extras`: by place."""

    __slots__ = ("active", "created", "extras", "number")

    def __init__(self) -> None:
        super().__init__()
        self.number = array("Q", _ZEROS)
        self.created, self.active = array("d", _ZEROS), array("d", _ZEROS)
        self.extras: dict[int, SessionExtras] = {}
        for one in (self, self.number, self.created, self.active):
            untrack(one)


class PageOfSubflows(Page):
    """`isn`: initial sequence number of the subflow's SYN, unless `marks` say that it is not known. `packets` and `bytes`: counters of its entry.
    `active`: time of its last known activity. `marks`: its watch, its progress and NO_ISN. `extras`: by place. Free places have the
    counters and marks of a new subflow."""

    __slots__ = ("active", "bytes", "extras", "isn", "marks", "packets")

    def __init__(self) -> None:
        super().__init__()
        self.isn = array("I", _HALF_ZEROS)
        self.packets, self.bytes = array("Q", _ZEROS), array("Q", _ZEROS)
        self.active = array("d", _ZEROS)
        self.marks = bytearray([IS_HEARD]) * PLACES
        self.extras: dict[int, SubflowExtras] = {}
        for one in (self, self.isn, self.packets, self.bytes, self.active):
            untrack(one)


P = TypeVar("P", PageOfSessions, PageOfSubflows)


class RecordPages(Generic[P]):
    """All pages of one kind that have free places. Pages without one are known to their records only. `page`: has the place
    of the next record. Whoever takes the last place of this page has to call `turn`."""

    __slots__ = ("_more", "_page_of", "count", "page")

    def __init__(self, page_of: Callable[[], P]) -> None:
        self._page_of: Callable[[], P] = page_of
        self.page: P = page_of()
        self.count = 1  # of all pages with records, and `page`
        self._more: OrderedDict[P, None] = OrderedDict()  # the page that first had a free place comes first

    def turn(self) -> None:
        """The page has no free place left: take another one."""
        before = self.page
        if self._more:
            self.page, _ = self._more.popitem(last=False)
        else:
            self.page = self._page_of()
            self.count += 1
        if before.free:  # a record of it was freed at this moment, by a thread
            self._more[before] = None

    def look_after(self, page: P) -> None:
        """A page has its first free place, or all its places are free."""
        if page is self.page:
            return
        if len(page.free) < PLACES:
            self._more[page] = None
        elif self._more.pop(page, 0) is None:
            self.count -= 1

    @property
    def free(self) -> int:
        """The number of free places."""
        return len(self.page.free) + sum(len(page.free) for page in self._more)


# All tables of a process have their records in the same pages, as they have their shared parts in common (shared_parts).
pages_of_sessions = RecordPages(PageOfSessions)
pages_of_subflows = RecordPages(PageOfSubflows)


class PagedSession(OnsetParts):
    """Properties of a session that are kept in its page. `records.Session` takes the place."""

    __slots__ = ("_page", "_place")

    _page: PageOfSessions
    _place: int

    # The defaults are there for the end of the process, when names of the module may be gone.
    def __del__(
        self, pages: RecordPages[PageOfSessions] = pages_of_sessions, some: Container[int] = _FIRST_OR_ALL
    ) -> None:
        page, place = self._page, self._place
        if page.extras:
            page.extras.pop(place, None)
        free = page.free
        free.append(place)
        if len(free) in some:
            pages.look_after(page)

    @property
    def id(self) -> int:
        """The session's number. Each is given only once."""
        return self._page.number[self._place]

    @property
    def created(self) -> float:
        """The time of its first SYN, or when it was found."""
        return self._page.created[self._place]

    @property
    def active(self) -> float:
        """The time of the last known activity of any subflow."""
        return self._page.active[self._place]

    def touch(self, now: float) -> None:
        """A segment of the session was seen."""
        self._page.active[self._place] = now

    def when_and_which(self, seconds: float) -> tuple[float, int]:
        """The time at which the session is so many seconds old, and its number."""
        page, place = self._page, self._place
        return page.created[place] + seconds, page.number[place]

    # ---- data that few sessions have ----------------------------------------------------------------

    @property
    def extras(self) -> SessionExtras | None:
        """None if the session has none."""
        extras = self._page.extras
        return extras.get(self._place) if extras else None

    @property
    def server_closed(self) -> int:
        extras = self.extras
        return 0 if extras is None else extras.server_closed

    @property
    def deadline(self) -> float:
        extras = self.extras
        return 0.0 if extras is None else extras.deadline

    @property
    def idle_at(self) -> str:
        extras = self.extras
        return "" if extras is None else extras.idle_at

    @property
    def secrets(self) -> Secrets | None:
        extras = self.extras
        return None if extras is None else extras.secrets

    @property
    def ending(self) -> bool:
        extras = self.extras
        return extras is not None and extras.ending

    @property
    def host_token(self) -> Token:
        extras = self.extras
        return NO_TOKEN if extras is None else extras.host_token

    def _more(self) -> SessionExtras:
        extras, place = self._page.extras, self._place
        found = extras.get(place)
        if found is None:
            found = extras[place] = SessionExtras()
        return found


class PagedSubflow(CourseParts):
    """Properties of a subflow that are kept in its page. `records.Subflow` takes the place."""

    __slots__ = ("_page", "_place")

    _page: PageOfSubflows
    _place: int

    def __del__(
        self, pages: RecordPages[PageOfSubflows] = pages_of_subflows, some: Container[int] = _FIRST_OR_ALL,
        marks: int = IS_HEARD,
    ) -> None:  # fmt: skip
        page, place = self._page, self._place
        if page.extras:
            page.extras.pop(place, None)
        page.packets[place] = page.bytes[place] = 0
        page.marks[place] = marks
        free = page.free
        free.append(place)
        if len(free) in some:
            pages.look_after(page)

    @property
    def isn(self) -> int:
        """The initial sequence number of the subflow's SYN, -1 if it is not known."""
        page, place = self._page, self._place
        return -1 if page.marks[place] & NO_ISN else page.isn[place]

    @property
    def packets(self) -> int:
        """The packet counter of the subflow's entry."""
        return self._page.packets[self._place]

    @property
    def bytes(self) -> int:
        """The byte counter of the subflow's entry, 0 if nobody reads it."""
        return self._page.bytes[self._place]

    @property
    def active(self) -> float:
        """The time of its last known activity."""
        return self._page.active[self._place]

    def touch(self, now: float) -> None:
        """A segment of the subflow was seen."""
        self._page.active[self._place] = now

    @property
    def watch(self) -> int:
        """Which segments its entry sends to the controller: a Watch."""
        return self._page.marks[self._place] & WATCH

    @watch.setter
    def watch(self, watch: int) -> None:
        marks, place = self._page.marks, self._place
        marks[place] = marks[place] & ~WATCH | watch

    @property
    def progress(self) -> int:
        """The progress of a join's handshake: UNANSWERED to HEARD."""
        return (self._page.marks[self._place] & IS_HEARD) >> PROGRESS

    @progress.setter
    def progress(self, progress: int) -> None:
        marks, place = self._page.marks, self._place
        marks[place] = marks[place] & ~IS_HEARD | progress << PROGRESS

    def renumber(self, isn: int) -> None:
        """Set the initial sequence number of the subflow's SYN, which is not known if its entry was read back."""
        page, place = self._page, self._place
        page.isn[place] = isn
        page.marks[place] &= ~NO_ISN

    def found(self, packets: int, size: int, watch: int) -> None:
        """Take over the counters and the watch of the subflow's entry, which was read back from a switch."""
        page, place = self._page, self._place
        page.packets[place], page.bytes[place], self.watch = packets, size, watch

    def count_bytes(self, size: int) -> int:
        """Take the byte counter of the subflow's entry. Returns the bytes since the last count. A counter that is smaller than
        before belongs to a new entry."""
        before = self.bytes
        self._page.bytes[self._place] = size
        return size - before if size >= before else size

    def came_as_join(self) -> None:
        """The subflow begins as a join: only its SYN was seen."""
        self._page.marks[self._place] &= ~IS_HEARD  # progress UNANSWERED is 0

    def was_answered(self) -> None:
        """The MCP has sent a SYN/ACK."""
        if self.progress == UNANSWERED:
            self.progress = ANSWERED

    def was_heard(self) -> None:
        """The host has sent more than its SYN."""
        self._page.marks[self._place] |= IS_HEARD

    # ---- data that few subflows have ----------------------------------------------------------------

    @property
    def _extras(self) -> SubflowExtras | None:
        extras = self._page.extras
        return extras.get(self._place) if extras else None

    @property
    def closed(self) -> int:
        """The ends that have closed the subflow: bits HOST_FIN and MCP_FIN."""
        extras = self._extras
        return 0 if extras is None else extras.fins.closed

    @property
    def wish(self) -> SubflowWish:
        """The last wish that was sent to its MCP."""
        extras = self._extras
        return NO_WISH if extras is None else extras.wish

    def close(self, side: int) -> bool:
        """One end or both have closed the subflow (`side`: HOST_FIN, MCP_FIN or BOTH_FINS). Returns whether by this call both
        ends have closed it."""
        fins = self._more().fins
        if fins.closed == BOTH_FINS:
            return False
        fins.closed |= side
        return fins.closed == BOTH_FINS

    def saw_fin(self, side: int, one: Fin) -> bool:
        """Record a FIN of one end. Returns whether the FINs of both ends belong together."""
        return self._more().fins.closes(side, one)

    def sent_fin(self, sides: int) -> bool:
        """Whether FINs of all ends in `sides` were seen. Resets do not count."""
        extras = self._extras
        seen = 0 if extras is None else sum(extras.fins.fins)
        return seen & sides == sides

    def _more(self) -> SubflowExtras:
        extras, place = self._page.extras, self._place
        found = extras.get(place)
        if found is None:
            found = extras[place] = SubflowExtras()
        return found
