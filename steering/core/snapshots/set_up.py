"""What traces of set-ups ask of the engine: which flow a segment is of, where it came in, and what became of it."""

from steering.core.engine import Engine
from steering.core.inputs import SynAckSeen, SynSeen
from steering.core.sessions.flow_key import flow_key, split
from steering.model.ids import DatapathId, PortNumber, Token
from steering.model.network import PortRole
from steering.model.session import FlowKey, SessionState
from steering.model.set_up import SetUpFacts


def flow_of(given: SynSeen) -> FlowKey:
    """The flow of a SYN."""
    seen = given.handshake
    return flow_key(seen.src, seen.dst, seen.sport, seen.dport)


def flow_answered(given: SynAckSeen) -> FlowKey:
    """The flow that a SYN/ACK answers: its source is the host's end."""
    seen = given.handshake
    return flow_key(seen.dst, seen.src, seen.dport, seen.sport)


def ends_of(key: FlowKey) -> tuple[bytes, bytes, int, int]:
    """Source, destination and both ports of a flow; addresses of 4 or 16 bytes."""
    _, source, destination, sport, dport = split(key)
    return source, destination, sport, dport


def access_at(engine: Engine, dpid: DatapathId, port: PortNumber) -> str | None:
    """The access network at a port; None where none is."""
    attachment = engine.map.at.get((dpid, port))
    return None if attachment is None or attachment.role is not PortRole.ACCESS else attachment.name


def is_subflow(engine: Engine, key: FlowKey) -> bool:
    """Whether a flow is a subflow that is known."""
    return key in engine.sessions.table.flows


def facts(engine: Engine, key: FlowKey) -> SetUpFacts | None:
    """What is known of a flow; None where it is no subflow."""
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
    )


def state_of(engine: Engine, session: int) -> SessionState | None:
    """The state of a session by its number; None where it is over."""
    found = engine.sessions.table.by_id.get(session)
    return None if found is None else found.state


def is_held(engine: Engine, token: Token) -> bool:
    """Whether joins wait for a token."""
    return token in engine.sessions.waiting.by_token


def patience(engine: Engine) -> float:
    """Seconds that a SYN waits for an authoriser at most."""
    return engine.policy.authorization.timeout


def switch_names(engine: Engine, dpids: set[DatapathId]) -> list[str]:
    """Switches by name, in order."""
    return sorted(map(engine.site.switch_name, dpids))
