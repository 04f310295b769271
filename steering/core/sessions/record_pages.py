"""Numbers of records, packed: how they are laid out, in one place.

In CPython a float or an int that a record refers to takes 32 bytes, and the reference 8. In an array it takes 8 at most. So when
something was seen of records, and what their entries counted, stands in pages: for PLACES records that came one after the other an
array of each kind of number. A record knows its page and its place there; places are numbers that CPython has once for all. What every
handshake asks for several times, a session's number and its token, are slots all the same: a property takes ten times as long.

A place is given once. So nobody has to give it back, and a record that is over, but held by somebody, still tells what it told. A
page goes with the last of its records: a session that outlives all that came beside it keeps 1.3 kB, its subflow 2.7.

What few subflows have stands in the page too, by place, in a dict that is made for the first of them.
"""

from array import array
from collections.abc import Callable
from typing import TypeVar

from steering.core.sessions.fin_pair import BOTH_FINS, Fin
from steering.core.sessions.garbage_collector import untrack
from steering.core.sessions.session_extras import ExtraParts, SubflowExtras
from steering.core.sessions.shared_parts import CourseParts
from steering.model.preference import NO_WISH, SubflowWish

PLACES = 64  # of a page: its arrays of 8 bytes each are just what CPython's own pools have room for
WATCH = 3  # bits of a subflow's marks: Watch; its progress stands above them
PROGRESS = 2  # from which bit on

# How far a join has come, as far as the network sees it.
UNANSWERED = 0  # its SYN alone
ANSWERED = 1  # its MCP answered
UNHEARD = 2  # a sweep found, some seconds after its SYN, that its host has sent nothing more
HEARD = 3  # its host sent more than its SYN; or nothing is known of its beginning

P = TypeVar("P")

_ZEROS = bytes(8 * PLACES)
_HEARD = bytes([HEARD << PROGRESS]) * PLACES


class PageOfSubflows:
    """The numbers of PLACES subflows: `isn` is -1 where it is not known, `active` when something was seen of the subflow last."""

    __slots__ = ("active", "bytes", "extras", "isn", "marks", "packets")

    def __init__(self) -> None:
        self.isn = array("q", _ZEROS)
        self.packets, self.bytes = array("Q", _ZEROS), array("Q", _ZEROS)
        self.active = array("d", _ZEROS)
        self.marks = bytearray(_HEARD)  # of a join its handler says where it begins
        self.extras: dict[int, SubflowExtras] | None = None
        for one in (self, self.isn, self.packets, self.bytes, self.active):
            untrack(one)


class PageOfSessions:
    """The numbers of PLACES sessions that are asked for rarely: `created` when its first SYN came, or it was found; `active` when
    something of any of its subflows was seen last."""

    __slots__ = ("active", "created")

    def __init__(self) -> None:
        self.created, self.active = array("d", _ZEROS), array("d", _ZEROS)
        for one in (self, self.created, self.active):
            untrack(one)


# For records of one table to come; the last one of the list is the next.
SessionPlaces = list[tuple[PageOfSessions, int]]
SubflowPlaces = list[tuple[PageOfSubflows, int]]


def more_places(places: list[tuple[P, int]], page_of: Callable[[], P]) -> None:
    """Places of a new page, for a caller that has none left."""
    page = page_of()
    places += [(page, place) for place in range(PLACES - 1, -1, -1)]


class PagedSession(ExtraParts):
    """What of a session stands in its page."""

    __slots__ = ("_page", "_place")

    _page: PageOfSessions
    _place: int

    @property
    def created(self) -> float:
        """When its first SYN came, or it was found."""
        return self._page.created[self._place]

    @property
    def active(self) -> float:
        """When something of any of its subflows was seen last."""
        return self._page.active[self._place]

    def touch(self, now: float) -> None:
        """A segment of the session was seen."""
        self._page.active[self._place] = now


class PagedSubflow(CourseParts):
    """What of a subflow stands in its page."""

    __slots__ = ("_page", "_place")

    _page: PageOfSubflows
    _place: int

    @property
    def isn(self) -> int:
        """Its SYN's initial sequence number, -1 where a controller found the subflow in switches."""
        return self._page.isn[self._place]

    @property
    def packets(self) -> int:
        """What its entry has counted."""
        return self._page.packets[self._place]

    @property
    def bytes(self) -> int:
        """The same in bytes; 0 where nobody counts them."""
        return self._page.bytes[self._place]

    @property
    def active(self) -> float:
        """When something of it was seen last."""
        return self._page.active[self._place]

    @property
    def watch(self) -> int:
        """What its entry shows to the controller: Watch."""
        return self._page.marks[self._place] & WATCH

    @watch.setter
    def watch(self, watch: int) -> None:
        marks, place = self._page.marks, self._place
        marks[place] = marks[place] & ~WATCH | watch

    @property
    def progress(self) -> int:
        """How far it has come, as a join: UNANSWERED to HEARD."""
        return self._page.marks[self._place] >> PROGRESS

    @progress.setter
    def progress(self, progress: int) -> None:
        marks, place = self._page.marks, self._place
        marks[place] = marks[place] & WATCH | progress << PROGRESS

    # ---- what few have ----------------------------------------------------------------------------

    @property
    def _extras(self) -> SubflowExtras | None:
        extras = self._page.extras
        return None if extras is None else extras.get(self._place)

    @property
    def closed(self) -> int:
        """HOST_FIN | MCP_FIN: which ends have closed it."""
        extras = self._extras
        return 0 if extras is None else extras.fins.closed

    @property
    def wish(self) -> SubflowWish:
        """The wish that its MCP was told last."""
        extras = self._extras
        return NO_WISH if extras is None else extras.wish

    def close(self, side: int) -> bool:
        """One end closed the subflow (HOST_FIN, MCP_FIN or BOTH_FINS). True if it is closed from both ends by that."""
        fins = self._more().fins
        if fins.closed == BOTH_FINS:
            return False
        fins.closed |= side
        return fins.closed == BOTH_FINS

    def saw_fin(self, side: int, one: Fin) -> bool:
        """A FIN of one end was seen; whether it closes the subflow, with the other end's."""
        return self._more().fins.closes(side, one)

    def sent_fin(self, sides: int) -> bool:
        """Whether FINs of all these ends were seen. A reset is none."""
        extras = self._extras
        seen = 0 if extras is None else sum(extras.fins.fins)
        return seen & sides == sides

    def _more(self) -> SubflowExtras:
        page, place = self._page, self._place
        if page.extras is None:
            page.extras = {}
        extras = page.extras.get(place)
        if extras is None:
            extras = page.extras[place] = SubflowExtras()
        return extras

    def let_go(self) -> None:
        """The subflow is over: what it had beside its numbers goes, though its page stays."""
        extras = self._page.extras
        if extras is not None:
            extras.pop(self._place, None)
