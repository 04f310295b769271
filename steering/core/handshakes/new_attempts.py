"""SYNs on the 5-tuple of a live subflow: nothing changes until the subflow's MCP answers them (RFC 5961 section 4).

A SYN proves nothing, because a neighbour can send it with a host's address. Therefore the pin stays, and the SYN goes to the
MCP of the pin. The kernel of the MCP knows whether the old connection lives:

* If the old connection lives, the MCP answers with an ACK. If the host has really begun anew, it resets the old connection
  and repeats its SYN.
* If the old connection is gone, the MCP answers with a SYN/ACK that acknowledges this SYN. Then the old subflow is over, and
  the new connection takes its place, at the same MCP. The MCP's report of another session on this flow shows the same, if no
  copy of the SYN/ACK came.

If a server opens a connection anew, the connection keeps the pin and the record of the old one, because the controller sees
no SYN/ACK from an MCP to a server.
"""

from typing import NamedTuple

from steering.core.counters import Counters
from steering.core.handshakes.mp_capable import FirstSyns
from steering.core.handshakes.mp_join import JoinHandler
from steering.core.inputs import SynSeen
from steering.core.network.site_index import Attachment
from steering.core.outputs import Output, RemoveEntries, Steer, naturally, steered
from steering.core.proactive.units import ProactiveInsertion
from steering.core.sessions.abort import AbortedSessions
from steering.core.sessions.fin_pair import BOTH_FINS
from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.records import Subflow
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.core.sessions.token_owners import narrow
from steering.model.ids import DatapathId, McpId, PortNumber
from steering.model.network import PortRole
from steering.wire.handshake import Handshake, Kind

MOST = 16_384  # most attempts in all; beyond that the oldest is forgotten
MOST_AT_PORT = 256  # most attempts of one port
SECONDS = 5.0  # how long an answer is awaited; an MCP answers within a round trip, and hosts repeat SYNs
SYN_DATA = 1_460  # bytes that a SYN may carry and its SYN/ACK acknowledge (RFC 7413)
_SEQUENCE = 0xFFFF_FFFF
GATEWAY, JOIN = PortRole.GATEWAY, Kind.JOIN


def acknowledges(answer: Handshake, isn: int) -> bool:
    """Whether a SYN/ACK answers the SYN with the initial sequence number `isn`. True if `isn` is not known (-1)."""
    return acknowledges_isn(answer.ack, isn)


def acknowledges_isn(ack: int, isn: int) -> bool:
    """Whether a SYN/ACK with acknowledgement number `ack` answers the SYN with the initial sequence number `isn`. True if
    `isn` is not known (-1)."""
    return isn < 0 or ack - isn - 1 & _SEQUENCE <= SYN_DATA


class SynAttempt(NamedTuple):
    """A SYN on the 5-tuple of a live subflow. `until`: engine time until which an answer is awaited. `mcp`: where it went."""

    attachment: Attachment
    seen: SynSeen
    until: float
    mcp: McpId

    @property
    def place(self) -> tuple[DatapathId, PortNumber]:
        return self.seen.dpid, self.seen.port


