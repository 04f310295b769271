"""Counters of joins that came in at a switch of one controller, and belong to a session of another controller (its owner).

A controller reads the counters of the entries at its own switches. It tells the counters of other controllers' joins to the owners of
their sessions: only the owner can find out which session goes on, and whose quota of bytes is used up.

A session that got another owner may have joins at a third owner's switches that its new owner has not found. While their counters grow, the
session must not end at its new owner with its last known subflow: it would lose the entry of its server leg.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from math import inf

from steering.core.inputs import ObservedEntry, SweepRead
from steering.core.outputs import Output
from steering.core.peer_facts import TellPeer
from steering.core.peers.followed_table import FollowedTable
from steering.core.peers.network_facts import LocalHandler
from steering.core.peers.peer_events import PeerEvent
from steering.core.peers.segment_routes import SegmentRoutes
from steering.core.peers.token_replicas import TokenReplicas
from steering.core.sessions.flow_key import FlowKey, flow_key, parts_of, server_of
from steering.core.sessions.records import Session
from steering.model.ids import DatapathId
from steering.model.session import EntryKind, unpack_cookie
from steering.wire.peer_messages import WITH_COUNTERS, JoinCounter, JoinCounters

COUNTERS = 256  # most counters in one message
# Most flows of joins that are not known here, and most of their servers. The oldest are forgotten.
UNKNOWN = 65_536
ANY = b""  # in place of a server: a join went to an MCP's own address


class PassedCounters:
    """`local`: the engine's own handlers. `versions`: of the protocol, by controllers that can be reached now. `counted` takes the
    counters of entries that belong to this controller's sessions."""

    def __init__(
        self,
        local: Mapping[type, LocalHandler],
        table: FollowedTable,
        routes: SegmentRoutes,
        replicas: TokenReplicas,
        versions: Mapping[str, int],
        events: Counter[PeerEvent],
        counted: Callable[[list[ObservedEntry], float], None],
        is_mcp_address: Callable[[bytes], bool],
    ) -> None:
        self._local = local
        self._table = table
        self._routes = routes
        self._replicas = replicas
        self._versions = versions
        self._events = events
        self._counted = counted
        self._is_mcp_address = is_mcp_address

        self._unknown: OrderedDict[FlowKey, int] = OrderedDict()  # packets of joins that are not known here
        self._active: OrderedDict[bytes, float] = OrderedDict()  # their servers, and when one was active last

    def sweep(self, read: SweepRead, now: float) -> list[Output]:
        """Take the counters that were read from an own switch. Counters of other controllers' joins are told to these controllers."""
        outputs = self._local[SweepRead](read, now)
        if self._versions:
            told = self._of_others(read)
            outputs = outputs + [
                TellPeer(name, part) for name, some in told.items() for part in _parts(read.dpid, some)
            ]
        return outputs

    def _of_others(self, read: SweepRead) -> dict[str, list[JoinCounter]]:
        """The counters of other controllers' joins, by each controller that has a session with the join's token. Several may have one.
        Only the owner of the join's session knows the flow. The others ignore the counter."""
        found: dict[str, list[JoinCounter]] = {}
        for entry, packets, size in read.entries:
            cookie = unpack_cookie(entry.cookie)
            if not packets or cookie is None or cookie.kind is not EntryKind.JOIN:
                continue
            flow = flow_key(entry.src, entry.dst, entry.sport, entry.dport)
            if self._table.holds(flow):
                continue
            for name in self._replicas.holders(cookie.token):
                if self._versions.get(name, 0) >= WITH_COUNTERS:
                    found.setdefault(name, []).append(JoinCounter(flow, packets, size))
        return found

    def told(self, name: str, message: JoinCounters, now: float) -> list[Output]:
        """Another controller tells counters of entries at one of its switches."""
        if self._routes.owners.get(DatapathId(message.dpid)) != name:
            self._events[PeerEvent.FOREIGN_SWITCH] += 1
            return []
        observed = []
        for flow, packets, size in message.counters:
            subflow = self._table.flows.get(FlowKey(flow))
            if subflow is None:
                self._note(FlowKey(flow), packets, now)
                continue
            if subflow.dpid != message.dpid or subflow.kind is not EntryKind.JOIN:
                continue  # the join belongs to another controller's session with this token, or it is over
            entry = subflow.session.entry(subflow)
            if entry is not None:
                observed.append(ObservedEntry(entry, packets, size))
        self._counted(observed, now)
        return []

    def _note(self, flow: FlowKey, packets: int, now: float) -> None:
        """A join that is not known here has counted so many packets, at a switch of a controller that takes its session for one of here."""
        before = self._unknown.pop(flow, packets)
        self._unknown[flow] = packets
        if before != packets:
            server = ANY if self._is_mcp_address(parts_of(flow).destination) else server_of(flow)
            self._active.pop(server, None)
            self._active[server] = now
        for known in (self._unknown, self._active):
            if len(known) > UNKNOWN:
                known.popitem(last=False)

    def may_live(self, session: Session, since: float) -> bool:
        """Whether a join that is not known here, and may belong to a session, was active since a time. A join to an MCP's own address may
        belong to any session here, so one such join keeps all of them until room is needed."""
        servers = (ANY, server_of(session.first))
        return any(self._active.get(server, -inf) >= since for server in servers)


def _parts(dpid: DatapathId, counters: list[JoinCounter]) -> Iterator[JoinCounters]:
    """Messages with these counters, each of one address family."""
    for length in (12, 36):
        some = [one for one in counters if len(one.flow) == length]
        for at in range(0, len(some), COUNTERS):
            yield JoinCounters(dpid, tuple(some[at : at + COUNTERS]))
