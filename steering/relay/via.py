"""The MCP that a host or CPE names in explicit mode, and what it takes to be served by it (N-5.2.1a: static)."""

from dataclasses import dataclass
from ipaddress import ip_address

from steering.relay.asking import Asking, ConvertAsking, SocksAsking
from steering.relay.options import OptionError, Protocol
from steering.relay.sockets import Endpoint

FORM = "convert://ADDRESS:PORT or socks://[USER:PASSWORD@]ADDRESS:PORT, an IPv6 address in brackets"


@dataclass(frozen=True, slots=True)
class Via:
    """An MCP's explicit listener. `fast_open`: the destination goes with the SYN where the kernel has a cookie."""

    protocol: Protocol
    mcp: Endpoint
    user: tuple[bytes, bytes] | None = None
    fast_open: bool = False

    def ask(self, server: Endpoint) -> Asking:
        """The conversation for one connection to `server`."""
        if self.protocol is Protocol.CONVERT:
            return ConvertAsking(server)
        return SocksAsking(server, self.user)


@dataclass(frozen=True, slots=True)
class Forward:
    """What a host's own applications connect to, and where that leads (`steering connect`)."""

    listen: Endpoint
    target: Endpoint


def parse_via(text: str, fast_open: bool = False) -> Via:
    """An MCP from its URL. Raises OptionError."""
    scheme, mark, rest = text.partition("://")
    if not mark or scheme not in list(Protocol):
        raise OptionError(f"--via {text}: {FORM}")
    credentials, at, place = rest.rpartition("@")
    user: tuple[bytes, bytes] | None = None
    if at:
        name, colon, password = credentials.partition(":")
        user = (name.encode(), password.encode())
        fits = colon and 1 <= len(user[0]) <= 255 and 1 <= len(user[1]) <= 255
        if scheme != Protocol.SOCKS or not fits:
            raise OptionError(f"--via {text}: {FORM}")
    if fast_open and scheme != Protocol.CONVERT:
        raise OptionError("--fast-open goes with convert: SOCKS waits for an answer before it says where to")
    return Via(Protocol(scheme), parse_endpoint("--via", place), user, fast_open)


def parse_endpoint(option: str, text: str) -> Endpoint:
    """`10.8.0.2:8803` or `[fd00:8::2]:8803`. Raises OptionError."""
    address, colon, port = text.rpartition(":")
    bracketed = address.startswith("[") and address.endswith("]")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    try:
        known = ip_address(address[1:-1] if bracketed else address)
    except ValueError:
        known = None
    if known is None or not colon or not 1 <= number <= 65535 or (known.version == 6) != bracketed:
        raise OptionError(f"{option} {text}: ADDRESS:PORT, an IPv6 address in brackets")
    return Endpoint(str(known), number)