class NewAttempts:
    """The latest attempt of each 5-tuple (`tried`). `enabled`: False for the negative control, in which a SYN replaces a
    subflow at once."""

    def __init__(
        self,
        table: SessionTable,
        counters: Counters,
        *,
        teardown: Teardown,
        aborted: AbortedSessions,
        proactive: ProactiveInsertion,
        first_syns: FirstSyns,
        joins: JoinHandler,
        enabled: bool,
    ) -> None:
        self._table = table
        self._counters = counters
        self._teardown = teardown
        self._aborted = aborted
        self._proactive = proactive
        self._first_syns = first_syns
        self._joins = joins
        self._enabled = enabled
        self.tried: dict[FlowKey, SynAttempt] = {}  # in order of deadlines
        # Port -> its attempts, in the same order.
        self._at: dict[tuple[DatapathId, PortNumber], dict[FlowKey, None]] = {}

    def __len__(self) -> int:
        return len(self.tried)

    def lives(self, subflow: Subflow) -> bool:
        """Whether a subflow may live, so that only its MCP can say that it is over. False if both ends have closed it, if the
        session is being aborted, or if its MCP is gone, or is sick and has not answered."""
        session = subflow.session
        over = subflow.closed == BOTH_FINS or self._aborted.lost(session)
        return self._enabled and not over and self._aborted.refusal(session) is None

    def came(
        self, attachment: Attachment, subflow: Subflow, seen: SynSeen, key: FlowKey, now: float
    ) -> list[Output]:
        """Send a SYN on the 5-tuple of a live subflow to the MCP of the subflow's pin."""
        self._counters.challenged_syns += 1
        if attachment.role is not GATEWAY or seen.handshake.kind is JOIN:
            self._remember(key, SynAttempt(attachment, seen, now + SECONDS, subflow.session.mcp))
        outputs: list[Output] = []
        if not subflow.waypoint and subflow.session.unit is not None:
            # The entries of proactive insertion do not match a SYN that was sent to the controller.
            outputs += self._proactive.pin(subflow.session)
        if not subflow.waypoint:
            return [*outputs, naturally(attachment, seen)]
        return [*outputs, steered(attachment, seen, subflow.waypoint)]

    def answered(self, subflow: Subflow, key: FlowKey, answer: Handshake, now: float) -> list[Output]:
        """The MCP of a subflow sent a SYN/ACK. If it answers an attempt, the attempt takes the subflow's place."""
        attempt = self.tried.get(key)
        if attempt is None or not acknowledges(answer, attempt.seen.handshake.seq):
            return []
        self._forget(key)
        if attempt.until <= now:
            return []
        return self._instead(subflow, self._begin(attempt, subflow.session.mcp, key, answer, now), now)

    def reported(self, mcp: McpId, key: FlowKey, now: float) -> list[Output]:
        """An MCP reports a session on a flow, which is not that of the flow's subflow. So it has answered the attempt to begin one
        there. The session takes the place of the subflow, if that is not over yet."""
        attempt = self.tried.get(key)
        if (
            attempt is None
            or attempt.until <= now
            or attempt.mcp != mcp
            or attempt.seen.handshake.kind is JOIN
        ):
            return []
        self._forget(key)
        subflow = self._table.flows.get(key)
        made = self._begin_session(attempt, mcp, key, now)
        return made if subflow is None else self._instead(subflow, made, now)

    def _instead(self, subflow: Subflow, made: list[Output], now: float) -> list[Output]:
        """End a subflow whose place an attempt has taken. `made`: the outputs of its beginning."""
        if self._table.flows.get(subflow.key) is subflow:
            return made  # the attempt has no session; its segments still go to the MCP by the old pin
        if subflow in subflow.session.subflows:
            made += self._teardown.end_subflow(subflow, now)
        return _without_gap(made)

    def _begin(
        self, attempt: SynAttempt, mcp: McpId, key: FlowKey, answer: Handshake, now: float
    ) -> list[Output]:
        """Begin the session or subflow of an attempt, if possible. The SYN itself has gone to the MCP already."""
        seen = attempt.seen
        if seen.handshake.kind is not JOIN:
            return self._begin_session(attempt, mcp, key, now)
        owners = self._table.with_mcp_token(int.from_bytes(seen.handshake.token, "big"))
        if len(owners) > 1:
            owners = narrow(owners, seen.handshake)
        if answer.kind is not JOIN or len(owners) != 1 or owners[0].mcp != mcp:
            return []
        made = self._joins.seen(attempt.attachment, seen, key, now)
        kept = [one._replace(release=None) if isinstance(one, Steer) else one for one in made]
        return [one for one in kept if isinstance(one, Steer | RemoveEntries)]

    def _begin_session(self, attempt: SynAttempt, mcp: McpId, key: FlowKey, now: float) -> list[Output]:
        room = [] if self._table.has_room else self._teardown.make_room()
        return room + self._first_syns.taken(attempt.attachment, attempt.seen, key, mcp, now)

    def expire(self, now: float) -> None:
        """Forget the attempts that no MCP answered."""
        while self.tried:
            key, attempt = next(iter(self.tried.items()))
            if attempt.until > now:
                break
            self._forget(key)

    def _remember(self, key: FlowKey, attempt: SynAttempt) -> None:
        self._forget(key)
        if len(self.tried) >= MOST:
            self._forget(next(iter(self.tried)))
        here = self._at.setdefault(attempt.place, {})
        if len(here) >= MOST_AT_PORT:
            oldest = next(iter(here))
            del self.tried[oldest], here[oldest]
        self.tried[key] = attempt
        here[key] = None

    def _forget(self, key: FlowKey) -> None:
        attempt = self.tried.pop(key, None)
        if attempt is not None:
            here = self._at[attempt.place]
            del here[key]
            if not here:
                del self._at[attempt.place]


def _without_gap(outputs: list[Output]) -> list[Output]:
    """The same outputs with all removals at the end. An entry is not removed if an added entry has the same match."""
    added = {entry[:7] for one in outputs if isinstance(one, Steer) for entry in one.entries}
    gone = [entry for one in outputs if isinstance(one, RemoveEntries) for entry in one.entries]
    removed = tuple(entry for entry in gone if entry[:7] not in added)
    kept: list[Output] = [one for one in outputs if not isinstance(one, RemoveEntries)]
    return [*kept, RemoveEntries(removed)] if removed else kept
