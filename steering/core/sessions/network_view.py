"""What the network has seen of a session, for comparison with what the session's MCP reports (sessions.mcp_reports)."""

from steering.core.sessions.fin_pair import BOTH_FINS, MCP_FIN
from steering.core.sessions.records import Session
from steering.model.ids import Token
from steering.model.session import SessionState

# States of a session that was established once.
STANDING = frozenset(
    (
        SessionState.ESTABLISHED,
        SessionState.PLAIN,
        SessionState.IDLE,
        SessionState.CLOSING,
        SessionState.LINGER,
    )
)


def unanswered(session: Session, token: Token) -> bool:
    """Whether the network has not seen the SYN/ACK of a session: it is half-open, or counts as plain TCP so far."""
    taken_for_plain = (
        session.state in (SessionState.PLAIN, SessionState.ANSWERED) and session.token < 0 and token >= 0
    )
    return session.state is SessionState.SYN_PINNED or taken_for_plain


def ended(session: Session) -> bool:
    """Whether the network saw the end of each subflow: for MPTCP the MCP's FIN, for plain TCP both FINs."""
    needed = MCP_FIN if session.token >= 0 else BOTH_FINS
    return all(subflow.closed & needed == needed for subflow in session.subflows)


def ended_in_order(session: Session) -> bool:
    """Whether the network saw FINs that end each subflow. Resets do not count: a machine that restarted resets what it
    does not know, and no server learns of an end by that."""
    if not session.subflows:
        return session.server_closed == BOTH_FINS
    needed = MCP_FIN if session.token >= 0 else BOTH_FINS
    return all(subflow.sent_fin(needed) for subflow in session.subflows)


def is_addressed(session: Session) -> bool:
    """Whether a session goes to its MCP's own address, so that it has no entries."""
    led = session.returns or any(subflow.waypoint for subflow in session.subflows)
    return session.unit is None and not led


def is_aborted(session: Session) -> bool:
    """Whether a session is being aborted. The abort ends it when host and server were told."""
    return session.ending
