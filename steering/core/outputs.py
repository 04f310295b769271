"""The outputs of the engine, and functions that make the output Release for a held segment."""

from typing import NamedTuple

from steering.core.inputs import SynSeen
from steering.core.peer_facts import TellPeer
from steering.model.authorisation import Authorizer
from steering.model.ids import DatapathId, McpId, PortNumber
from steering.model.network import Attachment, PortRef
from steering.model.preference import Intent
from steering.model.rules import FailoverGroup, MeterBand, Rule
from steering.model.session import Entry

_new = tuple.__new__  # makes a NamedTuple without the call of its constructor


class Release(NamedTuple):
    """Forward a held segment. `waypoint` >= 0: set the label of `waypoint` and `path`, decrement the TTL, resubmit to LABEL.
    NATURAL: write `role` into metadata and resubmit to ROUTE. ANEW: handle the segment as if it came in now."""

    dpid: DatapathId
    in_port: PortNumber
    frame: bytes
    waypoint: int
    path: int
    role: int


NATURAL, ANEW = -1, -2


class Steer(NamedTuple):
    """Add session entries, then release a segment.

    Entries of other switches than the release's are confirmed by a barrier first (docs/design/measured.rst, Order). Then
    the local entries and the packet-out leave in one write. `release` None: entries are only added.
    """

    entries: tuple[Entry, ...]
    release: Release | None


class RemoveEntries(NamedTuple):
    """Remove session entries."""

    entries: tuple[Entry, ...]


class SyncRules(NamedTuple):
    """Static and host rules to change. `meters` and `groups` are written first, because rules use them. Deletes come last,
    so that no traffic is lost meanwhile. If `confirm` is not 0, the switch's answer is Confirmed with this ticket."""

    dpid: DatapathId
    add: tuple[Rule, ...]
    delete: tuple[Rule, ...]
    meters: tuple[MeterBand, ...] = ()
    confirm: int = 0
    groups: tuple[FailoverGroup, ...] = ()


class RenewRules(NamedTuple):
    """Restart the time-outs of rules that a filled switch holds. This output overtakes all that waits for the switch's
    confirmation, because the rules would time out meanwhile."""

    dpid: DatapathId
    rules: tuple[Rule, ...]


class FillSwitch(NamedTuple):
    """Fill a switch that has connected with all that it should hold.

    The stages have a barrier between them: meters and groups, tables LABEL and HOST (`forwarding`), session `entries`, all
    other tables (`admission`). Afterwards static rules of older epochs, `stale` session entries and groups that are not
    in `groups` are deleted.
    """

    dpid: DatapathId
    meters: tuple[MeterBand, ...]
    forwarding: tuple[Rule, ...]
    entries: tuple[Entry, ...]
    stale: tuple[Entry, ...]
    admission: tuple[Rule, ...]
    epoch: int
    groups: tuple[FailoverGroup, ...] = ()


class ReadEntries(NamedTuple):
    """Ask a switch for its session and host entries. The answer is EntriesRead."""

    dpid: DatapathId


class ForgetReading(NamedTuple):
    """The last EntriesRead of a switch was handled, and no FillSwitch follows: the switch holds what it should."""

    dpid: DatapathId


class SweepEntries(NamedTuple):
    """Ask a switch for the counters of the session entries whose token is `share` modulo `shares`, a power of two. The
    answer is SweepRead, in pieces."""

    dpid: DatapathId
    share: int = 0
    shares: int = 1


class ReadCounters(NamedTuple):
    """Ask a switch for the counters of single session entries. The answer is CountersRead."""

    dpid: DatapathId
    entries: tuple[Entry, ...]


class ProveChannel(NamedTuple):
    """Test a switch's OpenFlow channel. The answer is ChannelProved, after all that the switch sent before has been read.

    If several tests of a switch are open, the first is answered. If no answer comes, the channel is dead, or was silent for
    so long that the questions sent over it could not be answered in time.
    """

    dpid: DatapathId


class SendFrame(NamedTuple):
    """Send a frame of the controller (ARP, ND, RA, time exceeded, a reset) out of one port."""

    dpid: DatapathId
    port: PortNumber
    frame: bytes


class Authorise(NamedTuple):
    """Ask an authoriser about the address `source`, 4 or 16 bytes. The answer is Authorised with the same `request`. After
    `seconds` an answer comes too late. `subscriber`: the pseudonym of the source's subscriber, "" if the registry does not
    know the source."""

    request: int
    authorizer: Authorizer
    source: bytes
    access: str
    subscriber: str
    seconds: float


class Prefer(NamedTuple):
    """Tell an MCP what is wanted of some subflows: those for which something else is wanted than before."""

    mcp: McpId
    intents: tuple[Intent, ...]


class GoOn(NamedTuple):
    """Long work is left: give the engine the input Continue as soon as all inputs that wait now have been handled."""


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
    """Forward a held SYN by its natural route."""
    return Release(seen.dpid, seen.port, seen.frame, NATURAL, 0, attachment.role)


def steered(attachment: Attachment, seen: SynSeen, waypoint: int) -> Release:
    """Forward a held SYN to a waypoint."""
    return _new(Release, (seen.dpid, seen.port, seen.frame, waypoint, 0, attachment.role))


def anew(port: PortRef, frame: bytes) -> Release:
    """Handle a held frame as if it came in at `port` now."""
    return Release(port.dpid, port.port, frame, ANEW, 0, 0)
