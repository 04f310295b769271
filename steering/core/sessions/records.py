"""The records of M-sessions and their subflows.

Other packages read a record's fields, and change them only by its methods. So the layout of records can change without
changes elsewhere. There are a million records, so each holds only its own data. Data that many records share are in
`shared_parts`. The MCPs' loads at decisions are kept beside the sessions (`SessionTable.loads_of`). Numbers are in pages
(`record_pages`). Data that few records need are in `session_extras`. An object takes 32 bytes, and 8 bytes for each slot, in
steps of 16. A session has 8 slots, a subflow 6.

So a session with one subflow takes 96 and 80 bytes, and 24 and 29 in pages. Its flow's key takes 48, its token 32. The indexes take 28
for each of these two, and 8 for its number (`indexes`). Its loads take 3.
"""

from zlib import crc32

from steering.core.selection.quotas import QuotaKeys, quota_keys
from steering.core.sessions.flow_key import NO_FLOW, FlowKey, FlowParts, OriginOf, parts_of, split
from steering.core.sessions.record_pages import (
    IS_HEARD,
    NO_ISN,
    UNHEARD,
    WATCH,
    PagedSubflow,
    pages_of_sessions,
    pages_of_subflows,
)
from steering.core.sessions.session_facts import SessionFacts
from steering.core.sessions.shared_parts import (
    Returns,
    course_of,
    courses,
    onset_of,
    onsets,
)
from steering.model.decision import Ruling
from steering.model.ids import (
    NO_PORT,
    NO_TOKEN,
    NO_WAYPOINT,
    DatapathId,
    McpId,
    PortNumber,
    WaypointId,
)
from steering.model.network import PortRole
from steering.model.preference import SubflowWish
from steering.model.session import (
    PENDING,
    PLAIN,
    SESSION_COOKIE,
    Entry,
    EntryKind,
    SessionState,
    Watch,
    pack_cookie,
)

# Here and in other modules, members of enumerations that every handshake reads have names of their own. In Python 3.11 reading
# a member from its class takes three times as long.
INITIAL, RETURN = EntryKind.INITIAL, EntryKind.RETURN
SYN_PINNED = SessionState.SYN_PINNED
NOTHING, COPY, PUNT = Watch.NOTHING, Watch.COPY, Watch.PUNT

TAKEN_UP_WITHIN = 5.0  # seconds from the SYN after which a join without progress counts as given up

# Longest frame, in bytes, of a reset, with some room for one MPTCP option (RFC 8684 3.6). A third ACK has at least timestamps,
# and is 2 bytes longer than this.
RESET_FRAME4, RESET_FRAME6 = 64, 84
RESETS = 64  # most resets that a host sends to repeated SYN/ACKs


def more_than_resets(packets: int, size: int, ipv4: bool) -> bool:
    """Whether a counter of `packets` and `size` (bytes of frames in all) shows more than resets, by which a host refuses a
    SYN/ACK that it did not ask for. A third ACK with MP_CAPABLE or timestamps is more."""
    return size > packets * (RESET_FRAME4 if ipv4 else RESET_FRAME6) or packets > RESETS


_new = tuple.__new__
_RETURN = EntryKind.RETURN << 48  # the difference between a cookie of kind RETURN and one of kind INITIAL


class Subflow(PagedSubflow):
    """One subflow: its flow, where it comes in and where it is led."""

    __slots__ = ("after", "key", "session")

    def __init__(
        self, session: "Session", kind: EntryKind, key: FlowKey, dpid: DatapathId, role: int, waypoint: WaypointId, isn: int,
        now: float, port: PortNumber = NO_PORT, address_id: int = 0, backup: bool = False,
    ) -> None:  # fmt: skip
        page = self._page = pages_of_subflows.page
        free = page.free
        place = self._place = free.pop()
        if not free:
            pages_of_subflows.turn()
        if isn < 0:
            page.marks[place] |= NO_ISN
        else:
            page.isn[place] = isn
        page.active[place] = now
        self.session = session
        # The next subflow of the same session. Only Session changes it.
        self.after: Subflow | None = None
        self.key = key
        parts = (dpid, port, role, waypoint, kind, address_id, backup)
        self.course = courses.get(parts) or course_of(parts)

    @property
    def flow(self) -> FlowParts:
        """The parts of its flow key. The host's end is the source."""
        return parts_of(self.key)

    # ---- changes ----------------------------------------------------------------------------------

    def enters_at(self, dpid: DatapathId, port: PortNumber, role: int) -> None:
        """The subflow's segments come in at this port from now on. The caller writes the entry."""
        self.course = course_of(self.course._replace(dpid=dpid, port=port, role=role))

    def lead_to(self, waypoint: WaypointId) -> None:
        """The subflow has an entry to this waypoint from now on. The caller writes the entry."""
        self.course = course_of(self.course._replace(waypoint=waypoint))

    def tell(self, wish: SubflowWish) -> None:
        """Remember the last wish that was sent to the subflow's MCP."""
        if wish != self.wish:
            self._more().wish = wish

    def count_packets(self, packets: int, now: float) -> None:
        """Take the packet counter of the subflow's entry. If it has changed, the subflow and its session are active."""
        page, place = self._page, self._place
        if packets == 0 and self.progress < UNHEARD and page.active[place] + TAKEN_UP_WITHIN <= now:
            self.progress = UNHEARD
        elif packets != page.packets[place]:
            page.marks[place] |= IS_HEARD
            page.packets[place] = packets
            page.active[place] = now
            self.session.touch(now)

    def shows_host(self, packets: int, size: int) -> bool:
        """Whether counters of its entry show that the host has sent more than its SYN and resets."""
        return more_than_resets(packets, size, len(self.key) == 12)


