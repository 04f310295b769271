"""Decides which subflow of a session gives its slot to a new one: a subflow whose other end is gone.

A WLAN that comes and goes leaves a subflow behind each time. Often nobody closes such a subflow, because the host is out of reach or has
another address. But a silent subflow may also be a live backup: without its entry, its segments would bypass the MCP. So slots are taken only
by a join that finds no free one. Sure signs that a subflow is over come before signs by silence, and no live subflow loses its slot.

An MCP may close its half of a connection while the host goes on sending (RFC 9293 3.6). Counters are read only once in a sweep, so the time
since the MCP's FIN alone does not show whether the host still sends.

Before a silent host counts as gone, it is asked for by ARP or ND. This also holds for a host that is known nowhere, because its port may have
had no carrier for a moment. Meanwhile the join gets no answer, and its host sends it again a second later.
"""

from collections.abc import Callable
from enum import IntEnum
from math import inf

from steering.core.network.address_claims import PATIENCE
from steering.core.network.neighbours import Neighbours
from steering.core.outputs import Output
from steering.core.sessions.counted_switches import CountedSwitches
from steering.core.sessions.fin_pair import BOTH_FINS, MCP_FIN
from steering.core.sessions.flow_key import FlowKey, server_of, source_of
from steering.core.sessions.record_pages import UNANSWERED, UNHEARD
from steering.core.sessions.records import TAKEN_UP_WITHIN, Session, Subflow
from steering.core.sessions.teardown import Teardown
from steering.model.ids import NO_WAYPOINT
from steering.model.network import PortRole

# A subflow is silent if nothing was counted for so many sweeps, and the last round has read its switch.
SILENT_SWEEPS = 5
ASKED_AGAIN = (
    10.0  # seconds after which a host that is known nowhere is asked for again: it may have come meanwhile
)
ASKED = 1_024  # most hosts whose last question is remembered; the oldest are forgotten first


class LossReason(IntEnum):
    """Why a subflow may lose its slot. The subflow with the smallest reason loses it first, and of several, the one that was silent for
    longest."""

    CLOSED = 0  # both ends closed it, or its MCP reset it
    CLOSED_BY_MCP = (
        1  # its MCP closed it, and a round of sweeps found no segment of the host, which may be out of reach
    )
    NOT_TAKEN_UP = 2  # a join that its MCP did not answer, or that its host did not go on with
    NO_CARRIER = 3  # its port has no carrier, or no port of its access network has
    JOINED_AGAIN = 4  # it is quiet, and its host has begun another one with the same address id and addresses
    HOST_GONE = (
        5  # its host's address is known at no port, nobody answers for it, and nothing came from there
    )
    IDLE = 6  # silent for `timers.idle`


