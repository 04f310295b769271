"""Records of a cluster of controllers: its members, and which member decides for which switches.

The switches of a site are divided into shares. One member is MASTER of all switches of a share, others are its standbys.

A generation is OpenFlow's `generation_id` (OpenFlow 1.3.5, 6.3.4). A switch obeys the MASTER with the newest generation.
If two controllers used the *same* generation, both would be MASTER in turn and neither would notice. Therefore each
generation is granted once, to one controller for one share, before the controller needs it.
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
# Seconds in which every member has to agree to a policy. If a member's etcd endpoint died silently, the member sees the
# proposal only after WATCH_QUIET, and its answer may cost the time-out of one more endpoint. A shorter time would refuse
# policies to which all members agree. The time is also longer than the lease of a dead member.
POLICY_PATIENCE = WATCH_QUIET + ENDPOINT_TIMEOUT + 1.0


class ClusterMember(NamedTuple):
    """A running controller of the cluster. `address`: the URL of its REST. `capacity`: its share of the work in
    proportion to the other members' capacities. `draining`: the controller is to give up all switches. `stream`:
    ADDRESS:PORT where other controllers reach it, "" where none can."""

    id: str
    address: str
    capacity: int = 1
    draining: bool = False
    stream: str = ""


class Grant(NamedTuple):
    """A generation of one share that was given to one controller. No other controller ever gets it."""

    controller: str
    generation: int


class ShareAssignment(NamedTuple):
    """The controllers of a share: the owner, which is MASTER, and the standbys in the order in which they would claim
    the share."""

    owner: Grant
    standbys: tuple[Grant, ...] = ()

    def grant_of(self, controller: str) -> Grant | None:
        """The controller's grant of this share, None if it has none."""
        return next((one for one in (self.owner, *self.standbys) if one.controller == controller), None)


class ShareRole(StrEnum):
    """What a controller is to the switches of a share."""

    OWNER = "owner"
    STANDBY = "standby"
    NONE = "none"


class Duty(NamedTuple):
    """This controller's role for one switch, and the generation of its grant, 0 where it has none."""

    role: ShareRole
    generation: int


NO_DUTY = Duty(ShareRole.NONE, 0)


class ShareMove(NamedTuple):
    """Moves a share from one controller to another, in order to level the load."""

    share: str
    giver: str
    taker: str


class Rebalance(NamedTuple):
    """An order to level the load that is being carried out. `share` is moving to `taker`. Both are "" between two moves."""

    share: str = ""
    taker: str = ""


class PeerStatus(NamedTuple):
    """Another controller that decides for switches.

    `reached`: whether its stream is alive. `tokens`: how many tokens of its sessions this controller knows. `whole`:
    whether it has sent all of its tokens. `unread`: bytes that wait to be sent to it.
    """

    name: str
    reached: bool
    tokens: int
    whole: bool
    unread: int


class ClusterStatus(NamedTuple):
    """What a controller knows of its cluster.

    `policy_seconds` is the time from when this controller saw the latest policy to its activation here. None: no policy
    was activated yet.
    """

    controller: str
    reached: bool  # whether etcd answers
    revision: int  # etcd's revision up to which all changes are known
    members: tuple[ClusterMember, ...]
    shares: tuple[tuple[str, ShareAssignment], ...]
    roles: tuple[tuple[str, str], ...]  # name of a switch, and this controller's role for it
    events: Mapping[str, int]  # how often each event happened
    peers: tuple[PeerStatus, ...] = ()  # other owners of shares, where there are several shares
    rebalance: Rebalance | None = None  # the order that is being carried out
    streams: tuple[str, ...] = ()  # controllers with which a stream is open
    gave_up: Rebalance | None = None  # the move at which the last order ended early
    policy_seconds: float | None = None
    unheard: tuple[
        str, ...
    ] = ()  # members that live by etcd, and that this controller has not heard for long


class PolicyEvent(StrEnum):
    """Events of policies that the controllers of a cell agree on."""

    ACTIVATED = "policy-activated"  # another policy came into force here
    REFUSED = "policy-refused"  # a member refused a policy that was written at this controller
    LATE = "policy-late"  # the members did not agree in time on a policy that was written at this controller
    TURNED_DOWN = "policy-turned-down"  # this controller refused a policy that was written at another one
    LEFT_OVER = "policy-left-over"  # the remains of a policy that never came into force were removed
    NOT_TAKEN = "policy-not-taken"  # this controller cannot use the policy that is in force
    DAMAGED = "policy-damaged"  # etcd has a record that no controller wrote


class UsageEvent(StrEnum):
    """Events of the records in etcd of what controllers have counted towards quotas of bytes."""

    DAMAGED = "usage-damaged"  # a record, or a pair in it, that no controller wrote
    NO_ROOM = "usage-no-room"  # records have no room for a pair of subscriber and access type


class ClusterUnreachable(Exception):
    """An order that could not be written to etcd. The message is one line."""


class RebalanceRefusal(Exception):
    """The load is not levelled. The message is one line that says why."""


class PeerRequest(NamedTuple):
    """A REST request that another controller is to answer for itself. `target`: path and query. `role` and `who`: the
    role and the name of the client's token."""

    method: str
    target: str
    role: str
    who: str


class PeerReply(NamedTuple):
    """Another controller's answer. `status`: the HTTP status. `body`: JSON, not yet checked."""

    status: int
    body: bytes


class PeerFailure(StrEnum):
    """Why another controller's answer is missing."""

    UNREACHABLE = "unreachable"  # there is no stream to the other controller, or the stream ended meanwhile
    SILENT = "silent"  # no answer came in time
    OLD = "old"  # the other controller's version has no such messages
    TOO_LONG = "too-long"  # the answer is longer than allowed
    REFUSED = "refused"  # the answer is an error
    MALFORMED = "malformed"  # the answer has another form than was asked for
    BUSY = "busy"  # this controller waits for too many answers already


def nothing_meanwhile() -> None:
    """Do nothing: for callers of `ClusterPeers.ask` that have no other work meanwhile."""


class ClusterPeers(Protocol):
    """The other controllers of the cell, to which REST forwards requests."""

    name: str  # this controller's own

    def others(self) -> tuple[str, ...]:
        """The names of the other controllers that may have sessions, sorted."""

    def ask(
        self,
        requests: Mapping[str, PeerRequest],
        seconds: float,
        meanwhile: Callable[[], None] = nothing_meanwhile,
    ) -> Mapping[str, PeerReply | PeerFailure]:
        """Send each controller its request, call `meanwhile`, then wait for all answers, at most `seconds`.

        Blocks, so only a green thread that may wait calls it. Raises what `meanwhile` raises.
        """

    def failed(self, name: str, why: PeerFailure) -> None:
        """Count an answer of the controller `name` that the caller could not use."""


class ClusterControl(Protocol):
    """What REST can read from and order of a running cluster."""

    def status(self) -> ClusterStatus: ...

    def decides(self) -> bool:
        """Whether this controller decides for any switch."""

    def drain(self, controller: str, draining: bool) -> None:
        """Have a controller give up all switches, or let it have switches again. Raises ClusterUnreachable."""

    def rebalance(self, dry_run: bool) -> tuple[ShareMove, ...]:
        """Level the load, one share after the other, unless `dry_run`. Returns the moves in their order. Raises
        RebalanceRefusal and ClusterUnreachable."""
