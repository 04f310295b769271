"""OpenFlow rules as plain records. The core makes rules, the OpenFlow adapter encodes them, and in tests a fake flow
table executes them."""

from dataclasses import dataclass
from enum import IntEnum

VIRTUAL_MAC = "02:53:47:00:00:01"  # the MAC of every virtual gateway; 53:47 is "SG"
LABEL_PREFIX = 0x0253_54  # first three bytes of a label MAC, locally administered; 53:54 is "ST"
IN_PORT = 0xFFFF_FFF8  # OFPP_IN_PORT
VLAN_PRESENT = 0x1000  # OFPVID_PRESENT
OWNER = 0x5E  # first byte of all cookies of this controller


class Table(IntEnum):
    """The tables of the pipeline (docs/design/pipeline.rst). ND completes a neighbour advertisement that GUARD has begun.
    SOURCE comes between GUARD and SESSION. It has the last number because it was added last: the others kept theirs."""

    GUARD = 0
    SESSION = 1
    CLASSIFY = 2
    ROUTE = 3
    LABEL = 4
    HOST = 5
    ND = 6
    SOURCE = 7


class CookieKind(IntEnum):
    """The kind of an entry, four bits of its cookie."""

    SESSION = 1
    STATIC = 2
    HOST = 3


class PacketClass(IntEnum):
    """Why a switch sent a packet to the controller: the low 32 bits of the cookie of the rule that sent it."""

    NONE = 0
    LLDP = 1
    NEIGHBOUR = 2
    HOST_MISS = 3
    TTL_EXPIRED = 4
    SYN = 5
    SYN_ACK = 6
    FIN = 7
    WATCHED = 8  # sent by a session entry: the kind in its cookie is SESSION
    ICMP_ERROR = 9
    PROBE = 10  # an MCP's answer to a probe
    SOURCE_MISS = 11  # a packet whose source is not bound to its port
    DHCP = 12


class Meter(IntEnum):
    """Numbers of meters for packets sent to the controller, as copies or as originals (punts).

    Most meters exist once for each port (`port_meter`). Thus traffic of one access can neither starve another access nor
    hide that an MCP is alive. A name that ends in BASE is the first number of a range. Open vSwitch allows numbers up to
    0x4_0000.
    """

    LLDP = 1
    FIN = 6  # of FINs that belong to no access network
    WATCH = 7
    HOST_SYN_BASE = 0x200  # of SYNs of one host while its port is flooded; numbers are given out on demand
    RESERVED_BASE = 0x1000  # two for each reservation: they keep its traffic to its rate at the ingress
    # By access network: SYN/ACKs of its sessions, and FINs and resets to its hosts or for them.
    SYN_ACK_BASE = 0x2000
    FIN_BASE = 0x2800
    FIN_PORT_BASE = 0x3000  # of FINs that an access port's hosts send
    HOST_MISS_BASE = 0x4000  # by the port where the host would be
    TTL_EXPIRED_BASE = 0x8000
    ICMP_ERROR_BASE = 0xC000
    SYN_BASE = 0x1_0000
    NEIGHBOUR_BASE = 0x2_0000
    SOURCE_BASE = 0x2_8000
    LINK_BASE = 0x3_0000  # plus port: all traffic without a reservation shares the rest of the link


_PORTS = 0x4000  # size of a range below SYN_BASE: how many ports have a meter of their own
_FEW_PORTS = 0x1000  # size of the range from FIN_PORT_BASE on
_MANY_PORTS = 0x8000  # size of the ranges from NEIGHBOUR_BASE and SOURCE_BASE on
_ACCESSES = 0x800  # size of a range with a meter for each access network
HOST_SYN_METERS = Meter.RESERVED_BASE - Meter.HOST_SYN_BASE  # most hosts of a switch with such a meter


def port_meter(base: Meter, port: int) -> int:
    """The number of a port's meter in the range from `base` on. All ports beyond the range share its last meter."""
    if base in (Meter.NEIGHBOUR_BASE, Meter.SOURCE_BASE):
        return base + min(port, _MANY_PORTS - 1)
    if base >= Meter.SYN_BASE:
        return base + port
    return base + min(port, (_FEW_PORTS if base == Meter.FIN_PORT_BASE else _PORTS) - 1)


def access_meter(base: Meter, number: int) -> int:
    """The number of an access network's meter in the range from `base` on. All networks beyond the range share its last
    meter."""
    return base + min(number, _ACCESSES - 1)


OLD_PATH_PRIORITY = 1_950  # in table LABEL, of rules that keep a live flow on its old path (core.rerouting)
ROLE_SHIFT = 16
ROLE_MASK = 0xF_0000  # in metadata: the ingress port's role, which table GUARD writes
WAYPOINT_MASK = 0xFFFF  # in metadata: the waypoint that the packet reached, which table LABEL writes
ASKED = 0x10_0000  # in metadata, by table SESSION: the packet is a SYN, and the controller will decide on it


@dataclass(frozen=True, slots=True)
class SetField:
    """Set a field. `name`: the field's OXM name in os-ken, or `ingress` for the port where the packet came in. MACs and
    addresses are text, other values ints."""

    name: str
    value: str | int


