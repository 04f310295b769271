"""The MCP that a host or CPE uses in explicit mode, and the credentials for it (N-5.2.1a: configured statically)."""

from ipaddress import ip_address

from steering.relay.model import Endpoint, ExplicitMcp, ExplicitProtocol, OptionError

FORM = "convert://ADDRESS:PORT or socks://[USER:PASSWORD@]ADDRESS:PORT, an IPv6 address in brackets"


def parse_via(text: str, fast_open: bool = False) -> ExplicitMcp:
    """An MCP from its URL. Raises OptionError."""
    scheme, mark, rest = text.partition("://")
    if not mark or scheme not in list(ExplicitProtocol):
        raise OptionError(f"--via {text}: {FORM}")
    credentials, at, place = rest.rpartition("@")
    user: tuple[bytes, bytes] | None = None
    if at:
        name, colon, password = credentials.partition(":")
        user = (name.encode(), password.encode())
        fits = colon and 1 <= len(user[0]) <= 255 and 1 <= len(user[1]) <= 255
        if scheme != ExplicitProtocol.SOCKS or not fits:
            raise OptionError(f"--via {text}: {FORM}")
    if fast_open and scheme != ExplicitProtocol.CONVERT:
        raise OptionError("--fast-open goes with convert: SOCKS waits for an answer before it says where to")
    return ExplicitMcp(ExplicitProtocol(scheme), parse_endpoint("--via", place), user, fast_open)


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
