"""Implicit mode (draft-nam 5.2.2): the MCP announces its own address to hosts, and asks them not to join by the
server's address.

The kernel sends ADD_ADDR and the C flag (RFC 8684 sections 3.4.1 and 3.1). The relay sets the kernel's endpoints and
its sysctl. Servers get neither: see `rules._discretion`.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from steering.relay.model import AdvertisedAddress, Network, OptionError
from steering.relay.options.values import parse_bound

MOST = 8
FIRST_ID = 201
"""The first address id of our endpoints. The kernel numbers the endpoints of others from 1."""

C_FLAG = "net.mptcp.allow_join_initial_addr_port"


def parse_advertised(values: Sequence[str]) -> tuple[AdvertisedAddress, ...]:
    """Announced addresses from `ADDR`, `ADDR:PORT` or `[ADDR6]:PORT`, each given once. Raises OptionError."""
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
    """The port of the one listener for all service ports; 0 for a listener for each port. Raises OptionError.

    The kernel resets a join to a port that is not its listener's (MPTcpExtMismatchPortSynRx), unless the kernel
    announced that port itself. So hosts must be asked not to join by the server's address, and an address with a port
    must be announced, in each family that is served. `referring`: some service ports are excluded because their
    protocols carry addresses, for which each port needs a listener.
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
    """Commands by which the kernel announces these addresses in each M-session."""
    return tuple(
        f"ip mptcp endpoint add {one.address} id {number}{f' port {one.port}' if one.port else ''} signal"
        for number, one in enumerate(advertised, FIRST_ID)
    )


def silencing() -> tuple[str, ...]:
    """Commands that undo the announcement. Each may fail where there is nothing to undo."""
    return tuple(f"ip mptcp endpoint delete id {number}" for number in range(FIRST_ID, FIRST_ID + MOST))
