"""What comes out of the engine, and the ways on for a segment that was held at its edge."""

from typing import NamedTuple

from steering.core.inputs import SynSeen
from steering.core.peer_facts import TellPeer
from steering.model.authorisation import Authorizer
from steering.model.ids import DatapathId, McpId, PortNumber
from steering.model.network import Attachment, PortRef
from steering.model.preference import Intent
from steering.model.rules import FailoverGroup, MeterBand, Rule
from steering.model.session import Entry

_new = tuple.__new__  # of a NamedTuple, without its own constructor's call


class Release(NamedTuple):
    """A held segment goes on. waypoint >= 0: set the label, decrement TTL, resubmit to LABEL;
    NATURAL: write `role` into metadata and resubmit to ROUTE; ANEW: as if it came in now."""

    dpid: DatapathId
    in_port: PortNumber
    frame: bytes
    waypoint: int
    path: int
    role: int


NATURAL, ANEW = -1, -2


class Steer(NamedTuple):
    """Add session entries, then release a segment.

    Entries of switches other than the release's are confirmed by barrier first (docs/design/measured.rst, Order);
    then the local entries and the packet-out go out in one write. Without release: just add.
    """

    entries: tuple[Entry, ...]
    release: Release | None


class RemoveEntries(NamedTuple):
    entries: tuple[Entry, ...]


class SyncRules(NamedTuple):
    """Static and host rules to change. Order: `meters` and `groups` they use first, deletes last, so that nothing blacks
    out. With a `confirm` the answer is Confirmed, unless the switch goes away."""

    dpid: DatapathId
    add: tuple[Rule, ...]
    delete: tuple[Rule, ...]
    meters: tuple[MeterBand, ...] = ()
    confirm: int = 0
    groups: tuple[FailoverGroup, ...] = ()


class RenewRules(NamedTuple):
    """Rules with a time-out that a filled switch holds: their time begins again. They overtake what waits for the
    switch's confirmation, as none of it may take their time from them."""

    dpid: DatapathId
    rules: tuple[Rule, ...]


class FillSwitch(NamedTuple):
    """Everything a switch that (re)connected should hold, in stages with a barrier between them:
    meters and groups, labels and hosts, session entries, then guard, classify and route.
    Afterwards static rules of older epochs, `stale` session entries and groups that are not named are deleted."""

    dpid: DatapathId
    meters: tuple[MeterBand, ...]
    forwarding: tuple[Rule, ...]
    entries: tuple[Entry, ...]
    stale: tuple[Entry, ...]
    admission: tuple[Rule, ...]
    epoch: int
    groups: tuple[FailoverGroup, ...] = ()


class ReadEntries(NamedTuple):
    """Ask a switch for its session and host entries; the answer is EntriesRead."""

    dpid: DatapathId


class ForgetReading(NamedTuple):
    """All was done with the last EntriesRead of a switch that is not filled after it: it holds what it should."""

    dpid: DatapathId


class SweepEntries(NamedTuple):
    """Ask a switch what its session entries have counted: those whose token is `share` modulo `shares`, a power of two.
    The answer is SweepRead, in pieces."""

    dpid: DatapathId
    share: int = 0
    shares: int = 1


class ReadCounters(NamedTuple):
    """Ask a switch what some of its session entries have counted, each by itself; the answer is CountersRead."""

    dpid: DatapathId
    entries: tuple[Entry, ...]


class ProveChannel(NamedTuple):
    """Whether a switch's channel carries anything: the answer is ChannelProved, once all that the switch said before has
    been read. Of several that are open for a switch the first is answered. No answer: the channel is silent, or was for so
    long that what was asked by it had no time to be answered."""

    dpid: DatapathId


class SendFrame(NamedTuple):
    """A packet of the controller's own (ARP request, ND, RA, time-exceeded), out of one port."""

    dpid: DatapathId
    port: PortNumber
    frame: bytes


class Authorise(NamedTuple):
    """Ask an authoriser about a source, 4 or 16 bytes; the answer is Authorised with the same `request`, within
    `seconds`, or it comes too late.
    `subscriber`: its pseudonym, empty where the registry does not know it."""

    request: int
    authorizer: Authorizer
    source: bytes
    access: str
    subscriber: str
    seconds: float


class Prefer(NamedTuple):
    """What an MCP is to make of subflows: only those for which something else is wanted than before."""

    mcp: McpId
    intents: tuple[Intent, ...]


class GoOn(NamedTuple):
    """More is to be done than fits between two packets: give Continue when all others that wait had their turn."""


Output = (
    Steer
    | RemoveEntries
    | SyncRules
    | RenewRules
    | FillSwitch
    | ReadEntries
    | ForgetReading
    | SweepEntries
    | ReadCounters
    | ProveChannel
    | SendFrame
    | Release
    | Authorise
    | Prefer
    | TellPeer
    | GoOn
)


def naturally(attachment: Attachment, seen: SynSeen) -> Release:
    """By the natural route."""
    return Release(seen.dpid, seen.port, seen.frame, NATURAL, 0, attachment.role)


def steered(attachment: Attachment, seen: SynSeen, waypoint: int) -> Release:
    """To a waypoint."""
    return _new(Release, (seen.dpid, seen.port, seen.frame, waypoint, 0, attachment.role))


def anew(port: PortRef, frame: bytes) -> Release:
    """As if it came in at the port now."""
    return Release(port.dpid, port.port, frame, ANEW, 0, 0)
