"""A decision and its reasons, and the part of it that is kept with each session."""

from enum import StrEnum
from typing import NamedTuple

from steering.model.ids import DatapathId, McpId
from steering.model.network import Mcp
from steering.model.policy import Terms


class FilterReason(StrEnum):
    """The hard filter that excluded an MCP."""

    UNREACHABLE = "unreachable"  # there is no path to the MCP, or none from it to the gateway
    UNRESOLVED = "unresolved"  # its MAC is not known, as it does not answer ARP or ND
    FAMILY = "address-family"
    PORT = "service-port"
    REFERRAL = "referral-port"  # the protocol of this port carries addresses, which the MCP would make wrong (N-5.4.1.2)
    STRETCH = "stretch"
    FULL = "full"
    DOWN = "down"
    DRAINING = "draining"
    SICK = "sick"  # it answers, and serves too little
    NOT_CANDIDATE = "not-a-candidate"  # the rule names other MCPs
    EXPECTATION = "expectation"
    ACCESS = "access-network"  # the MCP cannot be reached from this access network
    FOREIGN = "foreign"  # another operator runs it


class Outcome(StrEnum):
    PROXY = "proxy"
    NATURAL = "natural"
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
    """The connection about which is decided. Addresses have 4 or 16 bytes. `previous`: the MCP that this access edge
    got last."""

    src: bytes
    dst: bytes
    sport: int
    dport: int
    previous: int  # MCP id or 0


class Decision(NamedTuple):
    outcome: Outcome
    winner: int  # index into candidates.all, -1 for none
    reason: str  # what decided: "score", "hysteresis", "rendezvous", "only-candidate", or why there is no MCP
    key: DecisionKey
    candidates: Candidates
    loads: tuple[int, ...]  # active sessions of each MCP at the decision, in the order of candidates.all
    outside: tuple[float, ...]  # reported load of each MCP, 0 to 1, or ()
    time: float

    @property
    def mcp(self) -> Mcp | None:
        return self.candidates.all[self.winner].mcp if self.winner >= 0 else None


class Ruling(NamedTuple):
    """A decision, the rule that governs the session, and the version of the policy, without what differs between
    sessions: the time, and the loads of the MCPs then. Sessions with equal rulings share one."""

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
    counted: str  # the subscriber whose limits it uses up; "" for who is none of the policy's, and counts by its address

    @property
    def mcp(self) -> Mcp | None:
        return self.candidates.all[self.winner].mcp if self.winner >= 0 else None
