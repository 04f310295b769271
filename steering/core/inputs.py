"""The inputs of the engine. They are NamedTuples, which are cheap to make: every SYN makes some.

Packets that are no TCP segments are in `packet_inputs`, the messages of other controllers in `peer_facts`, the reports of MCPs
in `mcp_inputs`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from steering.core.mcp_inputs import McpReport as McpReport
from steering.core.mcp_inputs import McpSessions as McpSessions
from steering.core.mcp_inputs import SessionBegan as SessionBegan
from steering.core.mcp_inputs import SessionOver as SessionOver
from steering.core.packet_inputs import PacketInput
from steering.core.peer_facts import PeerInput
from steering.model.authorisation import AclEntry, RegistryEntry, Verdict
from steering.model.ids import DatapathId, McpId, PortNumber
from steering.model.kept import KeptState, KeptUse
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
    """A switch finished its OpenFlow handshake. `ports`: whether each port has link. `speeds`: kbit/s, of ports whose
    speed the switch reports. `names`: the switch's own names of its ports."""

    dpid: DatapathId
    ports: Mapping[PortNumber, bool]
    speeds: Mapping[PortNumber, int] = MappingProxyType({})
    names: Mapping[PortNumber, str] = MappingProxyType({})


class SwitchDown(NamedTuple):
    """The OpenFlow connection of a switch was lost."""

    dpid: DatapathId


class PortStatus(NamedTuple):
    """A port's link changed. `gone`: the switch has no such port any more. `speed`: kbit/s, 0 where the switch reports
    none."""

    dpid: DatapathId
    port: PortNumber
    up: bool
    gone: bool = False
    name: str = ""
    speed: int = 0


class LinkUp(NamedTuple):
    """Discovery found the link from `a` to `b`. One direction only."""

    a: PortRef
    b: PortRef


class LinkDown(NamedTuple):
    """Discovery no longer finds the link from `a` to `b`. One direction only."""

    a: PortRef
    b: PortRef


class EntriesRead(NamedTuple):
    """All session and host entries of one switch, read when it connected. `epoch`: the epoch of its static rules, if rules
    of another controller are to be adopted."""

    dpid: DatapathId
    entries: list[ObservedEntry]
    hosts: list[ObservedHost]
    epoch: int | None = None


class SweepRead(NamedTuple):
    """A piece of a switch's answer to SweepEntries. `last`: the answer is complete. `whole`: all session entries of the
    switch were asked for. `asked_at`: engine time of the question, seconds. Later packets may be missing."""

    dpid: DatapathId
    entries: list[ObservedEntry]
    last: bool
    whole: bool
    asked_at: float


class CountersRead(NamedTuple):
    """The answer to ReadCounters. An entry that is missing in the answer has counted nothing."""

    dpid: DatapathId
    entries: list[ObservedEntry]


class WatchSessions(NamedTuple):
    """Whether changes of sessions are recorded from now on. The period until now ends, and its changes can be read."""

    wanted: bool


class GroupsRefused(NamedTuple):
    """A switch refused a failover group."""

    dpid: DatapathId


class Confirmed(NamedTuple):
    """A switch has carried out the SyncRules that asked for a confirmation with this `ticket`."""

    dpid: DatapathId
    ticket: int


class ChannelProved(NamedTuple):
    """A switch has answered a ProveChannel that was sent at `asked_at`. All that was written to it before has arrived."""

    dpid: DatapathId
    asked_at: float


class SynSeen(NamedTuple):
    """A TCP SYN (without ACK) that came in at an attachment port. The switch holds it back. `frame`: the whole packet."""

    dpid: DatapathId
    port: PortNumber
    handshake: Handshake
    frame: bytes


class SynAckSeen(NamedTuple):
    """A copy of a SYN/ACK. The switch has forwarded the original."""

    dpid: DatapathId
    port: PortNumber
    handshake: Handshake


class FinSeen(NamedTuple):
    """A copy of a FIN or reset. The switch has forwarded the original."""

    dpid: DatapathId
    port: PortNumber
    handshake: Handshake
    payload: int = 0  # bytes of data in the segment


class WatchedSeen(NamedTuple):
    """A segment of a watched session entry (model.session.Watch). `frame` may be cut after its TCP header."""

    dpid: DatapathId
    port: PortNumber
    handshake: Handshake
    frame: bytes


