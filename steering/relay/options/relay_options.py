"""The options of a relay, checked before anything is opened or installed.

Every refusal is one line that names the option and the value (`OptionError`). The command prints it and ends with
status 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from steering.relay.model import (
    AdvertisedAddress,
    ControllerAccess,
    Endpoint,
    ExplicitMcp,
    ExplicitOffer,
    Forward,
    MptcpOffering,
    Network,
    OptionError,
    Ranges,
    RelayInterception,
    RelayRole,
    ServerLeg,
    UnknownOptions,
    Upstream,
)
from steering.relay.options.source_mode import (
    MAX_RATIO,
    REFERRAL_PORTS,
    SourceOptions,
    check_source,
    parse_modes,
    parse_nat64,
    parse_pools,
)
from steering.relay.options.values import parse_bound, parse_ranges

MAX_SESSIONS = 100_000


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """A checked configuration. `ports`: sorted and unique, with one listener each. `dial_timeout`: seconds.

    A role that takes plain TCP has `ranges` in place of `ports`. So has a relay with one `listener` for all service
    ports (0: a listener for each port), which joins reach by an announced port. `marked`: only SYNs from these source
    ports are taken. `metrics`: the address at which counters are told over HTTP. `ident`: identifiers of hosts that
    may be served (RFC 1413); empty: hosts are not asked. `mss_clamp`: bytes, 0 for the path MTU, None for no
    clamping. `dscp`: code points to change, (from, to); None: DSCP is not carried over.
    """

    source: SourceOptions
    ports: tuple[int, ...]
    prefixes: tuple[Network, ...]
    inside: tuple[str, ...]
    interception: RelayInterception
    server_leg: ServerLeg
    max_sessions: int
    dial_timeout: float
    status: str | None
    role: RelayRole = RelayRole.DOWNSTREAM
    ranges: Ranges = ()
    listener: int = 0
    upstream: Upstream | None = None
    marked: tuple[int, int] | None = None
    dscp: tuple[tuple[int, int], ...] | None = ()
    unknown_options: UnknownOptions = UnknownOptions.BYPASS
    mss_clamp: int | None = 0
    explicit: tuple[ExplicitOffer, ...] = ()
    cookie_secret: bytes = b""
    users: tuple[tuple[bytes, bytes], ...] = ()
    name: str = ""
    mapping_log: str | None = None
    log_destinations: bool = False
    ident: frozenset[bytes] = frozenset()
    offering: MptcpOffering = field(default_factory=MptcpOffering)
    advertise: tuple[AdvertisedAddress, ...] = ()
    c_flag: bool = False
    agent: ControllerAccess | None = None
    inbound: ControllerAccess | None = (
        None  # the controller that tells which ports to keep open for devices (N-5.2.1e)
    )
    via: ExplicitMcp | None = None
    forward: tuple[Forward, ...] = ()
    metrics: Endpoint | None = None

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
    """The options about source addresses. The mode has no default (N-5.4.0). Raises OptionError."""
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
