"""What is known of one M-session and of each of its subflows: the records.

Other packages read a record's fields and change them by its methods only. So how records are laid out can change here
without a change elsewhere. There are a million of them, so each holds only what is its own: what is the same for many
stands in `shared_parts` once, the MCPs' loads of decisions stand there in windows, small numbers of a subflow are one number,
what few sessions or subflows have is made when one does, and what follows from other fields is computed. CPython gives an object 32
bytes and 8 for each slot, in steps of 16: a session has 12 slots, a subflow 10.
"""

from zlib import crc32

from steering.core.selection.quotas import QuotaKeys, quota_keys
from steering.core.sessions.fin_pair import BOTH_FINS, Fin, FinPair
from steering.core.sessions.flow_key import NO_FLOW, FlowKey, FlowParts, Origin, parts_of, split
from steering.core.sessions.session_extras import (
    PROGRESS,
    WATCH,
    ExtraParts,
    MarkedParts,
    SessionExtras,
    SubflowExtras,
)
from steering.core.sessions.session_keys import Secrets
from steering.core.sessions.shared_parts import (
    LoadWindow,
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
    Token,
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

# Members of enumerations stand here by names of their own wherever every handshake asks for them: Python 3.11 takes
# three times as long to look one up in its class.
INITIAL, RETURN = EntryKind.INITIAL, EntryKind.RETURN
SYN_PINNED = SessionState.SYN_PINNED
NOTHING, COPY, PUNT = Watch.NOTHING, Watch.COPY, Watch.PUNT

# How far a join has come, as far as the network sees it.
UNANSWERED = 0  # its SYN alone
ANSWERED = 1  # its MCP answered
UNHEARD = 2  # a sweep found, some seconds after its SYN, that its host has sent nothing more
HEARD = 3  # its host sent more than its SYN; or nothing is known of its beginning
TAKEN_UP_WITHIN = 5.0  # seconds from its SYN

# Bytes of a frame up to which a segment may be a bare reset, with some room for one MPTCP option (RFC 8684 3.6). A third
# ACK has timestamps at least, and is 2 bytes longer than this.
RESET_FRAME4, RESET_FRAME6 = 64, 84
RESETS = 64  # that a host sends to repeated SYN/ACKs, at most


def more_than_resets(packets: int, size: int, ipv4: bool) -> bool:
    """Whether so many segments with so many bytes in all, frames with their headers, are more than resets by which a host
    refuses a SYN/ACK that it did not ask for. A third ACK with MP_CAPABLE or timestamps is."""
    return size > packets * (RESET_FRAME4 if ipv4 else RESET_FRAME6) or packets > RESETS


_new = tuple.__new__
_RETURN = EntryKind.RETURN << 48  # what a cookie of this kind has over one of kind INITIAL


class Subflow(MarkedParts):
    """One subflow as the network sees it: a flow from a host, where it enters and where it is led."""

    __slots__ = (
        "session", "after", "key", "isn", "packets", "bytes", "active",
    )  # fmt: skip

    def __init__(
        self, session: "Session", kind: EntryKind, key: FlowKey, dpid: DatapathId, role: int, waypoint: WaypointId, isn: int,
        now: float, port: PortNumber = NO_PORT, address_id: int = 0, backup: bool = False,
    ) -> None:  # fmt: skip
        self.session = session
        self.after: Subflow | None = (
            None  # the one that came after it, of the same session; Session alone changes it
        )
        self.key = key
        parts = (dpid, port, role, waypoint, kind, address_id, backup)
        self.course = courses.get(parts) or course_of(parts)
        self.isn = isn
        self.packets = 0
        self.bytes = 0
        self.active = now  # when something of this subflow was seen last
        self._marks = HEARD << PROGRESS  # of a join its handler says where it begins
        self._extras: SubflowExtras | None = None

    @property
    def flow(self) -> FlowParts:
        """Its flow key taken apart: the host's end is the source."""
        return parts_of(self.key)

    # ---- what becomes of it -----------------------------------------------------------------------

    def enters_at(self, dpid: DatapathId, port: PortNumber, role: int) -> None:
        """The subflow's segments come in here from now on. The caller writes the entry."""
        self.course = course_of(self.course._replace(dpid=dpid, port=port, role=role))

    def renumber(self, isn: int) -> None:
        """Set the initial sequence number of the subflow's SYN. A switch cannot tell it when entries are read back."""
        self.isn = isn

    def lead_to(self, waypoint: WaypointId) -> None:
        """The subflow has an entry of its own from now on, towards this waypoint. The caller writes the entry."""
        self.course = course_of(self.course._replace(waypoint=waypoint))

    def tell(self, wish: SubflowWish) -> None:
        """Remember the wish that the subflow's MCP was told last."""
        if wish != self.wish:
            self._more().wish = wish

    def found(self, packets: int, size: int, watch: int) -> None:
        """Take over what the subflow's entry had counted and what it shows, as read back from a switch."""
        self.packets, self.bytes, self.watch = packets, size, watch

    def count_packets(self, packets: int, now: float) -> None:
        """Its entry has counted so many packets: if more or fewer than before, the subflow is alive, and its session."""
        if packets == 0 and self.progress < UNHEARD and self.active + TAKEN_UP_WITHIN <= now:
            self.progress = UNHEARD
        elif packets != self.packets:
            self.progress = HEARD
            self.packets = packets
            self.active = self.session.active = now

    def count_bytes(self, size: int) -> int:
        """The subflow's entry has counted so many bytes. Returns how many since the last count; a smaller number
        than before is a new entry's."""
        moved = size - self.bytes if size >= self.bytes else size
        self.bytes = size
        return moved

    def shows_host(self, packets: int, size: int) -> bool:
        """Whether so many segments with so many bytes in all show that the host goes on after its SYN."""
        return more_than_resets(packets, size, len(self.key) == 12)

    def came_as_join(self) -> None:
        """Its SYN was seen, and nothing more yet."""
        self._marks = self._marks & WATCH | UNANSWERED << PROGRESS

    def was_answered(self) -> None:
        """Its MCP sent a SYN/ACK."""
        if self.progress == UNANSWERED:
            self.progress = ANSWERED

    def was_heard(self) -> None:
        """Its host sent more than a SYN."""
        self.progress = HEARD

    def needs_no_slot(self, silent_since: float, now: float) -> bool:
        """Whether a new subflow may take this one's slot: both ends closed it, or it was silent since this time, or
        nobody took up the join that it is. An answer to a gateway is not shown, so only a sweep tells there."""
        if self.closed == BOTH_FINS or self.active <= silent_since or self.progress == UNHEARD:
            return True
        shown = self.progress == UNANSWERED and self.role == PortRole.ACCESS
        return shown and self.active + TAKEN_UP_WITHIN <= now


class Session(ExtraParts):
    """One M-session (D-2.1), or the plain TCP connection that one fell back to."""

    __slots__ = (
        "id", "state", "mcp", "token", "ruling", "created", "active", "first", "_loads", "_oldest",
    )  # fmt: skip

    def __init__(
        self, number: int, state: SessionState, mcp: McpId, ruling: Ruling | None, now: float, edge: WaypointId = NO_WAYPOINT,
        first: FlowKey = NO_FLOW, version: int = 1, returns: Returns = (), dscp: int = 0,
        reverse: bool = False, unit: str | None = None, loads: LoadWindow | None = None,
    ) -> None:  # fmt: skip
        self.id = number
        self.state = state  # sessions.transitions alone changes it
        self.mcp = mcp
        self.token = NO_TOKEN
        self.ruling = ruling
        self.created = now
        self.active = now  # when something of any of its subflows was seen last
        self.first = first  # flow key of the initial subflow: what the server leg's entries match, reversed
        parts = (edge, version, dscp, reverse, unit, returns)
        self.onset = onsets.get(parts) or onset_of(parts)
        self._loads = loads
        # Each subflow refers to the one that came after it: a list of one, as nearly all would be, is half as large as
        # the session.
        self._oldest: Subflow | None = None
        self.extras: SessionExtras | None = None

    @property
    def flow(self) -> FlowParts:
        """The initial subflow's key taken apart: the host's end is the source, or the server's where `reverse`."""
        return parts_of(self.first)

    @property
    def has_counter(self) -> bool:
        """Whether an entry of its own counts what the host that opened it sends."""
        onset = self.onset
        if onset.unit is not None or onset.reverse:
            return False
        first = self._oldest
        return first is not None and first.course.waypoint != NO_WAYPOINT

    @property
    def loads(self) -> tuple[int, ...]:
        """Active sessions of each MCP when the session was ruled on, in the order of its ruling's candidates."""
        return () if self._loads is None else self._loads.row(self.id)

    def quota_keys(self, origin_of: Origin) -> QuotaKeys | None:
        """What it counts towards in the ledger; None of one that was read back (sessions.found_holders), or
        that entries set ahead lead."""
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
    def subflows(self) -> tuple[Subflow, ...]:
        """In the order in which they came."""
        found, one = [], self._oldest
        while one is not None:
            found.append(one)
            one = one.after
        return tuple(found)

    def is_at(self, dpid: DatapathId) -> bool:
        """Whether some entry of it may stand in a switch."""
        one = self._oldest
        while one is not None:
            if one.course.dpid == dpid:
                return True
            one = one.after
        return any(place == dpid for place, _ in self.onset.returns)

    @property
    def subflow_count(self) -> int:
        """How many it has."""
        count, one = 0, self._oldest
        while one is not None:
            count += 1
            one = one.after
        return count

    def add(self, subflow: Subflow) -> bool:
        """The session has one more subflow. True if it has several by that."""
        last = self._oldest
        if last is None:
            self._oldest = subflow
            return False
        while last.after is not None:
            last = last.after
        last.after = subflow
        return True

    def remove(self, subflow: Subflow) -> bool:
        """The session has lost a subflow. True if it has others."""
        if self._oldest is subflow:
            self._oldest = subflow.after
        else:
            before = self._oldest
            while before is not None and before.after is not subflow:
                before = before.after
            if before is not None:
                before.after = subflow.after
        subflow.after = None
        return self._oldest is not None

    def let_go(self) -> None:
        """The session is over, and with it the circle that it and its subflows are (garbage_collector)."""
        self._oldest = None

    # ---- what becomes of it -----------------------------------------------------------------------

    def touch(self, now: float) -> None:
        """A segment of the session was seen."""
        self.active = now

    def return_by(self, places: Returns) -> None:
        """The server leg has entries of its own at these places from now on. The caller writes them."""
        self.onset = onset_of(self.onset._replace(returns=places))

    def speaks(self, version: int) -> None:
        """The version of MPTCP that the session was answered in."""
        if version != self.onset.version:
            self.onset = onset_of(self.onset._replace(version=version))

    def keep(self, secrets: Secrets | None) -> None:
        """Its keys are kept from now on; None: no longer."""
        if secrets is not None or self.extras is not None:
            self._more().secrets = secrets

    def known_by_host(self, token: Token) -> None:
        """The token of the host's key is known."""
        self._more().host_token = token

    def found_first(self, key: FlowKey, reverse: bool) -> bool:
        """The session's initial subflow was read back from a switch; `reverse`: at a gateway. True."""
        self.first = key
        self._found(reverse or self.reverse, self.returns)
        return True

    def found_return(self, place: tuple[DatapathId, WaypointId], key: FlowKey, reverse: bool) -> bool:
        """A server-leg entry of the session was read back. False if the entry is of another initial subflow than
        `key`."""
        if not self.first:
            self.first = key
        if self.first != key:
            return False
        returns = self.returns if place in self.returns else (*self.returns, place)
        self._found(reverse or self.reverse, returns)
        return True

    def _found(self, reverse: bool, returns: Returns) -> None:
        self.onset = onset_of(self.onset._replace(reverse=reverse, returns=returns))

    def saw_leg_fin(self, side: int, one: Fin) -> bool:
        """A FIN of one end of the server leg was seen; whether it closes the leg, with the other end's."""
        extras = self._more()
        if extras.leg_fins is None:
            extras.leg_fins = FinPair()
        return extras.leg_fins.closes(side, one)

    def close_server_leg(self, side: int) -> bool:
        """One end closed the server leg. True if both ends have."""
        extras = self._more()
        extras.server_closed |= side
        return extras.server_closed == BOTH_FINS

    def idles_at(self, access: str) -> None:
        """Where the session counts once it is idle: the name of its host's access network."""
        self._more().idle_at = access

    def begin_ending(self) -> None:
        """From now on entries show what they match, and lead it nowhere. The caller writes them."""
        self._more().ending = True
        for subflow in self.subflows:
            subflow.watch = PUNT

    def keep_until(self, deadline: float) -> None:
        """Until when the record is kept once the session only lingers."""
        self._more().deadline = deadline

    def belongs_to_its_ends(self, token: Token, deadline: float) -> None:
        """Host and server speak MPTCP with each other. The record only tells of that: joins with its token go their
        natural way."""
        self.token = token
        self._more().deadline = deadline

    # ---- its entries ------------------------------------------------------------------------------

    def cookie(self, kind: EntryKind) -> int:
        """The cookie of the session's entries of one kind, in the session's state of now."""
        if self.token >= 0:  # pack_cookie without its call, which every answer and every join would make
            return SESSION_COOKIE | kind << 48 | self.mcp << 32 | self.token
        # A number nearly of its own: a switch finds the entries with one exact cookie without looking at all others.
        flag = PENDING if self.state is SYN_PINNED else PLAIN
        return pack_cookie(kind, flag, self.mcp, crc32(self.first))

    def entry(self, subflow: Subflow) -> Entry | None:
        """The uplink entry of a subflow; None where the subflow needs none."""
        dpid, _, role, waypoint, kind, _, _ = subflow.course
        if not waypoint:
            return None
        family, src, dst, sport, dport = split(subflow.key)
        return _new(Entry, (
            dpid, role, family, src, dst, sport, dport, waypoint, 0, self.cookie(kind), subflow._marks & WATCH,
        ))  # fmt: skip

    def return_entries(self, role: int) -> list[Entry]:
        """The server leg's entries: the initial subflow's 5-tuple reversed, at the gateways."""
        if not self.returns:
            return []
        family, src, dst, sport, dport = split(self.first)
        cookie = self.cookie(RETURN)
        watch = PUNT if self.ending else NOTHING
        if self.reverse:
            role = PortRole.ACCESS
            # The host's SYN/ACK tells the token.
            watch = COPY if self.state is SYN_PINNED else watch
        return [
            Entry(dpid, role, family, dst, src, dport, sport, waypoint, 0, cookie, watch)
            for dpid, waypoint in self.returns
        ]

    def entries(self, gateway_role: int) -> tuple[Entry, ...]:
        """All flow entries of the session. Those of the server leg come first, because they are downstream."""
        only, extras = self._oldest, self.extras
        if (
            only is not None
            and only.after is None
            and only.key is self.first
            and not self.onset.reverse
            and (extras is None or not extras.ending)
            and only.course.waypoint
        ):
            return self._first_entries(only, gateway_role)
        uplink = (self.entry(subflow) for subflow in self.subflows)
        return (*self.return_entries(gateway_role), *(entry for entry in uplink if entry is not None))

    def _first_entries(self, subflow: Subflow, gateway_role: int) -> tuple[Entry, ...]:
        """The same entries for a session of one subflow that is led, made in one pass: every session begins with
        one."""
        dpid, _, role, waypoint, _, _, _ = subflow.course
        family, src, dst, sport, dport = split(self.first)
        cookie = self.cookie(INITIAL)
        uplink = _new(Entry, (
            dpid, role, family, src, dst, sport, dport, waypoint, 0, cookie, subflow._marks & WATCH,
        ))  # fmt: skip
        returned = cookie | _RETURN
        returns = self.onset.returns
        if len(returns) == 1:  # without a loop: nearly all have one
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
