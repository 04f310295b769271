"""The relay's words: what its parts say to each other. No I/O, and no import of another part of the relay."""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple


class OptionError(ValueError):
    """A relay option that is missing, malformed or not built; its text is one line for the operator."""


class PlatformError(RuntimeError):
    """This process or kernel cannot relay MPTCP; the text is one line that says what to do."""


Network = IPv4Network | IPv6Network


Ranges = tuple[tuple[int, int], ...]
"""Ports as sorted ranges that do not touch, both ends included."""


class Endpoint(NamedTuple):
    """A TCP endpoint; IPv4 in its own form, never `::ffff:a.b.c.d`."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class RelayRole(StrEnum):
    """Which way round a relay works (draft-deng section 1, draft-nam section 3)."""

    DOWNSTREAM = "downstream"
    """The concentrator: MPTCP of hosts in, TCP or MPTCP to the server."""
    UPSTREAM = "upstream"
    """The MCP of a CPE: plain TCP of LAN hosts in, MPTCP over the CPE's uplinks out."""
    DATA_CENTRE = "data-centre"
    """Plain TCP of anyone in, MPTCP to a server with several addresses."""

    @property
    def takes_plain(self) -> bool:
        """Plain TCP comes in, so no join ever does: one listener serves every port."""
        return self is not RelayRole.DOWNSTREAM


class ExplicitProtocol(StrEnum):
    """How a host that addresses the MCP itself says where it wants to go (explicit mode, N-5.2.1b)."""

    CONVERT = "convert"
    SOCKS = "socks"


@dataclass(frozen=True, slots=True)
class ExplicitOffer:
    """One listener for explicit mode."""

    protocol: ExplicitProtocol
    port: int


@dataclass(frozen=True, slots=True)
class Via:
    """An MCP's explicit listener. `fast_open`: the destination goes with the SYN where the kernel has a cookie."""

    protocol: ExplicitProtocol
    mcp: Endpoint
    user: tuple[bytes, bytes] | None = None
    fast_open: bool = False


@dataclass(frozen=True, slots=True)
class Forward:
    """What a host's own applications connect to, and where that leads (`steering connect`)."""

    listen: Endpoint
    target: Endpoint


class ServerLeg(StrEnum):
    """What the relay offers the server: MPTCP (the server may decline, N-5.6.1a) or plain TCP."""

    MPTCP = "mptcp"
    TCP = "tcp"


SLOW_TTL_S = 86_400


SLOW_THRESHOLD_S = 2.5
"""Under the 3.07 s that the kernel takes to give MPTCP up (B32)."""


PLAIN_TTL_S = 600
"""A server that learns MPTCP is offered it again so soon."""


@dataclass(frozen=True, slots=True)
class MptcpOffering:
    """Whom the relay offers MPTCP. `off`: servers that never are. Seconds; a `ttl` of 0 remembers nobody as slow, a `plain_ttl` of
    0 nobody as plain: so where the far end is an MCP, which speaks MPTCP."""

    off: tuple[Network, ...] = ()
    threshold: float = SLOW_THRESHOLD_S
    ttl: int = SLOW_TTL_S
    plain_ttl: int = 0


@dataclass(frozen=True, slots=True)
class AdvertisedAddress:
    """An address of the MCP's own that hosts are told of; `port` 0 is the service's."""

    address: str
    port: int = 0


class RelayInterception(StrEnum):
    """Which SYNs TPROXY takes: all of the service ports, or those that carry an MPTCP option (D-4.1b)."""

    ALL = "all"
    MPTCP = "mptcp"


class UnknownOptions(StrEnum):
    """What becomes of a SYN with a TCP option that a relay cannot carry on (D-6.7.3)."""

    BYPASS = "bypass"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Upstream:
    """What only the MCP of a CPE is told.

    `uplinks` are interfaces, the one that carries initial subflows first. `source_ports` is the window that marks what
    this relay opens (N-5.2.2.1c), None for no mark. `deny_mptcp_to`: where LAN hosts may not open MPTCP (N-5.3f).
    `inner`: CPEs behind this one, whose marked connections keep their mark (N-5.2.2.1e).
    """

    uplinks: tuple[str, ...]
    source_ports: tuple[int, int] | None = None
    deny_mptcp_to: tuple[Network, ...] = ()
    inner: tuple[Network, ...] = ()


class Dscp(StrEnum):
    """Whether what comes in with a code point leaves with it by the other leg (N-5.6.5); on by default (B3)."""

    PRESERVE = "preserve"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class ControllerAccess:
    """Where the controller is. `token` is the bearer token itself, `ca` a PEM file or None for the system's."""

    url: str
    mcp: str
    token: str = field(repr=False)
    ca: str | None


class NoSourceReason(StrEnum):
    """Why a connection gets no source address; each is a counter `refused_...` of the relay."""

    FAMILY = "family"  # nothing was said of this family
    REFERRAL = "referral"  # a port that would need an application gateway (N-5.4.1.2)
    POOL = "pool"  # every address, block or prefix is taken
    PORTS = "ports"  # every port of the subscriber's block is in use
    UNMAPPABLE = "unmappable"  # RFC 6296 has no translation for this address


class RelayHealth(StrEnum):
    """How a relay is, by its own word."""

    UP = "up"
    FULL = "full"
    """As many sessions as it may have: one more is reset."""
    STARVED = "starved"
    """It has no descriptor or memory for whoever waits."""
    STOPPING = "stopping"
