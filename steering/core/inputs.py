"""What goes into the engine. NamedTuples: cheap to make, as the SYN path makes many.

Packets that are no TCP segments stand in `packet_inputs`, what other controllers tell in `peer_facts`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from steering.core.packet_inputs import PacketInput
from steering.core.peer_facts import PeerInput
from steering.model.authorisation import AclEntry, RegistryEntry, Verdict
from steering.model.ids import DatapathId, McpId, PortNumber, Token
from steering.model.kept import KeptState
from steering.model.link_trip import LinkTrip
from steering.model.network import Mcp, NetworkAccessType, PortRef, Trust
from steering.model.numbers import Numbers
from steering.model.policy import Policy, Pooling
from steering.model.reservation import AcceptReservation as AcceptReservation
from steering.model.reservation import ReleaseReservation as ReleaseReservation
from steering.model.reservation import RenewReservation as RenewReservation
from steering.model.reservation import Reserve as Reserve
from steering.model.switch_contents import ObservedEntry as ObservedEntry
from steering.model.switch_contents import ObservedHost as ObservedHost
from steering.model.usual_segment import UsualJoin, UsualSyn, UsualSynAck
from steering.wire.handshake import Handshake


class SwitchUp(NamedTuple):
    """A switch finished its handshake. `ports`: OpenFlow number -> link is up; `speeds`: of ports that tell it,
    kbit/s; `names`: as the switch calls its ports."""

    dpid: DatapathId
    ports: Mapping[PortNumber, bool]
    speeds: Mapping[PortNumber, int] = MappingProxyType({})
    names: Mapping[PortNumber, str] = MappingProxyType({})


class SwitchDown(NamedTuple):
    dpid: DatapathId


class PortStatus(NamedTuple):
    """A port's link changed; `gone`: the switch has no such port any more."""

    dpid: DatapathId
    port: PortNumber
    up: bool
    gone: bool = False
    name: str = ""


class LinkUp(NamedTuple):
    """Discovery saw the link from `a` to `b`; one direction."""

    a: PortRef
    b: PortRef


class LinkDown(NamedTuple):
    a: PortRef
    b: PortRef


class EntriesRead(NamedTuple):
    """All session and host entries of one switch, read back on connect. `epoch`: that of its static rules, where another
    controller's are to be adopted."""

    dpid: DatapathId
    entries: list[ObservedEntry]
    hosts: list[ObservedHost]
    epoch: int | None = None


class SweepRead(NamedTuple):
    """A piece of what a switch answers to SweepEntries. `last`: there is no more. `whole`: all of its session entries
    were asked about. `asked_at`: seconds of the engine's clock; what was counted later may be missing."""

    dpid: DatapathId
    entries: list[ObservedEntry]
    last: bool
    whole: bool
    asked_at: float


class CountersRead(NamedTuple):
    """What some entries of one switch have counted, as ReadCounters asked; one that is not there counted nothing."""

    dpid: DatapathId
    entries: list[ObservedEntry]


class WatchSessions(NamedTuple):
    """Whether changes of sessions are written down from now on. A period before that is over, and can be looked at."""

    wanted: bool


class GroupsRefused(NamedTuple):
    """A switch refused a failover group."""

    dpid: DatapathId


class Confirmed(NamedTuple):
    """A switch has carried out the SyncRules that asked for a confirmation with this `ticket`."""

    dpid: DatapathId
    ticket: int


class ChannelProved(NamedTuple):
    """A switch has answered what a ProveChannel sent it at `asked_at`: its channel carried all that was written before."""

    dpid: DatapathId
    asked_at: float


class SynSeen(NamedTuple):
    """A TCP SYN (no ACK) punted from an attachment port. `frame` is the whole packet."""

    dpid: DatapathId
    port: PortNumber
    handshake: Handshake
    frame: bytes


class SynAckSeen(NamedTuple):
    """A copied SYN/ACK; the switch has forwarded it already."""

    dpid: DatapathId
    port: PortNumber
    handshake: Handshake


class FinSeen(NamedTuple):
    """A copied FIN or reset; the switch has forwarded it already."""

    dpid: DatapathId
    port: PortNumber
    handshake: Handshake
    payload: int = 0  # bytes of data before the FIN


class WatchedSeen(NamedTuple):
    """A segment of a watched session entry (model.session.Watch); `frame` may be cut after its TCP header."""

    dpid: DatapathId
    port: PortNumber
    handshake: Handshake
    frame: bytes


class ProbeAnswered(NamedTuple):
    """A segment that an MCP sent to the address that its probes come from."""

    dpid: DatapathId
    port: PortNumber
    handshake: Handshake
    frame: bytes


class PolicyReplaced(NamedTuple):
    """This policy counts from now on; live sessions keep their MCP."""

    policy: Policy


class McpsReplaced(NamedTuple):
    """The site has these MCPs from now on (D-6.7.7). Sessions of an MCP that is not among them end."""

    mcps: tuple[Mcp, ...]
    switches: Mapping[str, DatapathId] = MappingProxyType({})  # names that come with them
    numbers: Numbers | None = None  # as they were given; None: new waypoints get free ones


class McpAdmin(NamedTuple):
    """The operator drains an MCP: it keeps its sessions and gets no new ones (D-6.7.1)."""

    mcp: McpId
    draining: bool


