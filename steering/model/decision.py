"""A decision and its reasons, and what is kept of it with every session."""

from enum import StrEnum
from typing import NamedTuple

from steering.model.ids import DatapathId, McpId
from steering.model.network import Mcp
from steering.model.policy import Terms


class FilterReason(StrEnum):
    """Why an MCP was no candidate (hard filters)."""

    UNREACHABLE = "unreachable"  # no path to it or from it to the gateway
    UNRESOLVED = "unresolved"  # its MAC is not known: it does not answer ARP or ND
    FAMILY = "address-family"
    PORT = "service-port"
    REFERRAL = "referral-port"  # its protocol carries addresses, which the MCP would change (N-5.4.1.2)
    STRETCH = "stretch"
    FULL = "full"
    DOWN = "down"
    DRAINING = "draining"
    NOT_CANDIDATE = "not-a-candidate"  # the rule names others
    EXPECTATION = "expectation"
    ACCESS = "access-network"  # it cannot be reached from this one
    FOREIGN = "foreign"  # another operator runs it


class Outcome(StrEnum):
    PROXY = "proxy"
    NATURAL = "natural"
    DENY = "deny"


class Candidate(NamedTuple):
    """One MCP seen from one (access edge, gateway edge) pair. `base` is the score without load."""

    mcp: Mcp
    cost: float
    stretch: float
    on_path: bool
    location_term: float
    type_term: float
    base: float
    filtered: FilterReason | None


class Candidates(NamedTuple):
    """All MCPs from one pair of edges: the part of a decision that changes only with the network."""

    access: DatapathId  # datapath ids of the two edges
    gateway: DatapathId
    natural_cost: float
    all: tuple[Candidate, ...]
    ids: tuple[McpId, ...]  # MCP ids in the same order
    open: tuple[int, ...]  # indexes that passed the static filters


class DecisionKey(NamedTuple):
    """What a decision is about. Addresses 4 or 16 bytes; `previous` the MCP last given to this edge."""

    src: bytes
    dst: bytes
    sport: int
    dport: int
    previous: int  # MCP id or 0


class Decision(NamedTuple):
    outcome: Outcome
    winner: int  # index into candidates.all, -1 for none
    reason: str  # what settled it: "score", "hysteresis", "rendezvous", "only-candidate", or why none
    key: DecisionKey
    candidates: Candidates
    loads: tuple[int, ...]  # active sessions of each MCP at that moment, in the order of candidates.all
    outside: tuple[float, ...]  # load 0 to 1 that others reported, or ()
    time: float

    @property
    def mcp(self) -> Mcp | None:
        return self.candidates.all[self.winner].mcp if self.winner >= 0 else None


class Ruling(NamedTuple):
    """What a decision was, the rule that governed it, and the policy it stood in, but for what is a session's own: the
    moment, and the MCPs' loads then. Sessions that were ruled alike share one."""

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

    @property
    def mcp(self) -> Mcp | None:
        return self.candidates.all[self.winner].mcp if self.winner >= 0 else None
