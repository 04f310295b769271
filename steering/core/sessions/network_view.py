"""What the controller knows of a session from the network, for comparison with the MCP's reports (sessions.mcp_reports)."""

from steering.core.sessions.fin_pair import BOTH_FINS, MCP_FIN
from steering.core.sessions.records import Session
from steering.model.ids import Token
from steering.model.session import SessionState

# States of a session whose handshake was complete.
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
    """Whether the SYN/ACK of a session was not seen. The session is half-open, or counts as plain TCP although its MCP has
    reported `token`."""
    taken_for_plain = (
        session.state in (SessionState.PLAIN, SessionState.ANSWERED) and session.token < 0 and token >= 0
    )
    return session.state is SessionState.SYN_PINNED or taken_for_plain


def ended(session: Session) -> bool:
    """Whether the end of each subflow was seen: for MPTCP the MCP's FIN, for plain TCP both FINs, or resets."""
    needed = MCP_FIN if session.token >= 0 else BOTH_FINS
    return all(subflow.closed & needed == needed for subflow in session.subflows)


def ended_in_order(session: Session) -> bool:
    """Whether FINs that end each subflow were seen. Resets do not count: a restarted machine resets connections that it does
    not know, and servers do not learn of an end by these."""
    if not session.subflows:
        return session.server_closed == BOTH_FINS
    needed = MCP_FIN if session.token >= 0 else BOTH_FINS
    return all(subflow.sent_fin(needed) for subflow in session.subflows)


def is_addressed(session: Session) -> bool:
    """Whether a session goes to its MCP's own address and has no entries."""
    led = session.returns or any(subflow.waypoint for subflow in session.subflows)
    return session.unit is None and not led


def is_aborted(session: Session) -> bool:
    """Whether a session is being aborted. The abort ends the session when host and server have got their resets."""
    return session.ending