class ProbeAnswered(NamedTuple):
    """A segment from an MCP to the address from which the controller probes."""

    dpid: DatapathId
    port: PortNumber
    handshake: Handshake
    frame: bytes


class PolicyReplaced(NamedTuple):
    """Another policy is in force from now on. Live sessions keep their MCP."""

    policy: Policy


class McpsReplaced(NamedTuple):
    """The site has these MCPs from now on (D-6.7.7). Sessions of an MCP that is not among them end."""

    mcps: tuple[Mcp, ...]
    switches: Mapping[str, DatapathId] = MappingProxyType({})  # names of switches that the MCPs bring along
    numbers: Numbers | None = None  # the site's numbers; None: new waypoints get free ones


class McpAdmin(NamedTuple):
    """The operator drains an MCP, or ends that. A drained MCP keeps its sessions and gets no new ones (D-6.7.1)."""

    mcp: McpId
    draining: bool


class PortLoad(NamedTuple):
    """Utilisation of a port, 0 to 1, from its switch's counters."""

    dpid: DatapathId
    port: PortNumber
    utilisation: float


class SynRate(NamedTuple):
    """SYNs per second that came in at a port, including those that the port's meter dropped."""

    dpid: DatapathId
    port: PortNumber
    rate: float


class CopiesLost(NamedTuple):
    """Copies and SYNs that meters of a switch dropped since the last question: meter number, packets."""

    dpid: DatapathId
    lost: tuple[tuple[int, int], ...]


class HostSynsLost(NamedTuple):
    """SYNs that the meters of single hosts dropped since the last question: meter number, packets."""

    dpid: DatapathId
    lost: tuple[tuple[int, int], ...]


class TagsRefused(NamedTuple):
    """How many packets with VLAN tags of no attachment a switch dropped since the last question."""

    dpid: DatapathId
    packets: int


class AccessChanged(NamedTuple):
    """An access network has another type or trust (D-6.3e), also for live sessions. None: unchanged."""

    name: str
    type: NetworkAccessType | None
    trust: Trust | None


class SubscriberAccess(NamedTuple):
    """Which accesses a subscriber may combine from now on, and in which order. None: as the policy says."""

    subscriber: str
    pooling: Pooling | None


class Offload(NamedTuple):
    """Move the traffic of an access network to another one, in all sessions that use both. `target` None ends the offload
    (D-1.u2)."""

    source: str
    target: str | None


class AbortSession(NamedTuple):
    """End a session by MP_FASTCLOSE where the host's key is kept, else by removing its pins."""

    session: int


class Authorised(NamedTuple):
    """The answer to an Authorise. `ttl`: seconds for which the answer holds, None: as the policy says. `klass`: the class of
    the source, "" for none."""

    request: int
    verdict: Verdict
    klass: str = ""
    ttl: float | None = None


class AclReplaced(NamedTuple):
    """The live access control list. Its entries come before those of the policy (N-5.3b)."""

    entries: tuple[AclEntry, ...]


class RegistryReplaced(NamedTuple):
    """The subscribers of the registry, all of them (N-5.3a)."""

    subscribers: tuple[RegistryEntry, ...]


class PairingsReplaced(NamedTuple):
    """Addresses of the devices that are paired with the controller (S-14), 4 or 16 bytes each."""

    addresses: frozenset[bytes]


class Restored(NamedTuple):
    """The kept state of an earlier controller. It comes once, before any switch connects."""

    kept: KeptState


class UsageTold(NamedTuple):
    """A record in etcd of the bytes that one controller of the cluster, perhaps this one, has ever counted towards quotas. `part`: the part
    of all pairs of subscriber and access type (core.selection.used_bytes). `written`: this controller has just written the record."""

    controller: str
    part: int
    used: tuple[KeptUse, ...]
    written: bool


class TimeOfDay(NamedTuple):
    """The local minute of the week; Monday 0:00 is 0. It comes once a minute, because the core has no clock (D-3.2c)."""

    minute: int


class LinkWeighed(NamedTuple):
    """An operator sets a link's weight, for both directions. None: the weight of the site file again (D-1.d)."""

    a: PortRef
    b: PortRef
    weight: float | None


class Continue(NamedTuple):
    """Do the next slice of the long work that asked for it by GoOn."""


class Tick(NamedTuple):
    """Time has passed. It comes some twenty times a second."""


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
    | UsageTold
    | TimeOfDay
    | LinkWeighed
    | PeerInput
    | Continue
    | Tick
)
