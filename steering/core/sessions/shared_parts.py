"""Data that many records have in common, kept once.

A million sessions begin at some hundred access ports, towards some gateways, at some MCPs. So a record holds its own data (key,
times, counters), and refers to a `Course` or an `Onset` for shared data. These are tuples and never change. A record whose data
change gets another one.
"""

from array import array
from functools import cache
from itertools import chain
from struct import Struct
from typing import NamedTuple
from zlib import compress, decompress

from steering.core.sessions.garbage_collector import untrack
from steering.core.sessions.indexes import SPAN
from steering.model.ids import DatapathId, PortNumber, WaypointId
from steering.model.session import EntryKind

Returns = tuple[tuple[DatapathId, WaypointId], ...]  # (dpid, waypoint) of each entry of a server leg

MOST = 65_536  # most different courses, and most different onsets, that are remembered


class Course(NamedTuple):
    """Where a subflow comes in, where it is led, and of which kind it is."""

    dpid: DatapathId
    port: PortNumber  # where the subflow comes in; NO_PORT if it was read back from switches
    role: int  # of that port: PortRole
    # NO_WAYPOINT: the subflow has no entry. It goes to its MCP's own address, or entries of proactive insertion lead it.
    waypoint: WaypointId
    kind: EntryKind
    address_id: int
    backup: bool


class Onset(NamedTuple):
    """How a session began, and where the entries of its server leg are."""

    entrance: WaypointId  # the waypoint where its first SYN came in
    version: int  # of MPTCP
    dscp: int  # of its first SYN
    reverse: bool  # a server opened it
    unit: str | None  # the unit of proactive insertion (core.proactive); None for any other session
    returns: Returns


class CourseParts:
    """A record with a course, whose fields are properties of the record."""

    __slots__ = ("course",)

    course: Course

    @property
    def kind(self) -> EntryKind:
        return self.course.kind

    @property
    def dpid(self) -> DatapathId:
        return self.course.dpid

    @property
    def port(self) -> PortNumber:
        return self.course.port

    @property
    def role(self) -> int:
        return self.course.role

    @property
    def waypoint(self) -> WaypointId:
        return self.course.waypoint

    @property
    def address_id(self) -> int:
        return self.course.address_id

    @property
    def backup(self) -> bool:
        return self.course.backup


class OnsetParts:
    """A record with an onset, whose fields are properties of the record."""

    __slots__ = ("onset",)

    onset: Onset

    @property
    def entrance(self) -> WaypointId:
        return self.onset.entrance

    @property
    def version(self) -> int:
        return self.onset.version

    @property
    def dscp(self) -> int:
        return self.onset.dscp

    @property
    def reverse(self) -> bool:
        return self.onset.reverse

    @property
    def unit(self) -> str | None:
        return self.onset.unit

    @property
    def returns(self) -> Returns:
        return self.onset.returns


CourseKey = tuple[DatapathId, PortNumber, int, WaypointId, EntryKind, int, bool]
OnsetKey = tuple[WaypointId, int, int, bool, str | None, Returns]

# The courses and onsets that are remembered. The keys are plain tuples, which are made and hashed in a third of the time.
# Callers look here first.
courses: dict[CourseKey, Course] = {}
onsets: dict[OnsetKey, Onset] = {}


def course_of(parts: CourseKey) -> Course:
    """The course with these parts, shared with other subflows. When too many are remembered, all are forgotten. Records keep
    theirs, but do not share them with later records."""
    known = courses.get(parts)
    if known is None:
        if len(courses) >= MOST:
            courses.clear()
        known = courses[parts] = Course(*parts)
    return known


def onset_of(parts: OnsetKey) -> Onset:
    """The onset with these parts, shared with other sessions. When too many are remembered, all are forgotten."""
    known = onsets.get(parts)
    if known is None:
        if len(onsets) >= MOST:
            onsets.clear()
        known = onsets[parts] = Onset(*parts)
    return known


class LoadWindow:
    """The active sessions of each MCP at the decisions about some consecutive sessions.

    These numbers differ for each session, and are only read when an operator asks for a decision's reasons. There is one row
    for each session, with 4 bytes for each MCP. Rows are nearly alike. So in a complete window, each row is replaced by its
    difference (exclusive or) from the row before it, and this is compressed: to 2 bytes per session with 4 MCPs, 5 with 64.
    All sessions of a window are in one block of numbers (`indexes`), beside which the window is kept.
    """

    __slots__ = ("first", "last", "mcps", "next", "packed", "rows", "without")

    def __init__(self, first: int, mcps: int) -> None:
        # Numbers of sessions: of the first row, and of the next row to be added.
        self.first = self.next = first
        self.last = min(first + max(1, ROWS_BYTES // (4 * mcps)) - 1, first | SPAN - 1)
        self.mcps = mcps
        self.without: frozenset[int] = frozenset()  # sessions between them that have no loads
        self.rows: list[tuple[int, ...]] = []  # until the window is complete
        self.packed = b""

    def complete(self) -> None:
        """Compress the window: no further row comes."""
        numbers = array("I", chain.from_iterable(self.rows)).tobytes()
        whole = int.from_bytes(numbers, "little")
        whole ^= whole << 32 * self.mcps
        self.packed = compress(whole.to_bytes(len(numbers) + 4 * self.mcps, "little")[: len(numbers)], 1)
        self.rows = []

    def row(self, number: int) -> tuple[int, ...]:
        """The loads at the decision about session `number`, empty if the window has none of this session."""
        if not self.first <= number < self.next or number in self.without:
            return ()
        if not self.packed:
            return self.rows[number - self.first]
        row = _layout(self.mcps)
        packed, found = decompress(self.packed), 0
        for at in range(0, (number - self.first + 1) * row.size, row.size):
            found ^= int.from_bytes(packed[at : at + row.size], "little")
        return row.unpack(found.to_bytes(row.size, "little"))


ROWS_BYTES = 16_384  # most bytes of one window, so that compressing it takes no longer than a set-up


class LoadLog:
    """The loads at the decisions about all sessions of one table. `_open` is cleared before a window is compressed: if
    compressing fails, it fails for one session, and not for all later ones."""

    def __init__(self) -> None:
        self._open: LoadWindow | None = None  # the window that is not complete

    def kept(self, number: int, loads: tuple[int, ...]) -> LoadWindow | None:
        """Record the loads at the decision about session `number`. Returns their window, which the caller has to keep. None if
        there are no loads."""
        window = self._open
        if window is None or window.mcps != len(loads) or number > window.last:
            if not loads:
                return None
            if window is not None:
                self._open = None
                window.complete()
            window = self._open = LoadWindow(number, len(loads))
            untrack(window)
        elif number != window.next:  # sessions without loads came between
            window.rows += [(0,) * window.mcps] * (number - window.next)
            window.without |= set(range(window.next, number))
        window.next = number + 1
        window.rows.append(loads)
        if number == window.last:
            self._open = None
            window.complete()
        return window


@cache
def _layout(mcps: int) -> Struct:
    return Struct(f"={mcps}I")
