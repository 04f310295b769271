"""A decision and its reasons, and the part of it that is kept with each session."""

from enum import StrEnum
from typing import NamedTuple

from steering.model.ids import DatapathId, McpId
from steering.model.network import Mcp
from steering.model.policy import Terms


class FilterReason(StrEnum):
    """The hard filter that excluded an MCP."""

    UNREACHABLE = "unreachable"  # there is no path to the MCP, or none from the MCP to the gateway
    UNRESOLVED = "unresolved"  # the MCP's MAC is not known, as it does not answer ARP or ND
    FAMILY = "address-family"  # the MCP makes no server legs of this address family
    PORT = "service-port"  # the MCP does not listen on this service port
    REFERRAL = "referral-port"  # this port's protocol carries addresses that would be wrong (N-5.4.1.2)
    STRETCH = "stretch"  # the path through the MCP is too long
    FULL = "full"
    DOWN = "down"
    DRAINING = "draining"
    SICK = "sick"  # the MCP answers probes, but leaves too many SYNs unanswered or falls back too often
    NOT_CANDIDATE = "not-a-candidate"  # the rule names other MCPs
    EXPECTATION = "expectation"  # the MCP's type does not fit what the rule expects (D-6.5p1-p4)
    ACCESS = "access-network"  # the MCP cannot be reached from this access network
    FOREIGN = "foreign"  # another operator runs it


class Outcome(StrEnum):
    """What a decision does with a connection."""

    PROXY = "proxy"
    NATURAL = "natural"  # the connection takes its natural path, past all MCPs
    DENY = "deny"


class Candidate(NamedTuple):
    """One MCP for one pair of edges (access, gateway). `base`: its score without the load."""

    mcp: Mcp
    cost: float
    stretch: float
    on_path: bool
    location_term: float
    type_term: float
    base: float
    filtered: FilterReason | None


class Candidates(NamedTuple):
    """All MCPs for one pair of edges. This part of a decision changes only with the network."""

    access: DatapathId  # datapath ids of the two edges
    gateway: DatapathId
    natural_cost: float
    all: tuple[Candidate, ...]
    ids: tuple[McpId, ...]  # ids of the MCPs, in the order of `all`
    # The MCPs that passed the static filters, from the lowest base on: base, index in `all`, most sessions.
    ranked: tuple[tuple[float, int, int], ...]


class DecisionKey(NamedTuple):
    """The connection that a decision is about. Addresses have 4 or 16 bytes. `previous`: the MCP that the latest session
    of this access edge got."""

    src: bytes
    dst: bytes
    sport: int
    dport: int
    previous: int  # MCP id or 0


class Decision(NamedTuple):
    """Which MCP serves a connection, and why."""

    outcome: Outcome
    winner: int  # index into candidates.all, -1 for none
    reason: str  # what decided: "score", "hysteresis", "rendezvous", "only-candidate", or why there is no MCP
    key: DecisionKey
    candidates: Candidates
    loads: tuple[int, ...]  # active sessions of each MCP at the decision, in the order of candidates.all
    outside: tuple[float, ...]  # reported load of each MCP, 0 to 1, or ()
    time: float  # engine time, seconds

    @property
    def mcp(self) -> Mcp | None:
        return self.candidates.all[self.winner].mcp if self.winner >= 0 else None


class Ruling(NamedTuple):
    """A decision, the rule that governs the session, and the version of the policy. A ruling leaves out what differs
    between sessions: the time, and the loads of the MCPs then. Sessions with equal rulings share one record."""

    outcome: Outcome
    winner: int  # index into candidates.all, -1 for none
    reason: str
    candidates: Candidates
    outside: tuple[float, ...]
    rule: str  # "" for the policy's own terms
    terms: Terms
    policy_version: int
    subscriber: str
    application: str
    counted: str  # subscriber whose limits the session uses up; "": none of the policy, the address counts

    @property
    def mcp(self) -> Mcp | None:
        return self.candidates.all[self.winner].mcp if self.winner >= 0 else None
