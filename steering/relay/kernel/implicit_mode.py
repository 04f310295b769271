"""Implicit mode (draft-nam 5.2.2): hosts are told the MCP's own address, and not to come back by the server's.

ADD_ADDR and the C flag (RFC 8684 sections 3.4.1 and 3.1) are the kernel's; the relay sets its endpoints and its sysctl.
Servers are told neither: see `rules._discretion`.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from steering.relay.model import AdvertisedAddress, Network, OptionError
from steering.relay.options.values import parse_bound

MOST = 8
FIRST_ID = 201
"""Address ids of our endpoints; the kernel numbers what others add from 1."""

C_FLAG = "net.mptcp.allow_join_initial_addr_port"


def parse_advertised(values: Sequence[str]) -> tuple[AdvertisedAddress, ...]:
    """`ADDR`, `ADDR:PORT` or `[ADDR6]:PORT`, each once. Raises OptionError."""
    found = tuple(dict.fromkeys(_one(text) for text in values))
    if len(found) > MOST:
        raise OptionError(f"--advertise: {len(found)} addresses, at most {MOST}")
    return found


def _one(text: str) -> AdvertisedAddress:
    name, port = text, ""
    if text.startswith("["):
        name, _, port = text[1:].partition("]:")
    elif text.count(":") == 1:
        name, _, port = text.partition(":")
    plain = port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535
    address: IPv4Address | IPv6Address | None
    try:
        address = ip_address(name)
    except ValueError:
        address = None
    unusable = address is None or address.is_unspecified or address.is_multicast or "%" in name
    if unusable or (port and not plain) or (not port and name != text):
        raise OptionError(f"--advertise {text}: ADDR, ADDR:PORT or [ADDR6]:PORT is wanted")
    return AdvertisedAddress(str(address), int(port or 0))


def parse_listener(
    value: str | None,
    advertised: Sequence[AdvertisedAddress],
    c_flag: bool,
    prefixes: Sequence[Network],
    referring: bool,
) -> int:
    """The number of the one listener for all service ports, 0 for one a port. Raises OptionError.

    The kernel resets a join whose port is not its listener's (MPTcpExtMismatchPortSynRx) unless it announced that port
    itself: hosts must be kept from the server's address and told a port of ours, in each family that is served.
    `referring`: some service ports are left alone because of what their protocols carry, which needs ports one by one.
    """
    if value is None:
        return 0
    number = parse_bound("--listener", value, 1, 65535)
    if not c_flag:
        raise OptionError(f"--listener {value} needs --c-flag: joins by a server's address would be reset")
    for version in sorted({prefix.version for prefix in prefixes}):
        if not any(one.port and ip_address(one.address).version == version for one in advertised):
            raise OptionError(
                f"--listener {value} needs --advertise ADDR:PORT of IPv{version}: joins would be reset"
            )
    if any(one.port == number for one in advertised):
        raise OptionError(f"--listener {value}: that port is announced, and the kernel listens there itself")
    if referring:
        raise OptionError(f"--listener {value}: ipv6-prefix leaves some ports alone, give each a listener")
    return number


def announcing(advertised: Sequence[AdvertisedAddress]) -> tuple[str, ...]:
    """Commands that have the kernel announce these addresses in each M-session."""
    return tuple(
        f"ip mptcp endpoint add {one.address} id {number}{f' port {one.port}' if one.port else ''} signal"
        for number, one in enumerate(advertised, FIRST_ID)
    )


def silencing() -> tuple[str, ...]:
    """Commands that undo the announcement; each may fail when there is nothing to undo."""
    return tuple(f"ip mptcp endpoint delete id {number}" for number in range(FIRST_ID, FIRST_ID + MOST))
