"""What a relay is told, checked before anything is opened or installed.

Every refusal is one line naming the option and the value (`OptionError`); the command prints it and ends with status 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from steering.relay.sockets import Endpoint
    from steering.relay.via import Forward, Via

from steering.relay.sourcemode import (
    MAX_RATIO,
    REFERRAL_PORTS,
    SourceOptions,
    check_source,
    parse_modes,
    parse_nat64,
    parse_pools,
)
from steering.relay.stream import AgentOptions

Network = IPv4Network | IPv6Network
Choice = TypeVar("Choice", bound=StrEnum)
Ranges = tuple[tuple[int, int], ...]
"""Ports as sorted ranges that do not touch, both ends included."""

MAX_PORTS = 1024
"""One listener a port: a bound on listeners, so that a typing slip (`1-65535`) is refused and not obeyed."""

MAX_PREFIXES = 1024
MAX_SESSIONS = 100_000
IFACE_NAME_MAX = 15
"""Bytes of an interface name (Linux IFNAMSIZ less its zero)."""


class Protocol(StrEnum):
    """How a host that addresses the MCP itself says where it wants to go (explicit mode, N-5.2.1b)."""

    CONVERT = "convert"
    SOCKS = "socks"


@dataclass(frozen=True, slots=True)
class Offer:
    """One listener for explicit mode."""

    protocol: Protocol
    port: int


class OptionError(ValueError):
    """A relay option that is missing, malformed or not built; its text is one line for the operator."""


class Role(StrEnum):
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
        return self is not Role.DOWNSTREAM


class ServerLeg(StrEnum):
    """What the relay offers the server: MPTCP (the server may decline, N-5.6.1a) or plain TCP."""

    MPTCP = "mptcp"
    TCP = "tcp"


SLOW_TTL_S = 86_400
SLOW_THRESHOLD_S = 2.5
"""Under the 3.07 s that the kernel takes to give MPTCP up (requirements L7, B32)."""


@dataclass(frozen=True, slots=True)
class Offering:
    """Whom the relay offers MPTCP. `off`: servers that never are. Seconds; a `ttl` of 0 remembers nobody as slow."""

    off: tuple[Network, ...] = ()
    threshold: float = SLOW_THRESHOLD_S
    ttl: int = SLOW_TTL_S


@dataclass(frozen=True, slots=True)
class Advertised:
    """An address of the MCP's own that hosts are told of; `port` 0 is the service's."""

    address: str
    port: int = 0


class Interception(StrEnum):
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
class RelayOptions:
    """A checked configuration. `ports` is sorted and unique, one listener each; `dial_timeout` is in seconds.

    A role that takes plain TCP has no `ports` but `ranges`; so has a relay whose one `listener` serves them all (0: one
    a port), to which joins come by an announced port. `marked`: only SYNs from these source ports are taken.
    `metrics`: where its counters are told over HTTP.
    `ident`: who may be served by what its host says of it (RFC 1413), empty where nobody is asked.
    `mss_clamp` is in bytes, 0 for the path MTU, None for none. `dscp` are code points to be re-marked, (from, to); None carries none over.
    """

    source: SourceOptions
    ports: tuple[int, ...]
    prefixes: tuple[Network, ...]
    inside: tuple[str, ...]
    interception: Interception
    server_leg: ServerLeg
    max_sessions: int
    dial_timeout: float
    status: str | None
    role: Role = Role.DOWNSTREAM
    ranges: Ranges = ()
    listener: int = 0
    upstream: Upstream | None = None
    marked: tuple[int, int] | None = None
    dscp: tuple[tuple[int, int], ...] | None = ()
    unknown_options: UnknownOptions = UnknownOptions.BYPASS
    mss_clamp: int | None = 0
    explicit: tuple[Offer, ...] = ()
    cookie_secret: bytes = b""
    users: tuple[tuple[bytes, bytes], ...] = ()
    name: str = ""
    mapping_log: str | None = None
    log_destinations: bool = False
    ident: frozenset[bytes] = frozenset()
    offering: Offering = Offering()
    advertise: tuple[Advertised, ...] = ()
    c_flag: bool = False
    agent: AgentOptions | None = None
    inbound: AgentOptions | None = None  # who tells of ports to keep open for devices (N-5.2.1e)
    via: "Via | None" = None
    forward: "tuple[Forward, ...]" = ()
    metrics: "Endpoint | None" = None

    def covers(self, address: str) -> bool:
        """Whether an address lies in a service prefix (a prefix of the other family never covers it)."""
        known = ip_address(address)
        return any(known in prefix for prefix in self.prefixes)

    def serves(self, port: int) -> bool:
        """Whether a port is one of the service ports."""
        return port in self.ports or any(low <= port <= high for low, high in self.ranges)


def parse_source(
    modes: Sequence[str],
    pools: Sequence[str],
    prefixes: Sequence[Network],
    sharing_ratio: str = "1",
    nat64: str | None = None,
    referral_ports: Sequence[str] = (),
    subscriber_length: str = "64",
    hold: str = "3600",
) -> SourceOptions:
    """How source addresses are made; the mode has no default (N-5.4.0). Raises OptionError."""
    referrals = parse_ranges("--referral-port", referral_ports)
    try:
        ipv4, ipv6 = parse_modes(modes)
        made = SourceOptions(
            ipv4,
            ipv6,
            parse_pools(pools),
            parse_bound("--sharing-ratio", sharing_ratio, 1, MAX_RATIO),
            parse_bound("--subscriber-length", subscriber_length, 32, 64),
            parse_nat64(nat64),
            frozenset(p for low, high in referrals for p in range(low, high + 1))
            or frozenset(REFERRAL_PORTS),
            parse_bound("--mapping-hold", hold, 0, 10_000_000),
        )
        check_source(made, prefixes)
    except ValueError as error:
        raise OptionError(str(error)) from None
    return made


def parse_ports(values: Sequence[str]) -> tuple[int, ...]:
    """Service ports from `"80"` and `"8000-8010"` texts; at least one, at most MAX_PORTS. Raises OptionError."""
    ports: set[int] = set()
    for text in values:
        low, high = _range("--port", text)
        if high - low >= MAX_PORTS:
            raise OptionError(
                f"--port {text}: more than {MAX_PORTS} ports, and every port needs its own listener"
            )
        ports.update(range(low, high + 1))
    if not ports:
        raise OptionError(
            "--port is required: name every service port to relay, e.g. --port 443 --port 8000-8010"
        )
    if len(ports) > MAX_PORTS:
        raise OptionError(
            f"--port: {len(ports)} ports, at most {MAX_PORTS} (every port needs its own listener)"
        )
    return tuple(sorted(ports))


def parse_ranges(option: str, values: Sequence[str]) -> Ranges:
    """Ranges of ports, any number of ports, joined where they touch; () for none. Raises OptionError."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(_range(option, text) for text in values):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    if len(joined) > MAX_PORTS:
        raise OptionError(f"{option}: {len(joined)} ranges, at most {MAX_PORTS}")
    return tuple(joined)


