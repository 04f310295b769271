"""Records of a cluster of controllers: who is there, who decides for which switches, and by which generation.

A generation is OpenFlow's `generation_id` (OpenFlow 1.3.5, 6.3.4): a switch obeys the MASTER with the newest one. The
*same* one given to two controllers would let both be MASTER in turn, and tell neither. So each is granted once, to one
controller for one share, before it is needed.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

MOST_MEMBERS = 64
MOST_SHARES = 4_096
MOST_STANDBYS = 2
MOST_CAPACITY = 1_000_000
LAST_GENERATION = 2**62  # compared as signed 64-bit differences: half of what OpenFlow could take
ENDPOINT_TIMEOUT = (
    2.0  # seconds in which an endpoint of etcd has to answer a request; then the next one is asked
)
WATCH_QUIET = 2.0  # seconds without an event after which a watch of etcd is begun anew at the next endpoint
# Seconds in which every member has to be prepared for a policy. One whose endpoint of etcd died without a word hears of the
# proposal when its watch was quiet for so long, and its answer may cost it another endpoint's time-out. Less would refuse policies
# for which all members are ready. It is also more than a dead member's lease.
POLICY_PATIENCE = WATCH_QUIET + ENDPOINT_TIMEOUT + 1.0


class ClusterMember(NamedTuple):
    """A controller that is there. `address`: the URL of its REST. `capacity`: its part of the work beside others', a
    plain number. `draining`: it is to decide for nothing more. `stream`: ADDRESS:PORT where other controllers reach it,
    "" where none can."""

    id: str
    address: str
    capacity: int = 1
    draining: bool = False
    stream: str = ""


class Grant(NamedTuple):
    """A generation that one controller has of one share, and nobody else ever had or will have."""

    controller: str
    generation: int


class ShareAssignment(NamedTuple):
    """Who decides for a share: the owner as MASTER, then standbys, in the order in which they claim it."""

    owner: Grant
    standbys: tuple[Grant, ...] = ()

    def grant_of(self, controller: str) -> Grant | None:
        """What a controller was granted of this share, None for nothing."""
        return next((one for one in (self.owner, *self.standbys) if one.controller == controller), None)


class ShareRole(StrEnum):
    """What a controller is to the switches of a share."""

    OWNER = "owner"
    STANDBY = "standby"
    NONE = "none"


class Duty(NamedTuple):
    """What this controller is to a switch, and by which generation; 0 where it has none."""

    role: ShareRole
    generation: int


NO_DUTY = Duty(ShareRole.NONE, 0)


class ShareMove(NamedTuple):
    """A share that goes from one controller to another, only to level the load."""

    share: str
    giver: str
    taker: str


class Rebalance(NamedTuple):
    """An order to level the load that is under way. `share` goes to `taker`; "" between two of them."""

    share: str = ""
    taker: str = ""


class PeerStatus(NamedTuple):
    """Another controller that decides for switches. `reached`: whether it is heard; `tokens`: of its sessions, known here;
    `whole`: whether it has told all of them; `unread`: bytes that it was told and has not taken."""

    name: str
    reached: bool
    tokens: int
    whole: bool
    unread: int


class ClusterStatus(NamedTuple):
    """What a controller knows of its cluster. `reached`: whether etcd answers; `revision`: up to which all is known;
    `roles`: switches by name, and what this controller is to each; `events`: how often each happened; `peers`: other owners
    of shares, where there are several shares; `rebalance`: what is under way, None for nothing; `streams`: controllers with
    which a stream is open; `gave_up`: the move with which the last order ended early, None where it did not;
    `policy_seconds`: from when this controller saw the last policy to its activation here, None before the first."""

    controller: str
    reached: bool
    revision: int
    members: tuple[ClusterMember, ...]
    shares: tuple[tuple[str, ShareAssignment], ...]
    roles: tuple[tuple[str, str], ...]
    events: Mapping[str, int]
    peers: tuple[PeerStatus, ...] = ()
    rebalance: Rebalance | None = None
    streams: tuple[str, ...] = ()
    gave_up: Rebalance | None = None
    policy_seconds: float | None = None


class PolicyEvent(StrEnum):
    """What happened to policies that the controllers of a cell agree on."""

    ACTIVATED = "policy-activated"  # another policy came into force here
    REFUSED = "policy-refused"  # a member refused what was written here
    LATE = "policy-late"  # what was written here was not agreed on in time
    TURNED_DOWN = "policy-turned-down"  # this controller refused what was written at another
    LEFT_OVER = "policy-left-over"  # the remains of a policy that never came into force were removed
    NOT_TAKEN = "policy-not-taken"  # it is in force, and this controller cannot use it
    DAMAGED = "policy-damaged"  # a record in etcd that is none of ours


class ClusterUnreachable(Exception):
    """An order that etcd could not be told; the message is one line."""


class RebalanceRefusal(Exception):
    """The load is not levelled; the message is one line that says why."""


class PeerRequest(NamedTuple):
    """A request that another controller is to answer for itself. `who` and `role`: whose it is. `target`: path and query."""

    method: str
    target: str
    role: str
    who: str


class PeerReply(NamedTuple):
    """`status`: of HTTP; `body`: JSON, as another controller says it: nothing of it is checked yet."""

    status: int
    body: bytes


class PeerFailure(StrEnum):
    """Why another controller's answer is missing."""

    UNREACHABLE = "unreachable"  # there is no stream with it, or the stream ended meanwhile
    SILENT = "silent"  # it did not answer in time
    OLD = "old"  # its version knows no such questions
    TOO_LONG = "too-long"  # its answer is longer than any may be
    REFUSED = "refused"  # it answers with an error
    MALFORMED = "malformed"  # its answer is not what was asked for
    BUSY = "busy"  # this controller has too many questions open


def nothing_meanwhile() -> None:
    """For who has nothing else to do while others answer."""


class ClusterPeers(Protocol):
    """The other controllers of the cell, as REST asks them for what they know."""

    name: str  # this controller's own

    def others(self) -> tuple[str, ...]:
        """Who else may know sessions, in the order of their names."""

    def ask(
        self,
        requests: Mapping[str, PeerRequest],
        seconds: float,
        meanwhile: Callable[[], None] = nothing_meanwhile,
    ) -> Mapping[str, PeerReply | PeerFailure]:
        """Ask each of them, all at once, do `meanwhile`, and then wait until all have answered, at most so long. Only for who
        may wait. Raises what `meanwhile` raises."""

    def failed(self, name: str, why: PeerFailure) -> None:
        """Count an answer that was refused here."""


class ClusterControl(Protocol):
    """A running cluster, as REST asks it."""

    def status(self) -> ClusterStatus: ...

    def decides(self) -> bool:
        """Whether this controller decides for any switch."""

    def drain(self, controller: str, draining: bool) -> None:
        """Let a controller decide for nothing more, or again. Raises ClusterUnreachable."""

    def rebalance(self, dry_run: bool) -> tuple[ShareMove, ...]:
        """Level the load, one share after the other, unless `dry_run`. Returns the moves in their order. Raises
        RebalanceRefusal and ClusterUnreachable."""