class LostSubflows:
    """Frees slots. `has_carrier`: whether the port that a subflow comes in at has carrier. `sees_all`: whether the switches of
    all subflows are this controller's, so that it knows which of them are silent and where hosts are. `answers_lost`: whether
    copies of answers to a subflow's access network are missing since its SYN, so that its own may be one of them."""

    def __init__(
        self,
        teardown: Teardown,
        neighbours: Neighbours,
        counted: CountedSwitches,
        has_carrier: Callable[[Subflow], bool],
        sees_all: Callable[[], bool],
        answers_lost: Callable[[Subflow], bool],
    ) -> None:
        self._teardown = teardown
        self._neighbours = neighbours
        self._counted = counted
        self._has_carrier = has_carrier
        self._sees_all = sees_all
        self._answers_lost = answers_lost
        self._asked: dict[bytes, float] = {}  # address -> when

    def free_slot(self, session: Session, joining: FlowKey, address_id: int, now: float) -> list[Output]:
        """A join finds no free slot in its session: end one subflow that is over. Nothing happens if all subflows live, or if there is only
        one."""
        subflows = session.subflows
        if len(subflows) < 2:
            return []
        found: list[tuple[LossReason, float, int, Subflow]] = []
        for subflow in subflows:
            why = self._why(subflow, subflows, joining, address_id, now)
            if why is not None:
                found.append((why, subflow.active, len(found), subflow))
        return self._teardown.end_subflow(min(found)[-1], now) if found else []

    def ask(self, session: Session, joining: FlowKey, now: float) -> list[Output]:
        """No slot could be freed: ask for the hosts whose subflows are quiet, unless they were asked for a moment ago. Hosts that do not
        answer are known nowhere when the join comes again."""
        outputs: list[Output] = []
        subflows = session.subflows
        for subflow in subflows:
            address = source_of(subflow.key)
            asked_at = self._asked.get(address, -inf)
            rests = ASKED_AGAIN if self._neighbours.port_of(address) is None else self._patience
            if asked_at + rests > now or address == source_of(joining):
                continue
            if subflow.role != PortRole.ACCESS or not self._is_quiet_from(address, subflows, now):
                continue
            if asked := self._neighbours.doubt(address, now):
                self._asked.pop(address, None)
                self._asked[address] = now
                if len(self._asked) > ASKED:
                    del self._asked[next(iter(self._asked))]
                outputs += asked
        return outputs

    @property
    def _patience(self) -> float:
        return SILENT_SWEEPS * self._teardown.timers.sweep

    def _why(
        self, one: Subflow, all_: tuple[Subflow, ...], joining: FlowKey, address_id: int, now: float
    ) -> LossReason | None:
        """Why a subflow may lose its slot; None if it may not."""
        silent = now - one.active
        if one.closed == BOTH_FINS:
            return LossReason.CLOSED
        is_counted = one.waypoint != NO_WAYPOINT
        if self._closed_by_mcp(one, now) and is_counted and self._counted.found_silent(one):
            return LossReason.CLOSED_BY_MCP
        # The controller sees no copy of an answer to a gateway. There only a sweep shows whether the join was answered.
        unanswered = one.progress == UNANSWERED and one.role == PortRole.ACCESS
        if one.progress == UNHEARD or (
            unanswered and silent >= TAKEN_UP_WITHIN and not self._answers_lost(one)
        ):
            return LossReason.NOT_TAKEN_UP
        if not self._has_carrier(one):
            return LossReason.NO_CARRIER
        if self._joined_again(one, all_, joining, address_id, now):
            return LossReason.JOINED_AGAIN
        address = source_of(one.key)
        if one.role == PortRole.ACCESS and self._is_quiet_from(address, all_, now):
            asked = PATIENCE <= now - self._asked.get(address, -inf) <= ASKED_AGAIN
            if asked and self._neighbours.port_of(address) is None and address != source_of(joining):
                return LossReason.HOST_GONE
        return LossReason.IDLE if silent >= self._teardown.timers.idle else None

    def _joined_again(
        self, one: Subflow, all_: tuple[Subflow, ...], joining: FlowKey, address_id: int, now: float
    ) -> bool:
        """A host has one subflow between two addresses, unless it is seen to have several (RFC 8684 3.2: the id names its own).
        Behind a gateway its address is that of a NAT, so there the id alone counts."""
        quiet = self._quiet(all_, now)
        alike = [
            other
            for other in all_
            if other.address_id == address_id
            and other.role == one.role
            and server_of(other.key) == server_of(joining)
            and (other.role == PortRole.GATEWAY or source_of(other.key) == source_of(joining))
        ]
        return one in alike and all(other in quiet for other in alike)

    def _is_quiet_from(self, address: bytes, all_: tuple[Subflow, ...], now: float) -> bool:
        """Whether all subflows of a session from an address are quiet. Only a controller that sees all switches knows
        where hosts are."""
        quiet = self._quiet(all_, now)
        return self._sees_all() and all(one in quiet for one in all_ if source_of(one.key) == address)

    def _quiet(self, all_: tuple[Subflow, ...], now: float) -> list[Subflow]:
        """The subflows that their MCPs have closed, or of which nothing was counted for SILENT_SWEEPS."""
        return [one for one in all_ if self._closed_by_mcp(one, now) or self._is_silent(one, now)]

    def _is_silent(self, one: Subflow, now: float) -> bool:
        # A subflow to its MCP's own address has no entry that counts segments.
        if one.waypoint == NO_WAYPOINT or not self._sees_all():
            return False
        return one.active <= now - self._patience and self._counted.found_silent(one)

    def _closed_by_mcp(self, one: Subflow, now: float) -> bool:
        """Whether the MCP of a subflow has closed it a while ago. The host may still send."""
        return bool(one.closed & MCP_FIN) and now - one.active >= self._teardown.timers.fin_linger