def _range(option: str, text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    low = _port(option, first, text)
    high = _port(option, last, text) if dash else low
    if low > high:
        raise OptionError(f"{option} {text}: the range runs backwards")
    return low, high


def _port(option: str, text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise OptionError(f"{option} {whole}: a port is a number from 1 to 65535, a range is FIRST-LAST")
    return int(text)


def parse_prefixes(values: Sequence[str], option: str = "--prefix") -> tuple[Network, ...]:
    """Prefixes of both families, duplicates dropped, order kept. Raises OptionError."""
    networks: list[Network] = []
    for text in values:
        try:
            network = ip_network(text)
        except ValueError as error:
            raise OptionError(f"{option} {text}: {error}") from None
        if network not in networks:
            networks.append(network)
    if len(networks) > MAX_PREFIXES:
        raise OptionError(f"{option}: {len(networks)} prefixes, at most {MAX_PREFIXES}")
    return tuple(networks)


def parse_interfaces(option: str, values: Sequence[str]) -> tuple[str, ...]:
    """Interface names, as they go into an nft rule: a name that could end the rule is refused. Raises OptionError."""
    for name in values:
        plain = name.isascii() and all(c.isalnum() or c in "-_.@" for c in name)
        if not (plain and 0 < len(name) <= IFACE_NAME_MAX):
            raise OptionError(f"{option} {name!r} is not an interface name")
    return tuple(dict.fromkeys(values))


def parse_bound(option: str, value: str, low: int, high: int) -> int:
    """A whole number of an option, within [low, high]. Raises OptionError."""
    if not (value.isascii() and value.isdigit() and len(value) <= 9 and low <= int(value) <= high):
        raise OptionError(f"{option} {value}: a whole number from {low} to {high}")
    return int(value)


def parse_agent(url: str | None, mcp: str | None, token: str | None, ca: str | None) -> AgentOptions | None:
    """The controller that an agent obeys: URL, this MCP's name there, the file of its token, a CA. Raises OptionError."""
    if url is None:
        if mcp or token or ca:
            raise OptionError("--mcp, --token-file and --ca-file go with --controller URL")
        return None
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) and url.isascii()
    except ValueError:
        good = False
    if not good or any(c.isspace() for c in url):
        raise OptionError(f"--controller {url!r} is no http or https address")
    if not mcp or not token:
        raise OptionError(
            "--controller needs --mcp NAME and --token-file FILE (steering token add --role mcp)"
        )
    return AgentOptions(url, mcp, read_token(token), ca)


def read_token(file: str) -> str:
    """The bearer token that a file holds. Raises OptionError."""
    try:
        secret = Path(file).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise OptionError(f"--token-file {file}: {getattr(error, 'strerror', None) or 'no text'}") from None
    if not secret or any(not "!" <= c <= "~" for c in secret):
        raise OptionError(f"--token-file {file}: it holds no token")
    return secret


def parse_choice(option: str, value: str, choices: type[Choice]) -> Choice:
    """One of an enumeration's values. Raises OptionError naming all of them."""
    try:
        return choices(value)
    except ValueError:
        raise OptionError(f"{option} {value!r}: one of {', '.join(choices)}") from None
