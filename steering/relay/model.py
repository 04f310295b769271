"""The records and enumerations that the relay's subpackages share. No I/O, and no import of another part of the relay."""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple


class OptionError(ValueError):
    """A relay option that is missing or malformed. The text is one line for the operator."""


class PlatformError(RuntimeError):
    """This process or kernel cannot relay MPTCP; the text is one line that says what to do."""


Network = IPv4Network | IPv6Network


Ranges = tuple[tuple[int, int], ...]
"""Ports as sorted ranges that do not touch, both ends included."""


class Endpoint(NamedTuple):
    """A TCP endpoint. An IPv4 address has its own form, never `::ffff:a.b.c.d`."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class RelayRole(StrEnum):
    """On which side a relay takes MPTCP (draft-deng section 1, draft-nam section 3)."""

    DOWNSTREAM = "downstream"
    """The concentrator: takes MPTCP of hosts, and dials the server with TCP or MPTCP."""
    UPSTREAM = "upstream"
    """The MCP of a CPE: takes plain TCP of LAN hosts, and dials with MPTCP over the CPE's uplinks."""
    DATA_CENTRE = "data-centre"
    """Takes plain TCP of any client, and dials a server with several addresses by MPTCP."""

    @property
    def takes_plain(self) -> bool:
        """Whether hosts' connections are plain TCP. Then no join comes in, and one listener serves every port."""
        return self is not RelayRole.DOWNSTREAM


class ExplicitProtocol(StrEnum):
    """The protocol by which a host that addresses the MCP itself names its server (explicit mode, N-5.2.1b)."""

    CONVERT = "convert"
    SOCKS = "socks"


@dataclass(frozen=True, slots=True)
class ExplicitOffer:
    """One listener for explicit mode."""

    protocol: ExplicitProtocol
    port: int


@dataclass(frozen=True, slots=True)
class ExplicitMcp:
    """An MCP's listener for explicit mode. `user`: name and password for SOCKS. `fast_open`: the destination is sent in the
    SYN where the kernel has a Fast Open cookie."""

    protocol: ExplicitProtocol
    mcp: Endpoint
    user: tuple[bytes, bytes] | None = None
    fast_open: bool = False


@dataclass(frozen=True, slots=True)
class Forward:
    """An address that this machine's applications connect to, and the server behind it (`steering connect`)."""

    listen: Endpoint
    target: Endpoint


class ServerLeg(StrEnum):
    """What the relay offers the server: MPTCP (the server may decline, N-5.6.1a) or plain TCP."""

    MPTCP = "mptcp"
    TCP = "tcp"


SLOW_TTL_S = 86_400


SLOW_THRESHOLD_S = 2.5
"""Seconds of a dial from which a server counts as slow. The kernel gives MPTCP up after 3.07 s (B32)."""


PLAIN_TTL_S = 600
"""Seconds after which a server that answered with plain TCP is offered MPTCP again."""


@dataclass(frozen=True, slots=True)
class MptcpOffering:
    """Which servers the relay offers MPTCP. `off`: prefixes of servers that are never offered it. `threshold`: seconds of a dial
    from which a server counts as slow. `ttl` and `plain_ttl`: seconds for which a server is remembered as slow, or as one that
    answers with plain TCP. 0 remembers none, for example where the far end is an MCP, which speaks MPTCP."""

    off: tuple[Network, ...] = ()
    threshold: float = SLOW_THRESHOLD_S
    ttl: int = SLOW_TTL_S
    plain_ttl: int = 0


@dataclass(frozen=True, slots=True)
class AdvertisedAddress:
    """An address of the MCP itself that is announced to hosts. `port` 0 stands for the service's port."""

    address: str
    port: int = 0


class RelayInterception(StrEnum):
    """Which SYNs to service ports TPROXY takes: all, or those with an MPTCP option (D-4.1b)."""

    ALL = "all"
    MPTCP = "mptcp"


class UnknownOptions(StrEnum):
    """What happens to a SYN with a TCP option that a relay cannot pass on to the server (D-6.7.3)."""

    BYPASS = "bypass"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Upstream:
    """The options that only the MCP of a CPE has.

    `uplinks`: interfaces, first the one that carries initial subflows. `source_ports`: the range of source ports that marks
    the relay's own connections (N-5.2.2.1c), None for no mark. `deny_mptcp_to`: addresses to which LAN hosts may not open
    MPTCP (N-5.3f). `inner`: CPEs behind this one; their marked connections keep their mark (N-5.2.2.1e).
    """

    uplinks: tuple[str, ...]
    source_ports: tuple[int, int] | None = None
    deny_mptcp_to: tuple[Network, ...] = ()
    inner: tuple[Network, ...] = ()


class Dscp(StrEnum):
    """Whether the DSCP of segments is carried over to the other leg (N-5.6.5). The default is to preserve it (B3)."""

    PRESERVE = "preserve"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class ControllerAccess:
    """How to reach the controller. `mcp`: the name of this MCP there. `token`: the bearer token itself. `ca`: a PEM file, None
    for the system's CAs."""

    url: str
    mcp: str
    token: str = field(repr=False)
    ca: str | None


class NoSourceReason(StrEnum):
    """Why a connection gets no source address. Each reason has a counter `refused_...` of the relay."""

    FAMILY = "family"  # no source mode was given for this address family
    REFERRAL = "referral"  # a port that would need an application gateway (N-5.4.1.2)
    POOL = "pool"  # every address, block or prefix is taken
    PORTS = "ports"  # every port of the subscriber's block is in use
    UNMAPPABLE = "unmappable"  # RFC 6296 has no translation for this address


class RelayHealth(StrEnum):
    """The health of a relay, as it reports it."""

    UP = "up"
    FULL = "full"
    """The relay has --max-sessions sessions. One more is reset."""
    STARVED = "starved"
    """The relay has no descriptor or memory for a connection that waits."""
    STOPPING = "stopping"
