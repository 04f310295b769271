"""How the set-up of a session or of a later subflow went, as traces tell it."""

from enum import StrEnum
from typing import NamedTuple

from steering.model.ids import NO_TOKEN, DatapathId, PortNumber, Token
from steering.model.session import FlowKey, SessionState


class SetUpPart(StrEnum):
    """Which part of a set-up a segment is."""

    FIRST_SYN = "first SYN"  # a host's, with MP_CAPABLE
    SERVER_SYN = "server's SYN"  # without MPTCP: it may be a server's that opens a session
    JOIN = "join"
    MCP_JOIN = "MCP's join"  # that an MCP opens towards a host of a session of its
    ANSWER = "answer"  # a SYN/ACK


class SetUpSegment(NamedTuple):
    """A segment of a set-up, whatever input of the core it came as."""

    part: SetUpPart
    key: FlowKey  # of the flow, from the end that opened it; an answer's is that of what it answers, and an MCP's join has the host first
    dpid: DatapathId
    port: PortNumber
    frame: bytes = b""  # b"" of an answer
    token: Token = NO_TOKEN  # that a join carries
    peer: str = ""  # the controller that passed it on; "": a switch of this controller showed it


class SetUpOutcome(StrEnum):
    """How a set-up ended."""

    ESTABLISHED = "established"  # the token is known, and the host went on
    PLAIN = "plain"  # the MCP answered without MPTCP: pinned as plain TCP
    PINNED = "pinned"  # a join was led to its session's MCP
    FORWARDED = "forwarded"  # an MCP's own join went on by itself, and its session has it
    NATURAL = "natural"  # no MCP takes it: it went its natural way; an MCP's own join is of no session that is known
    REFUSED = "refused"
    PASSED_ON = "passed-on"  # a join that had waited went to the controller of its session
    UNFINISHED = "unfinished"  # MCP or host did not go on, or the controller stopped before


class SetUpFacts(NamedTuple):
    """What the engine knows of a flow that is a subflow. `rule`, `reason` and `policy_version` are of the session's
    ruling: "" and 0 where it has none."""

    session: int
    mcp: str
    rule: str
    reason: str
    policy_version: int
    version: int  # of MPTCP
    has_token: bool
    state: SessionState
    is_reverse: bool  # a server opened it