@dataclass(frozen=True, slots=True)
class SetBits:
    """Write `bits` bits of a field from bit `start` on, counted from the lowest (Nicira reg-load)."""

    name: str
    start: int
    bits: int
    value: int


@dataclass(frozen=True, slots=True)
class Move:
    """Copy a whole field (Nicira reg-move). `source` and `target`: OXM names in os-ken of fields of `bits` bits."""

    source: str
    target: str
    bits: int


@dataclass(frozen=True, slots=True)
class OutputAction:
    port: int


@dataclass(frozen=True, slots=True)
class GroupAction:
    """Send the packet through a group of the same switch (FailoverGroup)."""

    group: int


@dataclass(frozen=True, slots=True)
class ToController:
    """Send a copy to the controller through a meter inside the action. A meter instruction would drop the packet itself,
    not only the copy. `max_len`: bytes of the packet that are sent."""

    meter: int
    max_len: int = 256


@dataclass(frozen=True, slots=True)
class DecTtl:
    pass


@dataclass(frozen=True, slots=True)
class Resubmit:
    table: int


@dataclass(frozen=True, slots=True)
class PushVlan:
    """Put an 802.1Q tag in front of all others. Then `vlan_vid` is the field of this tag."""

    ethertype: int


@dataclass(frozen=True, slots=True)
class PopVlan:
    """Remove the outermost VLAN tag."""


@dataclass(frozen=True, slots=True)
class UnwildcardFlow:
    """Make the datapath's flow cache match on the whole 5-tuple (docs/design/measured.rst)."""


RuleAction = (
    SetField
    | SetBits
    | Move
    | OutputAction
    | GroupAction
    | ToController
    | DecTtl
    | Resubmit
    | UnwildcardFlow
    | PushVlan
    | PopVlan
)
FieldValue = str | int | tuple[str, str] | tuple[int, int]
RuleKey = tuple[int, int, tuple[tuple[str, FieldValue], ...]]  # table, priority, match


@dataclass(frozen=True, slots=True)
class Rule:
    """One flow entry. `match`: sorted pairs of OXM name (as in os-ken) and value, or (value, mask).

    MACs ("02:..") and addresses are text, and so are their masks. All other values are ints. The field of TCP flags is
    `tcp_flags` (the ONF form). `goto` and `metadata` are instructions.
    """

    table: int
    priority: int
    match: tuple[tuple[str, FieldValue], ...]
    actions: tuple[RuleAction, ...] = ()
    goto: int | None = None
    metadata: tuple[int, int] | None = None  # value, mask
    cookie: int = 0
    meter: int = 0  # matching packets pass this meter first, so that forwarding itself is limited
    hard_timeout: int = 0  # seconds after its last ADD at which the switch removes it; 0: never

    @property
    def key(self) -> RuleKey:
        """The fields by which a switch identifies the entry."""
        return (self.table, self.priority, self.match)


@dataclass(frozen=True, slots=True)
class MeterBand:
    """A meter that drops. `rate` and `burst` are in packets per second and packets, or in kbit/s and kbit."""

    meter: int
    rate: int
    burst: int
    kilobits: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """`actions` are carried out if the port `watch` is live: it has carrier and, where BFD runs, its peer answers."""

    watch: int
    actions: tuple[RuleAction, ...]


@dataclass(frozen=True, slots=True)
class FailoverGroup:
    """An OpenFlow FAST_FAILOVER group: the switch uses the first bucket whose port is live, without the controller."""

    group: int
    buckets: tuple[Bucket, ...]


GROUP_BASE = 0x5347_0000  # plus port number: the group that sends packets out of the port, or around its link
GROUP_PORTS = 0xFFFF  # highest port number that may have a group


def label_mac(waypoint: int, path: int = 0) -> str:
    """The label of a waypoint and path number, as MAC text."""
    value = LABEL_PREFIX << 24 | waypoint << 8 | path
    return ":".join(f"{b:02x}" for b in value.to_bytes(6, "big"))


def label_bytes(waypoint: int, path: int = 0) -> bytes:
    """The label of a waypoint and path number, 6 bytes."""
    return (LABEL_PREFIX << 24 | waypoint << 8 | path).to_bytes(6, "big")


def static_cookie(epoch: int, packet_class: PacketClass = PacketClass.NONE) -> int:
    """The cookie of a rule that is no session entry: owner 8, kind 4, zero 4, epoch 16, class 32 bits."""
    return OWNER << 56 | CookieKind.STATIC << 52 | (epoch & 0xFFFF) << 32 | packet_class


def host_cookie(epoch: int) -> int:
    """The cookie of a learned neighbour's entry."""
    return OWNER << 56 | CookieKind.HOST << 52 | (epoch & 0xFFFF) << 32


COOKIE_KIND_MASK = 0xFFF0_0000_0000_0000
FOREIGN_TAG = 0x8000_0000  # cookie bit of the entry that drops packets with VLAN tags of no tagged port
FOREIGN_TAG_COOKIE = static_cookie(0) | FOREIGN_TAG  # to be compared under COOKIE_KIND_MASK | FOREIGN_TAG
EPOCH_MASK = 0x0000_FFFF_0000_0000