class Session(SessionFacts):
    """One M-session (D-2.1), or the plain TCP connection to which it fell back."""

    __slots__ = ("mcp", "oldest", "ruling", "state")

    def __init__(
        self, number: int, state: SessionState, mcp: McpId, ruling: Ruling | None, now: float, entrance: WaypointId = NO_WAYPOINT,
        first: FlowKey = NO_FLOW, version: int = 1, returns: Returns = (), dscp: int = 0,
        reverse: bool = False, unit: str | None = None,
    ) -> None:  # fmt: skip
        page = self._page = pages_of_sessions.page
        free = page.free
        place = self._place = free.pop()
        if not free:
            pages_of_sessions.turn()
        page.number[place] = number
        page.created[place] = page.active[place] = now
        self.state = state  # only sessions.transitions changes it
        self.mcp = mcp
        self.token = NO_TOKEN
        self.ruling = ruling
        # Subflows are a linked list (Subflow.after), because a Python list of one, the usual case, takes half as much memory
        # as the session. If there is none, as when the session is over: the key of the initial subflow, which else is
        # that of the oldest one, or in `extras`. Only this class changes it.
        self.oldest: Subflow | FlowKey = first
        parts = (entrance, version, dscp, reverse, unit, returns)
        self.onset = onsets.get(parts) or onset_of(parts)

    @property
    def has_counter(self) -> bool:
        """Whether an entry of the session counts the segments of the host that opened it."""
        onset = self.onset
        if onset.unit is not None or onset.reverse:
            return False
        first = self.oldest
        return not isinstance(first, bytes) and first.course.waypoint != NO_WAYPOINT

    def quota_keys(self, origin_of: OriginOf) -> QuotaKeys | None:
        """The keys towards which the session counts in the ledger. None for a session that was read back
        (sessions.found_holders), and for a session of proactive insertion."""
        ruling, onset = self.ruling, self.onset
        if ruling is None or onset.unit is not None:
            return None
        _, client, server, _, port = split(self.first)
        if onset.reverse:
            client, server = server, client
        who = ruling.counted or origin_of(client)
        return quota_keys(who, ruling.application, server, port, self.mcp)

    # ---- its subflows -----------------------------------------------------------------------------

    @property
    def first(self) -> FlowKey:
        """The flow key of the initial subflow, NO_FLOW if it is not known. Server-leg entries match the reversed flow."""
        oldest = self.oldest
        if isinstance(oldest, bytes):
            return oldest
        extras = self._page.extras
        if extras:
            found = extras.get(self._place)
            if found is not None and found.first is not None:
                return found.first
        return oldest.key

    @property
    def flow(self) -> FlowParts:
        """The parts of the initial subflow's key. The source is the host's end, or the server's if `reverse`."""
        return parts_of(self.first)

    def _begin_with(self, oldest: Subflow | FlowKey, first: FlowKey) -> None:
        """Set the oldest subflow and the key of the initial one. `oldest`: `first`, if there is no subflow."""
        self.oldest = oldest
        other = None if isinstance(oldest, bytes) or oldest.key == first else first
        if other is not None or self.extras is not None:
            self._more().first = other

    def _know_first(self, key: FlowKey) -> None:
        """Set the key of the initial subflow, which may be another than the oldest one."""
        oldest = self.oldest
        self._begin_with(key if isinstance(oldest, bytes) else oldest, key)

    @property
    def subflows(self) -> tuple[Subflow, ...]:
        """The subflows in the order in which they came."""
        one = self.oldest
        if isinstance(one, bytes):
            return ()
        found = [one]
        while one.after is not None:
            one = one.after
            found.append(one)
        return tuple(found)

    def is_at(self, dpid: DatapathId) -> bool:
        """Whether the session may have entries in a switch."""
        one = None if isinstance(self.oldest, bytes) else self.oldest
        while one is not None:
            if one.course.dpid == dpid:
                return True
            one = one.after
        return any(place == dpid for place, _ in self.onset.returns)

    @property
    def subflow_count(self) -> int:
        """The number of subflows."""
        return len(self.subflows)

    def add(self, subflow: Subflow) -> bool:
        """Add a subflow. Returns whether the session has several now."""
        last = self.oldest
        if isinstance(last, bytes):
            self.oldest = subflow
            if last != subflow.key:
                self._more().first = last
            return False
        while last.after is not None:
            last = last.after
        last.after = subflow
        return True

    def remove(self, subflow: Subflow) -> bool:
        """Remove a subflow. Returns whether the session has others."""
        before = self.oldest
        if before is subflow:
            first = self.first
            self._begin_with(first if subflow.after is None else subflow.after, first)
        elif not isinstance(before, bytes):
            while before.after is not None and before.after is not subflow:
                before = before.after
            if before.after is subflow:
                before.after = subflow.after
        subflow.after = None
        return not isinstance(self.oldest, bytes)

    def let_go(self) -> None:
        """Break the reference cycle of a session that is over and its subflows (garbage_collector)."""
        first = self.first
        self._begin_with(first, first)

    def found_first(self, key: FlowKey, reverse: bool) -> bool:
        """The session's initial subflow was read back from a switch. `reverse`: at a gateway. Returns True."""
        self._know_first(key)
        self._found(reverse or self.reverse, self.returns)
        return True

    def found_return(self, place: tuple[DatapathId, WaypointId], key: FlowKey, reverse: bool) -> bool:
        """A server-leg entry of the session was read back. Returns False if the session has another initial subflow than
        `key`."""
        if not self.first:
            self._know_first(key)
        if self.first != key:
            return False
        returns = self.returns if place in self.returns else (*self.returns, place)
        self._found(reverse or self.reverse, returns)
        return True

    # ---- its entries ------------------------------------------------------------------------------

    def begin_ending(self) -> None:
        """The session is being aborted: its entries send all segments to the controller and forward none. The caller writes
        the entries."""
        self._more().ending = True
        for subflow in self.subflows:
            subflow.watch = PUNT

    def cookie(self, kind: EntryKind) -> int:
        """The cookie of the session's entries of one kind, by the session's present state."""
        if self.token >= 0:  # as pack_cookie, without a call for every SYN/ACK and join
            return SESSION_COOKIE | kind << 48 | self.mcp << 32 | self.token
        # A nearly unique number, because a switch finds entries with an exact cookie without examining all others.
        flag = PENDING if self.state is SYN_PINNED else PLAIN
        return pack_cookie(kind, flag, self.mcp, crc32(self.first))

    def entry(self, subflow: Subflow) -> Entry | None:
        """The uplink entry of a subflow, None if the subflow needs none."""
        dpid, _, role, waypoint, kind, _, _ = subflow.course
        if not waypoint:
            return None
        family, src, dst, sport, dport = split(subflow.key)
        return _new(Entry, (
            dpid, role, family, src, dst, sport, dport, waypoint, 0, self.cookie(kind), subflow._page.marks[subflow._place] & WATCH,
        ))  # fmt: skip

    def return_entries(self, role: int) -> list[Entry]:
        """The entries of the server leg: they match the reversed 5-tuple of the initial subflow at the gateways."""
        if not self.returns:
            return []
        family, src, dst, sport, dport = split(self.first)
        cookie = self.cookie(RETURN)
        watch = PUNT if self.ending else NOTHING
        if self.reverse:
            role = PortRole.ACCESS
            # The host's SYN/ACK has the key for the token.
            watch = COPY if self.state is SYN_PINNED else watch
        return [
            Entry(dpid, role, family, dst, src, dport, sport, waypoint, 0, cookie, watch)
            for dpid, waypoint in self.returns
        ]

    def entries(self, gateway_role: int) -> tuple[Entry, ...]:
        """All flow entries of the session. Those of the server leg come first, because they have to exist first."""
        only, extras = self.oldest, self._page.extras
        if (
            not isinstance(only, bytes)
            and only.after is None
            and not self.onset.reverse
            and not (extras and self._place in extras)
            and only.course.waypoint
        ):
            return self._first_entries(only, gateway_role)
        uplink = (self.entry(subflow) for subflow in self.subflows)
        return (*self.return_entries(gateway_role), *(entry for entry in uplink if entry is not None))

    def _first_entries(self, subflow: Subflow, gateway_role: int) -> tuple[Entry, ...]:
        """The same as `entries` for a session with one subflow that has an entry, the usual case at the beginning. It is
        faster."""
        dpid, _, role, waypoint, _, _, _ = subflow.course
        family, src, dst, sport, dport = split(subflow.key)
        cookie = self.cookie(INITIAL)
        uplink = _new(Entry, (
            dpid, role, family, src, dst, sport, dport, waypoint, 0, cookie, subflow._page.marks[subflow._place] & WATCH,
        ))  # fmt: skip
        returned = cookie | _RETURN
        returns = self.onset.returns
        if len(returns) == 1:  # the usual case, without a loop
            ((dpid, waypoint),) = returns
            return (
                _new(Entry, (dpid, gateway_role, family, dst, src, dport, sport, waypoint, 0, returned, 0)),
                uplink,
            )
        return (
            *(
                _new(Entry, (dpid, gateway_role, family, dst, src, dport, sport, waypoint, 0, returned, 0))
                for dpid, waypoint in returns
            ),
            uplink,
        )
