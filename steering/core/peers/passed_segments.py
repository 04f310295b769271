"""Segments that controllers forward to each other, because a session is decided by its owner alone.

A join may come in at another controller's switch. It is forwarded to the owner, which knows the session's subflows, limits
and keys. The owner's entries and the held segment then go to the switch through the switch's controller.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Set

from steering.core.counters import Counters, JoinResult
from steering.core.inputs import FinSeen, SynAckSeen, SynSeen, WatchedSeen
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.packet_inputs import IcmpErrorSeen
from steering.core.peer_facts import TellPeer
from steering.core.peers.early_copies import EarlyCopies
from steering.core.peers.followed_table import FollowedTable
from steering.core.peers.network_facts import LocalHandler
from steering.core.peers.peer_events import PeerEvent
from steering.core.peers.segment_routes import SETTLED, SegmentRoutes, forwarded
from steering.core.peers.token_replicas import TokenReplicas
from steering.core.sessions.flow_key import FlowKey, flow_key, server_of
from steering.core.sessions.token_owners import JoinDestinations
from steering.model.ids import DatapathId, PortNumber, read_token
from steering.model.network import PortRole
from steering.model.session import Refusal
from steering.model.usual_segment import UsualJoin, UsualSynAck
from steering.wire.errors import WireError
from steering.wire.handshake import Handshake, Kind, read_handshake
from steering.wire.icmp import QuotedFlow, quoted_flow
from steering.wire.peer_messages import WITH_LEG_ERRORS, ForwardedError, ForwardedSegment, SegmentKind

EARLY = 1_024  # most SYN/ACKs that are kept until the sessions have been read
LONGEST_ERROR = 2_048  # bytes of an ICMP error that is forwarded: its packet has at most 1,280 (RFC 4443 section 2.4, RFC 1812)
ACCESS, GATEWAY, JOIN = PortRole.ACCESS, PortRole.GATEWAY, Kind.JOIN


class PassedSegments:
    """Forwards segments, and handles forwarded ones. `local`: the engine's own handlers of segments. `reached`: the
    controllers that can be reached now. `is_whole` returns whether all others can be reached and have sent all of their
    tokens. `is_reading` returns whether the entries of some switch that was taken over are still to be read. `versions`: of the
    protocol, by controllers that can be reached."""

    def __init__(
        self,
        sitemap: SiteMap,
        table: FollowedTable,
        counters: Counters,
        local: dict[type, LocalHandler],
        routes: SegmentRoutes,
        replicas: TokenReplicas,
        destinations: JoinDestinations,
        reached: Set[str],
        events: Counter[PeerEvent],
        is_whole: Callable[[], bool],
        is_reading: Callable[[], bool],
        versions: Mapping[str, int],
    ) -> None:
        self._map = sitemap
        self._table = table
        self._counters = counters
        self._local = local
        self._routes = routes
        self._replicas = replicas
        self._destinations = destinations
        self._reached = reached
        self._events = events
        self._is_whole = is_whole
        self._is_reading = is_reading
        self._versions = versions
        # Copies that were refused, each with the number of its session.
        self._copies: EarlyCopies[tuple[ForwardedSegment, int]] = EarlyCopies()
        # Own copies of each kind, each with the controllers that may have had its session when it came: this one, too.
        self._sent: dict[type, EarlyCopies[tuple[SynAckSeen | UsualSynAck | FinSeen, frozenset[str]]]] = {
            SynAckSeen: EarlyCopies(), FinSeen: EarlyCopies(),
        }  # fmt: skip
        # Answers of MCPs that came before their sessions were read.
        self._early: OrderedDict[FlowKey, SynAckSeen] = OrderedDict()

    # ---- segments from own switches -------------------------------------------------------------

    def syn(self, seen: SynSeen, now: float) -> list[Output]:
        """Forward a join to the controller that has announced its token. Any other SYN is handled here."""
        handshake = seen.handshake
        if handshake.kind is not JOIN:
            return self._local[SynSeen](seen, now)
        attachment = self._map.at.get((seen.dpid, seen.port))
        flow = flow_key(handshake.src, handshake.dst, handshake.sport, handshake.dport)
        if attachment is None or self._table.holds(flow):
            return self._local[SynSeen](seen, now)
        if attachment.role is not ACCESS and attachment.role.is_mcp:
            return self.of_flow(seen, now)
        token = read_token(handshake.token, "big")
        mine = self._destinations.fitting(self._table.with_mcp_token(token), handshake)
        stays = [session for session in mine if not self._table.leaves(session)]
        owners = self._owners(token, handshake)
        if not owners:
            if len(stays) < len(mine) or (not mine and not self._is_whole()):
                return self._refused(Refusal.PEER_UNREACHABLE)
            return self._local[SynSeen](seen, now)
        if stays or len(owners) > 1:
            return self._refused(Refusal.AMBIGUOUS_TOKEN)
        if owners[0] not in self._reached:
            return self._refused(Refusal.PEER_UNREACHABLE)
        self._routes.passed_on(flow, token, owners[0])
        self._events[PeerEvent.JOIN_PASSED_ON] += 1
        return [TellPeer(owners[0], forwarded(seen))]

    def usual_join(self, seen: UsualJoin, now: float) -> list[Output]:
        """Take the fast path for a join that `syn` would handle here: of exactly one session here, where no other controller
        has announced its token."""
        attachment = self._map.at.get((seen.dpid, seen.port))
        if attachment is not None and attachment.role is ACCESS and not self._replicas.holders(seen.token):
            sessions = self._table.with_mcp_token(seen.token)
            if len(sessions) == 1 and server_of(sessions[0].first) == server_of(seen.key):
                if not self._table.leaves(sessions[0]):
                    return self._local[UsualJoin](seen, now)
        return self.syn(SynSeen(seen.dpid, seen.port, read_handshake(seen.frame), seen.frame), now)

    def usual_syn_ack(self, seen: UsualSynAck, now: float) -> list[Output]:
        """Take the fast path for an answer to a flow of a session here."""
        if self._table.holds(seen.key):
            self._sent[SynAckSeen].keep("", (seen, frozenset((self._routes.me,))), now + SETTLED)
            return self._local[UsualSynAck](seen, now)
        return self.of_flow(SynAckSeen(seen.dpid, seen.port, read_handshake(seen.frame)), now)

    def _owners(self, token: int, handshake: Handshake) -> list[str]:
        """The controllers that have announced a session with this token, to which the join's destination fits."""
        mcp = None
        if self._map.is_mcp_address(handshake.dst):
            owner = self._map.mcp_addresses.get(handshake.dst)
            mcp = 0 if owner is None else int(owner.id)
        return self._replicas.owners(token, handshake.dst, handshake.dport, mcp)

    def _refused(self, reason: Refusal) -> list[Output]:
        """Drop a join without an answer. Its host sends it again after a second."""
        self._counters.joins[JoinResult.REFUSED] += 1
        self._counters.refusals[reason] += 1
        return []

    def of_flow(self, seen: SynSeen | SynAckSeen | FinSeen | WatchedSeen, now: float) -> list[Output]:
        """Forward a segment to the controller of its session. A copy that is handled here is kept, too: the switch where its session began
        may obey another controller already, and nothing that is learnt here can be written down there."""
        handshake = seen.handshake
        sent, answered = _flows_of(handshake)
        local = self._local[type(seen)]
        is_here = self._table.holds(sent) or self._table.holds(answered)
        attachment = self._map.at.get((seen.dpid, seen.port))
        if attachment is None or (attachment.role is GATEWAY and isinstance(seen, SynAckSeen)):
            return local(seen, now)  # a SYN/ACK of a server, which belongs to no other controller's session
        if is_here:
            if isinstance(seen, SynAckSeen | FinSeen):
                told = self._home_of(handshake, now) | {
                    self._routes.me
                }  # who is at its home now has nothing to do with it
                self._sent[type(seen)].keep("", (seen, told), now + SETTLED)
            return local(seen, now)
        self._keep(seen, answered)
        home = self._home_of(handshake, now)
        if isinstance(seen, SynAckSeen | FinSeen):
            self._sent[type(seen)].keep("", (seen, home), now + SETTLED)
        if not self._reached:
            return local(seen, now)
        outputs = local(seen, now) if self._routes.me in home or not home else []
        return outputs + self._passed_on(seen, home)

    def _home_of(self, handshake: Handshake | QuotedFlow, now: float) -> frozenset[str]:
        """The controllers that may have the session of a segment: those of the join of its flow, or those of the host's home. Where this
        controller decides for no switch of that home any more, a later session may have begun there on the join's flow. While this
        controller reads switches that it has taken over, the join's session may be one of those."""
        routes = self._routes
        follows = routes.follows(_flows_of(handshake), self._replicas.holders)
        if follows and self._is_reading():
            follows |= {routes.me}
        if follows and routes.me in routes.at_home(handshake.dst, handshake.src):
            return follows
        return routes.lately_at_home(now, handshake.dst, handshake.src) | follows

    def _passed_on(
        self, seen: SynSeen | SynAckSeen | FinSeen | WatchedSeen, home: frozenset[str]
    ) -> list[Output]:
        names = home & self._reached
        self._events[PeerEvent.SEGMENT_PASSED_ON] += len(names)
        return [TellPeer(name, forwarded(seen)) for name in names]

    def icmp_error(self, seen: IcmpErrorSeen, now: float) -> list[Output]:
        """Forward an ICMP error to the controller of the session whose segment it quotes: only that controller knows the MCP that sent
        the segment. An error about a session of this controller is handled here."""
        if self._session_here(seen.flow) is not None:
            return self._local[IcmpErrorSeen](seen, now)
        if len(seen.frame) > LONGEST_ERROR:
            return []
        names = [
            name
            for name in sorted(self._home_of(seen.flow, now) & self._reached)
            if self._versions.get(name, 0) >= WITH_LEG_ERRORS
        ]
        self._events[PeerEvent.SEGMENT_PASSED_ON] += len(names)
        return [TellPeer(name, ForwardedError(seen.dpid, seen.port, bytes(seen.frame))) for name in names]

    # ---- segments from other controllers --------------------------------------------------------

    def from_peer(self, name: str, message: ForwardedSegment | ForwardedError, now: float) -> list[Output]:
        """Handle a segment, or an ICMP error, that controller `name` has forwarded."""
        if isinstance(message, ForwardedError):
            return self._error_from_peer(name, message, now)
        dpid, port, handshake = DatapathId(message.dpid), PortNumber(message.port), message.handshake
        owner = self._routes.owners.get(dpid)
        # Forwarded for the second time, by the controller at the host's home. This is never a SYN, and never a segment
        # from a switch of this controller.
        is_sent_on = message.again and message.kind != SegmentKind.SYN and owner != self._routes.me
        is_copy = message.kind != SegmentKind.SYN
        if owner != name and not is_sent_on and not (is_copy and self._routes.may_speak(name, dpid, now)):
            if is_copy and not message.again and (number := self._session_here(handshake)) is not None:
                self._copies.keep(name, (message, number), now + SETTLED)
            return self._event(PeerEvent.FOREIGN_SWITCH)
        seen: SynSeen | SynAckSeen | FinSeen | WatchedSeen
        if message.kind == SegmentKind.SYN:
            if handshake.kind is not JOIN:
                return self._event(PeerEvent.OUT_OF_PLACE)
            token = read_token(handshake.token, "big")
            if any(map(self._table.leaves, self._table.with_mcp_token(token))):
                return self._refused(Refusal.PEER_UNREACHABLE)  # its new owner has not announced it yet
            return self._local[SynSeen](SynSeen(dpid, port, handshake, message.frame), now)
        if message.kind == SegmentKind.SYN_ACK:
            seen = SynAckSeen(dpid, port, handshake)
        elif message.kind == SegmentKind.FIN:
            seen = FinSeen(dpid, port, handshake, message.payload)
        else:
            seen = WatchedSeen(dpid, port, handshake, message.frame)
        sent, answered = _flows_of(handshake)
        if not self._table.holds(sent) and not self._table.holds(answered):
            follows = self._routes.follows((sent, answered), self._replicas.holders) & self._reached
            passed_on: list[Output] = []
            if not message.again:
                passed_on += [TellPeer(one, message._replace(again=True)) for one in sorted(follows)]
            if passed_on and not self._is_reading():
                return passed_on
            self._keep(seen, answered)
            self._events[PeerEvent.NOT_MINE] += not passed_on
            return passed_on + self._local[type(seen)](seen, now)
        return self._local[type(seen)](seen, now)

    def _error_from_peer(self, name: str, message: ForwardedError, now: float) -> list[Output]:
        dpid = DatapathId(message.dpid)
        if not self._routes.may_speak(name, dpid, now):
            return self._event(PeerEvent.FOREIGN_SWITCH)
        try:
            flow = quoted_flow(message.frame)
        except WireError:
            return self._event(PeerEvent.OUT_OF_PLACE)
        if self._session_here(flow) is None:
            return self._event(PeerEvent.NOT_MINE)
        seen = IcmpErrorSeen(dpid, PortNumber(message.port), flow, message.frame)
        return self._local[IcmpErrorSeen](seen, now)

    def _session_here(self, handshake: Handshake | QuotedFlow) -> int | None:
        """The number of a segment's session, if this controller has the session and does not give it up."""
        for flow in _flows_of(handshake):
            if self._table.holds(flow):
                return self._table.flows[flow].session.id
        return None

    def owners_changed(self, now: float) -> list[Output]:
        """Take the copies that were refused, of controllers that decide for their switches by now. Pass the copies that this controller
        has sent to the owners of before, or has handled as one of these, on to those of now, of which it may be one. A copy does not count
        for another session that has begun on the same flow meanwhile."""
        outputs: list[Output] = []
        for name, (message, number), until in self._copies.take(now):
            if not self._routes.may_speak(name, DatapathId(message.dpid), now):
                self._copies.keep(name, (message, number), until)
            elif self._session_here(message.handshake) == number:
                outputs += self.from_peer(name, message, now)
        answered: dict[FlowKey, float] = {}  # flow of an answer -> until when the last answer is kept
        for kind, copies in self._sent.items():
            for name, (copy, told), until in copies.take(now):
                if isinstance(copy, UsualSynAck) and self._table.holds(copy.key):
                    answered[copy.key] = until
                    copies.keep(name, (copy, told), until)  # unread, as of nearly all: its session stays here
                    continue
                seen = _read(copy)
                flows = _flows_of(seen.handshake)
                if kind is SynAckSeen:
                    answered[flows[0]] = until
                elif max(answered.get(flow, until) for flow in flows) > until:
                    continue  # a FIN of an earlier session: a SYN/ACK on its flow came later
                home = self._home_of(seen.handshake, now)
                if self._routes.me in home - told:
                    self._keep(seen, flows[1])
                    outputs += self._local[kind](seen, now)
                outputs += self._passed_on(seen, home - told)
                copies.keep(name, (seen, home | told), until)
        return outputs

    # ---- answers that come too early ------------------------------------------------------------

    def _keep(self, seen: SynSeen | SynAckSeen | FinSeen | WatchedSeen, flow: FlowKey) -> None:
        """While sessions are being read, keep an MCP's SYN/ACK to an unknown SYN, because the MCP sends its key only once."""
        if isinstance(seen, SynAckSeen) and seen.handshake.key and self._is_reading():
            self._early[flow] = seen
            if len(self._early) > EARLY:
                self._early.popitem(last=False)

    def expire(self, now: float) -> None:
        """Forget copies that are too old, and all SYN/ACKs that were kept if no session is being read. Reading may end without a call
        of `read`, if another controller has taken the switches. A SYN/ACK that is kept longer could be taken for the answer to a
        later session with the same flow."""
        self._copies.expire(now)
        for copies in self._sent.values():
            copies.expire(now)
        if self._early and not self._is_reading():
            self._early.clear()

    def read(self, now: float) -> list[Output]:
        """All sessions were read. Handle the SYN/ACKs that were kept for them. SYN/ACKs of unknown sessions are forgotten."""
        early, self._early = self._early, OrderedDict()
        found = [seen for flow, seen in early.items() if self._table.holds(flow)]
        return [output for seen in found for output in self._local[SynAckSeen](seen, now)]

    def _event(self, event: PeerEvent) -> list[Output]:
        self._events[event] += 1
        return []


def _read(copy: SynAckSeen | UsualSynAck | FinSeen) -> SynAckSeen | FinSeen:
    if isinstance(copy, UsualSynAck):
        return SynAckSeen(copy.dpid, copy.port, read_handshake(copy.frame))
    return copy


def _flows_of(handshake: Handshake | QuotedFlow) -> tuple[FlowKey, FlowKey]:
    """The flow of a segment, and the flow of the opposite direction."""
    return (
        flow_key(handshake.src, handshake.dst, handshake.sport, handshake.dport),
        flow_key(handshake.dst, handshake.src, handshake.dport, handshake.sport),
    )
