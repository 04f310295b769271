"""Options of roles: those of a CPE's MCP, and the refusal of options that a role does not use."""

from collections.abc import Mapping, Sequence

from steering.relay.model import OptionError, Ranges, RelayRole, Upstream
from steering.relay.options.values import parse_interfaces, parse_prefixes, parse_ranges

LISTEN_PORT = 15354
"""The port of the only listener of a role that takes plain TCP. It is below the ephemeral ports, so that no other program has
it by chance."""

ALL_PORTS: Ranges = ((1, 65535),)
MAX_UPLINKS = 8
MIN_WINDOW = 64
"""Least number of marked source ports. Fewer would not be enough for the connections to one server."""

ROLE_OPTIONS: Mapping[str, frozenset[RelayRole]] = {
    "source-mode": frozenset({RelayRole.DOWNSTREAM, RelayRole.DATA_CENTRE}),
    **dict.fromkeys(
        (
            "pool",
            "sharing-ratio",
            "nat64",
            "subscriber-length",
            "referral-port",
            "mapping-hold",
            "mapping-log",
            "log-destinations",
            "name",
        ),
        frozenset({RelayRole.DOWNSTREAM, RelayRole.DATA_CENTRE}),
    ),
    **dict.fromkeys(
        ("mptcp-off", "slow-threshold", "slow-ttl", "plain-ttl"),
        frozenset({RelayRole.DOWNSTREAM, RelayRole.DATA_CENTRE}),
    ),
    "advertise": frozenset({RelayRole.DOWNSTREAM}),
    "c-flag": frozenset({RelayRole.DOWNSTREAM}),
    "listener": frozenset({RelayRole.DOWNSTREAM}),
    "marked-ports": frozenset({RelayRole.DOWNSTREAM}),
    "uplink": frozenset({RelayRole.UPSTREAM}),
    "source-ports": frozenset({RelayRole.UPSTREAM}),
    "deny-mptcp-to": frozenset({RelayRole.UPSTREAM}),
    "discover": frozenset({RelayRole.UPSTREAM}),
    "inner-cpe": frozenset({RelayRole.UPSTREAM}),
    "via": frozenset({RelayRole.UPSTREAM}),
    "fast-open": frozenset({RelayRole.UPSTREAM}),
    "explicit": frozenset({RelayRole.DOWNSTREAM}),
    "convert-cookies": frozenset({RelayRole.DOWNSTREAM}),
    "socks-users": frozenset({RelayRole.DOWNSTREAM}),
}
"""Options that only some roles have."""


def refuse_foreign(role: RelayRole, given: Mapping[str, object]) -> None:
    """Refuse an option that the role does not use, in place of ignoring it. Raises OptionError."""
    for name, value in given.items():
        if value and role not in ROLE_OPTIONS[name]:
            roles = " and ".join(sorted(ROLE_OPTIONS[name]))
            raise OptionError(f"--{name} is for the role {roles}, not for {role.value}")


def parse_upstream(
    uplinks: Sequence[str],
    inside: Sequence[str],
    source_ports: str | None,
    deny_mptcp_to: Sequence[str],
    inner: Sequence[str],
) -> Upstream:
    """The options of `--role upstream`. Raises OptionError without an uplink, for an uplink that is also inside, or
    for a wrong value."""
    if not inside:
        raise OptionError("--role upstream needs --inside IFACE: where the LAN's hosts are")
    if not uplinks:
        raise OptionError(
            "--role upstream needs --uplink IFACE, once for each; the first carries what is opened"
        )
    if len(uplinks) > MAX_UPLINKS:
        raise OptionError(f"--uplink: {len(uplinks)} uplinks, at most {MAX_UPLINKS}")
    both = [name for name in uplinks if name in inside]
    if both:
        raise OptionError(f"--uplink {both[0]} is also --inside: hosts are on one side, uplinks on the other")
    window = parse_window("--source-ports", source_ports)
    if inner and window is None:
        raise OptionError("--inner-cpe keeps marks and needs to know them: give --source-ports")
    return Upstream(
        parse_interfaces("--uplink", uplinks),
        window,
        parse_prefixes(deny_mptcp_to, "--deny-mptcp-to"),
        parse_prefixes(inner, "--inner-cpe"),
    )


def parse_window(option: str, value: str | None) -> tuple[int, int] | None:
    """The range of source ports that marks connections; None where none is given. Raises OptionError."""
    if value is None:
        return None
    ((low, high),) = parse_ranges(option, [value])
    if low < 1024 or high - low + 1 < MIN_WINDOW:
        raise OptionError(f"{option} {value}: at least {MIN_WINDOW} ports, none below 1024")
    return low, high


def unmarked(window: tuple[int, int]) -> tuple[int, int]:
    """The larger one of the two ranges of source ports beside a window. NAT uses it for all other connections."""
    low, high = window
    below, above = (1024, low - 1), (high + 1, 65535)
    return below if below[1] - below[0] >= above[1] - above[0] else above
