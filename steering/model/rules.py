"""OpenFlow rules as plain records, so that the core can say what it wants and a fake table can run it."""

from dataclasses import dataclass
from enum import IntEnum

VIRTUAL_MAC = "02:53:47:00:00:01"  # every virtual gateway's MAC; "SG"
LABEL_PREFIX = 0x0253_54  # first three bytes of a label MAC; "ST", locally administered
IN_PORT = 0xFFFF_FFF8  # OFPP_IN_PORT
OWNER = 0x5E  # first byte of every cookie of ours


class Table(IntEnum):
    """The pipeline (docs/design/pipeline.rst); ND finishes a neighbour advertisement made by GUARD."""

    GUARD = 0
    SESSION = 1
    CLASSIFY = 2
    ROUTE = 3
    LABEL = 4
    HOST = 5
    ND = 6


class CookieKind(IntEnum):
    SESSION = 1
    STATIC = 2
    HOST = 3


class PacketClass(IntEnum):
    """Why a packet came up: the low 32 bits of the cookie of the rule that sent it."""

    NONE = 0
    LLDP = 1
    NEIGHBOUR = 2
    HOST_MISS = 3
    TTL_EXPIRED = 4
    SYN = 5
    SYN_ACK = 6
    FIN = 7
    WATCHED = 8  # by a session entry: its cookie says so by its kind
    ICMP_ERROR = 9


class Meter(IntEnum):
    """Meters of the copies and punts. Most have one a port (`port_meter`): what one access sends must not silence
    another, nor hide that an MCP is alive. Open vSwitch takes numbers up to 0x4_0000."""

    LLDP = 1
    FIN = 6  # of nobody's hosts
    WATCH = 7
    RESERVED_BASE = 0x1000  # two for each reservation: keeps it to its rate where it comes in
    # By access network: of its sessions' SYN/ACKs, and of FINs and resets towards its hosts or for them.
    SYN_ACK_BASE = 0x2000
    FIN_BASE = 0x2800
    FIN_PORT_BASE = 0x3000  # of FINs that an access port's hosts send
    HOST_MISS_BASE = 0x4000  # by the port where the host would be
    TTL_EXPIRED_BASE = 0x8000
    ICMP_ERROR_BASE = 0xC000
    SYN_BASE = 0x1_0000
    NEIGHBOUR_BASE = 0x2_0000
    LINK_BASE = 0x3_0000  # plus port: what is not reserved shares the rest of the link


_PORTS = 0x4000  # that have a number of their own below SYN_BASE
_FEW_PORTS = 0x1000  # the same for FINs
_ACCESSES = 0x800


def port_meter(base: Meter, port: int) -> int:
    """The number of a port's own meter. Where there is room for few, all ports beyond share the last."""
    if base >= Meter.SYN_BASE:
        return base + port
    return base + min(port, (_FEW_PORTS if base == Meter.FIN_PORT_BASE else _PORTS) - 1)


def access_meter(base: Meter, number: int) -> int:
    """The same by the number of an access network."""
    return base + min(number, _ACCESSES - 1)


OLD_PATH_PRIORITY = 1_950  # in LABEL, of what leads a live flow by the path it had (core.rerouting)
ROLE_SHIFT = 16
ROLE_MASK = 0xF_0000  # metadata: the ingress port's role, written by GUARD
WAYPOINT_MASK = 0xFFFF  # metadata: the waypoint reached, written by LABEL
ASKED = 0x10_0000  # metadata: a SYN while there is a controller to ask about it, written by SESSION


@dataclass(frozen=True, slots=True)
class SetField:
    """`name` is an os-ken OXM name; MACs and addresses are text, the rest ints."""

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
    """Copy a whole field (Nicira reg-move): both are os-ken OXM names of `bits` bits."""

    source: str
    target: str
    bits: int


@dataclass(frozen=True, slots=True)
class OutputAction:
    port: int


@dataclass(frozen=True, slots=True)
class GroupAction:
    """What a group of the same switch does: see FailoverGroup."""

    group: int


@dataclass(frozen=True, slots=True)
class ToController:
    """Copy up to the controller through a meter inside the action: a meter instruction would drop the packet, not the copy."""

    meter: int
    max_len: int = 256


@dataclass(frozen=True, slots=True)
class DecTtl:
    pass


@dataclass(frozen=True, slots=True)
class Resubmit:
    table: int


@dataclass(frozen=True, slots=True)
class UnwildcardFlow:
    """Makes the datapath cache key hold the whole 5-tuple (docs/design/measured.rst)."""


Action = (
    SetField | SetBits | Move | OutputAction | GroupAction | ToController | DecTtl | Resubmit | UnwildcardFlow
)
FieldValue = str | int | tuple[str, str] | tuple[int, int]
RuleKey = tuple[int, int, tuple[tuple[str, FieldValue], ...]]  # table, priority, match


@dataclass(frozen=True, slots=True)
class Rule:
    """One flow entry. `match` is sorted pairs of os-ken OXM name and value or (value, mask).

    Values: MACs "02:..", IPv4 and IPv6 addresses as text (with mask as text), all else ints;
    the TCP flags field is `tcp_flags` (the ONF form). `goto` and `metadata` are instructions.
    """

    table: int
    priority: int
    match: tuple[tuple[str, FieldValue], ...]
    actions: tuple[Action, ...] = ()
    goto: int | None = None
    metadata: tuple[int, int] | None = None  # value, mask
    cookie: int = 0
    meter: int = 0  # what matches goes through it before anything else: forwarding is metered
    hard_timeout: int = 0  # seconds after its last ADD at which the switch lets it go; 0: never

    @property
    def key(self) -> RuleKey:
        """What the switch knows the entry by."""
        return (self.table, self.priority, self.match)


@dataclass(frozen=True, slots=True)
class MeterBand:
    """A drop meter in packets a second, or in kbit/s with its burst in kbit."""

    meter: int
    rate: int
    burst: int
    kilobits: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """`actions` are carried out while the port `watch` is live: it has carrier and, where BFD runs, its peer answers."""

    watch: int
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class FailoverGroup:
    """An OpenFlow FAST_FAILOVER group: of its buckets the first that is live, without asking anybody."""

    group: int
    buckets: tuple[Bucket, ...]


GROUP_BASE = 0x5347_0000  # plus port: how packets leave by that port, or around its link
GROUP_PORTS = 0xFFFF  # ports up to here may have a group


def label_mac(waypoint: int, path: int = 0) -> str:
    """The label of a waypoint and path number, as MAC text."""
    value = LABEL_PREFIX << 24 | waypoint << 8 | path
    return ":".join(f"{b:02x}" for b in value.to_bytes(6, "big"))


def label_bytes(waypoint: int, path: int = 0) -> bytes:
    """The label of a waypoint and path number, 6 bytes."""
    return (LABEL_PREFIX << 24 | waypoint << 8 | path).to_bytes(6, "big")


def static_cookie(epoch: int, packet_class: PacketClass = PacketClass.NONE) -> int:
    """Cookie of a rule that is not a session entry: owner 8, kind 4, zero 4, epoch 16, class 32 bits."""
    return OWNER << 56 | CookieKind.STATIC << 52 | (epoch & 0xFFFF) << 32 | packet_class


def host_cookie(epoch: int) -> int:
    """Cookie of a learned neighbour's entry."""
    return OWNER << 56 | CookieKind.HOST << 52 | (epoch & 0xFFFF) << 32


COOKIE_KIND_MASK = 0xFFF0_0000_0000_0000
EPOCH_MASK = 0x0000_FFFF_0000_0000
