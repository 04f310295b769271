"""How the set-up of a session or of a later subflow went, as traces tell it."""

from enum import StrEnum
from typing import NamedTuple

from steering.model.session import SessionState


class SetUpOutcome(StrEnum):
    """How a set-up ended."""

    ESTABLISHED = "established"  # the token is known, and the host went on
    PLAIN = "plain"  # the MCP answered without MPTCP: pinned as plain TCP
    PINNED = "pinned"  # a join was led to its session's MCP
    NATURAL = "natural"  # no MCP takes it: it went its natural way
    REFUSED = "refused"
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
