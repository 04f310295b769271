"""How the set-up of a session or of a later subflow went: records for traces."""

from enum import StrEnum
from typing import NamedTuple

from steering.model.ids import NO_TOKEN, DatapathId, PortNumber, Token
from steering.model.session import FlowKey, SessionState


class SetUpPart(StrEnum):
    """Which part of a set-up a segment is."""

    FIRST_SYN = "first SYN"  # from a host, with MP_CAPABLE
    SERVER_SYN = "server's SYN"  # without MPTCP, perhaps from a server that opens a session
    JOIN = "join"
    MCP_JOIN = "MCP's join"  # from an MCP to a host of one of its sessions
    ANSWER = "answer"  # a SYN/ACK


class SetUpSegment(NamedTuple):
    """A segment of a set-up."""

    part: SetUpPart
    # Of the flow, in the direction from the end that opened it, also for an answer. An MCP's join has the host first.
    key: FlowKey
    dpid: DatapathId
    port: PortNumber
    frame: bytes = b""  # b"" of an answer
    token: Token = NO_TOKEN  # the token in a join
    peer: str = ""  # the controller that forwarded the segment; "": it came from a switch of this controller


class SetUpOutcome(StrEnum):
    """How a set-up ended."""

    ESTABLISHED = "established"  # the token is known, and the host has confirmed the handshake
    PLAIN = "plain"  # the MCP answered without MPTCP: the session is pinned as plain TCP
    PINNED = "pinned"  # a join was led to its session's MCP
    FORWARDED = "forwarded"  # an MCP's own join of a known session: its switch has forwarded it already
    # No MCP serves the connection: it took its natural path. Or an MCP's own join, of an unknown session.
    NATURAL = "natural"
    REFUSED = "refused"
    PASSED_ON = "passed-on"  # a join that had waited was forwarded to the controller of its session
    UNFINISHED = "unfinished"  # the MCP or the host sent nothing more, or the controller stopped before


class SetUpFacts(NamedTuple):
    """What the engine knows of a subflow. `rule`, `reason` and `policy_version` are those of the session's ruling, "" and
    0 if the session has none."""

    session: int
    mcp: str
    rule: str
    reason: str
    policy_version: int
    version: int  # of MPTCP
    has_token: bool
    state: SessionState
    is_reverse: bool  # a server opened it