class McpReport(NamedTuple):
    """What an MCP says of itself. `load` 0 to 1, None: not said. `pace`: seconds after which it promises to report
    again, None: it promises nothing."""

    mcp: McpId
    alive: bool
    load: float | None
    pace: float | None = None


class SessionBegan(NamedTuple):
    """An MCP serves a session. `id`: its number in one generation of the MCP; `token` of the MCP's key, NO_TOKEN for
    plain TCP; addresses (4 or 16 bytes) and ports are those of the first subflow, the host's end first."""

    id: int
    token: Token
    src: bytes
    sport: int
    dst: bytes
    dport: int


class SessionOver(NamedTuple):
    """An MCP serves a session no more. `orderly`: both directions ended, and some of it may still be under way."""

    id: int
    token: Token
    orderly: bool


class McpSessions(NamedTuple):
    """A batch of an MCP's report of its own sessions (docs/relay-reports.rst). `part`: 0 for changes, else which part
    of the whole set of live sessions, and `last` whether that is complete with it."""

    mcp: McpId
    generation: str
    sequence: int
    part: int
    last: bool
    events: tuple[SessionBegan | SessionOver, ...]


class PortLoad(NamedTuple):
    """Utilisation of a port, 0 to 1, from its switch's counters."""

    dpid: DatapathId
    port: PortNumber
    utilisation: float


class SynRate(NamedTuple):
    """SYNs a second that came in at a port, also those that its meter dropped."""

    dpid: DatapathId
    port: PortNumber
    rate: float


class CopiesLost(NamedTuple):
    """Copies, and SYNs, that meters of a switch did not let through since it was asked last: (meter, how many)."""

    dpid: DatapathId
    lost: tuple[tuple[int, int], ...]


class HostSynsLost(NamedTuple):
    """SYNs that hosts' own meters did not let through since the switch was asked last: (meter, how many)."""

    dpid: DatapathId
    lost: tuple[tuple[int, int], ...]


class TagsRefused(NamedTuple):
    """So many packets with tags of no attachment ended at a switch since it was asked last."""

    dpid: DatapathId
    packets: int


class AccessChanged(NamedTuple):
    """New network access type information (D-6.3e); acts on live sessions. None: as it was."""

    name: str
    type: NetworkAccessType | None
    trust: Trust | None


class SubscriberAccess(NamedTuple):
    """Which accesses a subscriber may combine from now on, and in which order; None: what policy says."""

    subscriber: str
    pooling: Pooling | None


class Offload(NamedTuple):
    """Traffic of one access network moves to another wherever a session has both; None: no more (D-1.u2)."""

    source: str
    target: str | None


class AbortSession(NamedTuple):
    """End a session by MP_FASTCLOSE where the host's key is kept, else by removing its pins."""

    session: int


class Authorised(NamedTuple):
    """The answer to an Authorise. `ttl` seconds, None: as the policy says; `klass` of the source, or empty."""

    request: int
    verdict: Verdict
    klass: str = ""
    ttl: float | None = None


class AclReplaced(NamedTuple):
    """The live access control list, which stands before the policy's own (N-5.3b)."""

    entries: tuple[AclEntry, ...]


class RegistryReplaced(NamedTuple):
    """The subscribers of the registry, all of them (N-5.3a)."""

    subscribers: tuple[RegistryEntry, ...]


class PairingsReplaced(NamedTuple):
    """Addresses of the devices that are paired with the controller (S-14), 4 or 16 bytes each."""

    addresses: frozenset[bytes]


class Restored(NamedTuple):
    """What an earlier controller kept; given once, before any switch connects."""

    kept: KeptState


class TimeOfDay(NamedTuple):
    """Local minute of the week, Monday 0:00 is 0; told once a minute, since the core has no clock (D-3.2c)."""

    minute: int


class LinkWeighed(NamedTuple):
    """An operator sets a link's weight, both ways; None: the site's own again (D-1.d)."""

    a: PortRef
    b: PortRef
    weight: float | None


class Continue(NamedTuple):
    """The next slice of what GoOn was about; a Tick does one as well."""


class Tick(NamedTuple): ...


Input = (
    SwitchUp
    | SwitchDown
    | PortStatus
    | LinkUp
    | LinkTrip
    | LinkDown
    | EntriesRead
    | SweepRead
    | WatchSessions
    | CountersRead
    | GroupsRefused
    | ChannelProved
    | Confirmed
    | SynSeen
    | SynAckSeen
    | FinSeen
    | UsualSyn
    | UsualSynAck
    | UsualJoin
    | WatchedSeen
    | ProbeAnswered
    | PacketInput
    | PolicyReplaced
    | McpsReplaced
    | McpAdmin
    | McpReport
    | McpSessions
    | PortLoad
    | SynRate
    | CopiesLost
    | HostSynsLost
    | TagsRefused
    | AccessChanged
    | SubscriberAccess
    | Offload
    | AbortSession
    | Authorised
    | AclReplaced
    | RegistryReplaced
    | PairingsReplaced
    | Reserve
    | AcceptReservation
    | RenewReservation
    | ReleaseReservation
    | Restored
    | TimeOfDay
    | LinkWeighed
    | PeerInput
    | Continue
    | Tick
)
