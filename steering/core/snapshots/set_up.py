"""Answers for traces of set-ups: the flow of a segment, the port where it came in, and what became of the flow."""

from collections.abc import Callable, Iterable
from typing import Any

from steering.core.engine import Engine
from steering.core.inputs import Input, SynAckSeen, SynSeen, WatchedSeen
from steering.core.outputs import Output
from steering.core.peer_facts import PeerTold, TellPeer
from steering.core.sessions.flow_key import flow_key, split
from steering.model.ids import NO_TOKEN, DatapathId, PortNumber, Token, read_token
from steering.model.network import PortRole
from steering.model.session import FlowKey, SessionState
from steering.model.set_up import SetUpFacts, SetUpPart, SetUpSegment
from steering.model.usual_segment import UsualJoin, UsualSyn, UsualSynAck
from steering.wire.handshake import Kind
from steering.wire.peer_messages import ForwardedSegment, SegmentKind
from steering.wire.segment import Flags


def segment_of(engine: Engine, given: Input) -> SetUpSegment | None:
    """The segment of a set-up that an input brings, or None. A join that came from an MCP is an MCP_JOIN, whose key has
    the host as source."""
    reader = _READERS.get(type(given))
    found = None if reader is None else reader(given)
    if found is None or found.part is not SetUpPart.JOIN:
        return found
    attachment = engine.map.at.get((found.dpid, found.port))
    if attachment is None or not attachment.role.is_mcp:
        return found
    source, destination, sport, dport = ends_of(found.key)
    return found._replace(part=SetUpPart.MCP_JOIN, key=flow_key(destination, source, dport, sport))


def _usual_syn(given: UsualSyn) -> SetUpSegment:
    return SetUpSegment(SetUpPart.FIRST_SYN, given.key, given.dpid, given.port, given.frame)


def _usual_join(given: UsualJoin) -> SetUpSegment:
    return SetUpSegment(SetUpPart.JOIN, given.key, given.dpid, given.port, given.frame, given.token)


def _usual_answer(given: UsualSynAck) -> SetUpSegment:
    return SetUpSegment(SetUpPart.ANSWER, given.key, given.dpid, given.port)


def _syn(given: SynSeen) -> SetUpSegment | None:
    seen = given.handshake
    part = _PARTS.get(seen.kind)
    if part is None:
        return None
    token = read_token(seen.token, "big") if part is SetUpPart.JOIN else NO_TOKEN
    key = flow_key(seen.src, seen.dst, seen.sport, seen.dport)
    return SetUpSegment(part, key, given.dpid, given.port, given.frame, token)


def _answer(given: SynAckSeen | WatchedSeen) -> SetUpSegment | None:
    seen = given.handshake
    if seen.flags & _SYN_ACK != _SYN_ACK:
        return None
    key = flow_key(seen.dst, seen.src, seen.dport, seen.sport)
    return SetUpSegment(SetUpPart.ANSWER, key, given.dpid, given.port)


def _told(given: PeerTold) -> SetUpSegment | None:
    """The segment that another controller passed on, since its session is here."""
    message = given.message
    if not isinstance(message, ForwardedSegment):
        return None
    dpid, port, handshake = DatapathId(message.dpid), PortNumber(message.port), message.handshake
    if message.kind == SegmentKind.SYN:
        found = _syn(SynSeen(dpid, port, handshake, message.frame))
    elif message.kind in (SegmentKind.SYN_ACK, SegmentKind.WATCHED):
        found = _answer(SynAckSeen(dpid, port, handshake))
    else:
        found = None
    return None if found is None else found._replace(peer=given.name)


_SYN_ACK = Flags.SYN | Flags.ACK
_PARTS = {
    Kind.CAPABLE: SetUpPart.FIRST_SYN, Kind.JOIN: SetUpPart.JOIN, Kind.PLAIN: SetUpPart.SERVER_SYN,
}  # fmt: skip
_READERS: dict[type, Callable[[Any], SetUpSegment | None]] = {
    UsualSyn: _usual_syn, UsualJoin: _usual_join, UsualSynAck: _usual_answer, SynSeen: _syn,
    SynAckSeen: _answer, WatchedSeen: _answer, PeerTold: _told,
}  # fmt: skip


def passed_on_to(outputs: Iterable[Output], frame: bytes) -> str:
    """The name of the controller that the outputs pass a SYN on to, or ""."""
    for output in outputs:
        if isinstance(output, TellPeer) and isinstance(output.message, ForwardedSegment):
            message = output.message
            if message.kind == SegmentKind.SYN and message.frame == frame:
                return output.name
    return ""


def ends_of(key: FlowKey) -> tuple[bytes, bytes, int, int]:
    """Source, destination, source port and destination port of a flow. Addresses have 4 or 16 bytes."""
    _, source, destination, sport, dport = split(key)
    return source, destination, sport, dport


def access_of(engine: Engine, segment: SetUpSegment) -> str | None:
    """The name of the access network of a SYN's session: the network where a host's SYN came in, or the network that a
    server's or an MCP's SYN goes to. None if the SYN came in at a port where such SYNs do not come in."""
    attachment = engine.map.at.get((segment.dpid, segment.port))
    if attachment is None:
        return None
    source, destination, _, _ = ends_of(segment.key)
    if segment.part is SetUpPart.MCP_JOIN:
        access = engine.map.access_of(source)
    elif segment.part is SetUpPart.SERVER_SYN:
        access = engine.map.access_of(destination) if attachment.role is PortRole.GATEWAY else None
    else:
        return attachment.name if attachment.role is PortRole.ACCESS else None
    return None if access is None else access.name


def is_subflow(engine: Engine, key: FlowKey) -> bool:
    """Whether a flow is a known subflow."""
    return key in engine.sessions.table.flows


def facts(engine: Engine, key: FlowKey) -> SetUpFacts | None:
    """The facts of a flow and its session for traces. None if the flow is not a known subflow."""
    subflow = engine.sessions.table.flows.get(key)
    if subflow is None:
        return None
    session = subflow.session
    ruling, mcp = session.ruling, engine.map.mcps.get(session.mcp)
    return SetUpFacts(
        session=session.id,
        mcp="" if mcp is None else mcp.name,
        rule="" if ruling is None else ruling.rule,
        reason="" if ruling is None else ruling.reason,
        policy_version=0 if ruling is None else ruling.policy_version,
        version=session.version,
        has_token=session.token >= 0,
        state=session.state,
        is_reverse=session.reverse,
    )


def state_of(engine: Engine, session: int) -> SessionState | None:
    """The state of a session by its number. None if the session is over."""
    found = engine.sessions.table.by_id.get(session)
    return None if found is None else found.state


def is_held(engine: Engine, token: Token, is_mcps: bool) -> bool:
    """Whether joins wait for a token: joins of MCPs if `is_mcps`, else joins of hosts."""
    sessions = engine.sessions
    return token in (sessions.waiting_mcps if is_mcps else sessions.waiting).by_token


def patience(engine: Engine) -> float:
    """The most seconds that a SYN waits for an authoriser."""
    return engine.policy.authorization.timeout


def switch_names(engine: Engine, dpids: set[DatapathId]) -> list[str]:
    """The names of switches, sorted."""
    return sorted(map(engine.site.switch_name, dpids))
