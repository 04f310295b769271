"""Implicit mode (draft-nam 5.2.2): hosts are told the MCP's own address, and not to come back by the server's.

ADD_ADDR and the C flag (RFC 8684 sections 3.4.1 and 3.1) are the kernel's; the relay sets its endpoints and its sysctl.
Servers are told neither: see `rules._discretion`.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from steering.relay.options import Advertised, OptionError

MOST = 8
FIRST_ID = 201
"""Address ids of our endpoints; the kernel numbers what others add from 1."""

C_FLAG = "net.mptcp.allow_join_initial_addr_port"


def parse_advertised(values: Sequence[str]) -> tuple[Advertised, ...]:
    """`ADDR`, `ADDR:PORT` or `[ADDR6]:PORT`, each once. Raises OptionError."""
    found = tuple(dict.fromkeys(_one(text) for text in values))
    if len(found) > MOST:
        raise OptionError(f"--advertise: {len(found)} addresses, at most {MOST}")
    return found


def _one(text: str) -> Advertised:
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
    return Advertised(str(address), int(port or 0))


def announcing(advertised: Sequence[Advertised]) -> tuple[str, ...]:
    """Commands that have the kernel announce these addresses in each M-session."""
    return tuple(
        f"ip mptcp endpoint add {one.address} id {number}{f' port {one.port}' if one.port else ''} signal"
        for number, one in enumerate(advertised, FIRST_ID)
    )


def silencing() -> tuple[str, ...]:
    """Commands that undo it; each may fail when there is nothing to undo."""
    return tuple(f"ip mptcp endpoint delete id {number}" for number in range(FIRST_ID, FIRST_ID + MOST))
