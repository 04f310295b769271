"""What records have in common, kept once: most of what is known of a session is the same for many others.

A million sessions begin at some hundred access ports, towards some gateways, at some MCPs. So a record holds what is its
own (its key, its times, its counts), and points to a `Course` or an `Onset` for what it shares. These are tuples and
never change: a record to which something else happens gets another one.
"""

from array import array
from functools import cache
from itertools import chain
from struct import Struct
from typing import NamedTuple
from zlib import compress, decompress

from steering.core.sessions.garbage_collector import untrack
from steering.model.ids import DatapathId, PortNumber, WaypointId
from steering.model.session import EntryKind

Returns = tuple[tuple[DatapathId, WaypointId], ...]  # (dpid, waypoint) of each entry of a server leg

MOST = 65_536  # different ones of a kind that are remembered


class Course(NamedTuple):
    """How a subflow came, where it enters, and where it is led."""

    dpid: DatapathId
    port: PortNumber  # where the subflow comes in; NO_PORT if it was read back from switches
    role: int  # of that port: PortRole
    # NO_WAYPOINT: no entry of its own. The subflow goes to its MCP's own address, or entries set ahead lead it.
    waypoint: WaypointId
    kind: EntryKind
    address_id: int
    backup: bool


class Onset(NamedTuple):
    """How a session began, and how its server leg comes back."""

    edge: WaypointId  # the waypoint its first SYN came in at
    version: int  # of MPTCP
    dscp: int  # of its first SYN
    reverse: bool  # a server opened it: hosts and gateways have changed places
    unit: str | None  # whose entries set ahead brought it here (core.proactive); None: its own entries did
    returns: Returns


class CourseParts:
    """A record with a course: the course's parts are the record's."""

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
    """A record with an onset: the onset's parts are the record's."""

    __slots__ = ("onset",)

    onset: Onset

    @property
    def edge(self) -> WaypointId:
        return self.onset.edge

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

# Those that are remembered, by their parts as a plain tuple, which is made and hashed in a third of the time. A caller
# looks here first.
courses: dict[CourseKey, Course] = {}
onsets: dict[OnsetKey, Onset] = {}


def course_of(parts: CourseKey) -> Course:
    """The course with these parts, which other subflows may have too. When too many are remembered, all are
    forgotten: a record keeps what it has, and only shares it with no later one."""
    known = courses.get(parts)
    if known is None:
        if len(courses) >= MOST:
            courses.clear()
        known = courses[parts] = Course(*parts)
    return known


def onset_of(parts: OnsetKey) -> Onset:
    """The onset with these parts, which other sessions may have too. When too many are remembered, all are forgotten."""
    known = onsets.get(parts)
    if known is None:
        if len(onsets) >= MOST:
            onsets.clear()
        known = onsets[parts] = Onset(*parts)
    return known


class LoadWindow:
    """Active sessions of each MCP as some sessions were ruled on, one after the other: this is what no two sessions share, and
    what nobody looks at but an operator who asks why. One row of 4 bytes an MCP for each session; rows are nearly alike, so a
    window that is complete is compressed, to some 8 bytes a session."""

    __slots__ = ("first", "last", "mcps", "next", "packed", "rows")

    def __init__(self, first: int, mcps: int) -> None:
        self.first = self.next = (
            first  # numbers of sessions: of the first row, and of the row that would come next
        )
        self.last = first + max(1, min(ROWS, ROWS_BYTES // (4 * mcps))) - 1
        self.mcps = mcps
        self.rows: list[tuple[int, ...]] = []  # while it is not complete: then they are packed at once
        self.packed = b""

    def complete(self) -> None:
        """No further row comes."""
        numbers = array("I", chain.from_iterable(self.rows))
        self.packed = compress(numbers.tobytes(), 1)
        self.rows = []

    def row(self, number: int) -> tuple[int, ...]:
        """A session's loads."""
        if not self.packed:
            return self.rows[number - self.first]
        row = _layout(self.mcps)
        return row.unpack_from(decompress(self.packed), (number - self.first) * row.size)


ROWS = 256  # of one window, at most
ROWS_BYTES = 16_384  # so that compressing a window of hundreds of MCPs takes no longer than a set-up


class LoadLog:
    """The loads that one table's sessions were ruled on with. A window is given up before it is packed: should that fail, it fails
    one session and not all that come."""

    def __init__(self) -> None:
        self._open: LoadWindow | None = None  # the window that is not complete

    def kept(self, number: int, loads: tuple[int, ...]) -> LoadWindow | None:
        """Where the loads stand that session `number` was ruled on with; None where there were none."""
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
        window.next = number + 1
        window.rows.append(loads)
        if number == window.last:
            self._open = None
            window.complete()
        return window


@cache
def _layout(mcps: int) -> Struct:
    return Struct(f"={mcps}I")
