"""SYNs on the 5-tuple of a live subflow: nothing changes until its MCP answers them (RFC 5961 4).

A SYN proves nothing, since a neighbour can send one with a host's address. So the pin stays, and the SYN goes to the MCP
that the pin leads to. Whose connection lives there is told by its kernel: it answers with an ACK where the old one lives,
and then the host, if it really began anew, resets that one and repeats its SYN. It answers with a SYN/ACK that
acknowledges this SYN where the old one is gone. Then the old subflow is over, and what the SYN began takes its place,
at the MCP that has it already.

A connection that a server opened anew keeps the pin of the old one, and its record: the controller sees no SYN/ACK of
an MCP towards a server.
"""

from typing import NamedTuple

from steering.core.counters import Counters
from steering.core.handshakes.mp_capable import FirstSyns
from steering.core.handshakes.mp_join import JoinHandler
from steering.core.inputs import SynSeen
from steering.core.network.site_index import Attachment
from steering.core.outputs import Output, RemoveEntries, Steer, naturally, steered
from steering.core.proactive.units import Proactive
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

MOST = 16_384  # attempts in all; of more, the oldest is forgotten
MOST_AT_PORT = 256  # the same for each port
SECONDS = 5.0  # an MCP answers within a round trip, and a SYN that is repeated comes here again
SYN_DATA = 1_460  # bytes that a SYN may carry and its SYN/ACK acknowledge (RFC 7413)
_SEQUENCE = 0xFFFF_FFFF
GATEWAY, JOIN = PortRole.GATEWAY, Kind.JOIN


def acknowledges(answer: Handshake, isn: int) -> bool:
    """Whether a SYN/ACK answers the SYN with this initial sequence number; any, where that is not known (-1)."""
    return acknowledges_isn(answer.ack, isn)


def acknowledges_isn(ack: int, isn: int) -> bool:
    """Whether a SYN/ACK with this acknowledgement number answers the SYN with this initial sequence number (-1: any)."""
    return isn < 0 or ack - isn - 1 & _SEQUENCE <= SYN_DATA


class SynAttempt(NamedTuple):
    """A SYN that may begin a connection where another lives."""

    attachment: Attachment
    seen: SynSeen
    until: float

    @property
    def place(self) -> tuple[DatapathId, PortNumber]:
        return self.seen.dpid, self.seen.port


class NewAttempts:
    """At most one for each 5-tuple: the last; `tried` has them. `enabled`: otherwise a SYN takes the pin at once (a negative control)."""

    def __init__(
        self,
        table: SessionTable,
        counters: Counters,
        *,
        teardown: Teardown,
        aborted: AbortedSessions,
        proactive: Proactive,
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
        """Whether only its MCP can say that a subflow is over. Not if both ends closed it, or where the session is
        being ended, or its MCP is not there, or is sick and has not answered."""
        session = subflow.session
        over = subflow.closed == BOTH_FINS or self._aborted.lost(session)
        return self._enabled and not over and self._aborted.refusal(session) is None

    def came(
        self, attachment: Attachment, subflow: Subflow, seen: SynSeen, key: FlowKey, now: float
    ) -> list[Output]:
        """A SYN on the 5-tuple of a subflow that lives: it goes where the pin leads."""
        self._counters.challenged_syns += 1
        if attachment.role is not GATEWAY or seen.handshake.kind is JOIN:
            self._remember(key, SynAttempt(attachment, seen, now + SECONDS))
        outputs: list[Output] = []
        if not subflow.waypoint and subflow.session.unit is not None:
            outputs += self._proactive.pin(
                subflow.session
            )  # entries set ahead lead no SYN that was looked at
        if not subflow.waypoint:
            return [*outputs, naturally(attachment, seen)]
        return [*outputs, steered(attachment, seen, subflow.waypoint)]

    def answered(self, subflow: Subflow, key: FlowKey, answer: Handshake, now: float) -> list[Output]:
        """The MCP that has a subflow sent a SYN/ACK: if it answers an attempt, that takes the subflow's place."""
        attempt = self.tried.get(key)
        if attempt is None or not acknowledges(answer, attempt.seen.handshake.seq):
            return []
        self._forget(key)
        if attempt.until <= now:
            return []
        made = self._begin(attempt, subflow.session.mcp, key, answer, now)
        if self._table.flows.get(key) is subflow:
            return made  # no room for it, or nobody's: what it sends still goes to its MCP
        if subflow in subflow.session.subflows:
            made += self._teardown.end_subflow(subflow, now)
        return _without_gap(made)

    def _begin(
        self, attempt: SynAttempt, mcp: McpId, key: FlowKey, answer: Handshake, now: float
    ) -> list[Output]:
        """What the SYN began is known, if it may be. The SYN itself went to its MCP already."""
        seen = attempt.seen
        if seen.handshake.kind is not JOIN:
            room = [] if self._table.has_room else self._teardown.make_room()
            return room + self._first_syns.taken(attempt.attachment, seen, key, mcp, now)
        owners = self._table.with_mcp_token(int.from_bytes(seen.handshake.token, "big"))
        if len(owners) > 1:
            owners = narrow(owners, seen.handshake)
        if answer.kind is not JOIN or len(owners) != 1 or owners[0].mcp != mcp:
            return []
        made = self._joins.seen(attempt.attachment, seen, key, now)
        kept = [one._replace(release=None) if isinstance(one, Steer) else one for one in made]
        return [one for one in kept if isinstance(one, Steer | RemoveEntries)]

    def tick(self, now: float) -> None:
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
    """What goes is removed last, and not at all where an entry with the same match takes its place."""
    added = {entry[:7] for one in outputs if isinstance(one, Steer) for entry in one.entries}
    gone = [entry for one in outputs if isinstance(one, RemoveEntries) for entry in one.entries]
    removed = tuple(entry for entry in gone if entry[:7] not in added)
    kept: list[Output] = [one for one in outputs if not isinstance(one, RemoveEntries)]
    return [*kept, RemoveEntries(removed)] if removed else kept
