"""Sessions of a running controller at one moment, and the decisions about them, as records that never change.

As in `model.snapshot`, MCPs, switches and access networks have the names of the site file, and times are in seconds.
"""

from typing import NamedTuple

from steering.model.decision import Outcome
from steering.model.policy import Insertion
from steering.model.session import SessionState


class SessionSnapshot(NamedTuple):
    """A session in a list. `token`: 8 hex digits. `subflows`: their number."""

    id: str
    state: SessionState
    mcp: str | None
    insertion: Insertion
    token: str | None
    version: int
    client: str
    server: str
    explicit: bool
    subflows: int
    age_s: float


class SubflowSnapshot(NamedTuple):
    """A subflow. `path`: natural or redirected. `wanted`: what the policy wants of the subflow: active, backup or
    closed."""

    src: str
    sport: int
    dst: str
    dport: int
    kind: str
    access_network: str | None
    path: str
    switch: str
    entries: tuple[str, ...]
    address_id: int | None
    backup: bool | None
    access_type: str | None
    wanted: str
    share: int
    bytes: int


class ServerLegEntry(NamedTuple):
    """A flow entry for the leg between MCP and server. `cookie`: 16 hex digits."""

    switch: str
    cookie: str


class ToldEnd(NamedTuple):
    """One end of a session that is being aborted, and what became of it."""

    end: str
    address: str
    port: int
    outcome: str


class AbortSnapshot(NamedTuple):
    """What is known of an abort. `over`: the controller does nothing more about it."""

    id: str
    over: bool
    ends: tuple[ToldEnd, ...]


class SessionDetail(NamedTuple):
    """A session with all its details. `decision`: the id of its decision, None for a session that was read back from
    switches."""

    id: str
    state: SessionState
    mcp: str | None
    insertion: Insertion
    token: str | None
    version: int
    client: str
    server: str
    explicit: bool
    subflows: tuple[SubflowSnapshot, ...]
    age_s: float
    server_leg: tuple[ServerLegEntry, ...]
    access_switch: str | None
    decision: str | None


class SessionPage(NamedTuple):
    """A page of a list. `total`: the number of all sessions. `following`: the cursor of the next page, None after the
    last."""

    sessions: tuple[SessionSnapshot, ...]
    total: int
    following: int | None


class ScoreTerms(NamedTuple):
    """The terms of an MCP's score."""

    location: float | None
    type: float
    load: float


class CandidateSnapshot(NamedTuple):
    """An MCP in a decision. `filtered`: the filter that excluded it, or None. `path`: the switches from the access
    through the MCP to the gateway."""

    mcp: str
    filtered: str | None
    cost: float | None
    stretch: float | None
    on_path: bool
    sessions: int
    terms: ScoreTerms
    path: tuple[str, ...]
    score: float | None
    port: str


class DecisionSnapshot(NamedTuple):
    """A decision: why an MCP was chosen, or none. `subscriber`: the policy's id, not a pseudonym."""

    time_s: float
    policy_version: int
    rule: str | None
    subscriber: str | None
    outcome: Outcome
    winner: str | None
    reason: str
    natural_cost: float | None
    candidates: tuple[CandidateSnapshot, ...]
