"""SOCKS version 5 (RFC 1928) with user name and password (RFC 1929): the messages of client and server.

Only CONNECT to an IPv4 or IPv6 address is supported. BIND and UDP are refused. Domain names are refused too, because
an MCP resolves no names. Each `read_` function reads one message at the start of a buffer. It returns the message and
the number of bytes that the message took, or None while the message is not complete.
"""

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address

from .errors import WireError, WireRefusal

VERSION = 5
AUTH_VERSION = 1
CONNECT = 1
_SIZES = {1: 4, 4: 16}
_DOMAIN = 3
MAX_MESSAGE = 515
"""The longest message of a client, in bytes: user name and password of 255 bytes each."""

Address = IPv4Address | IPv6Address


class Method(IntEnum):
    """Authentication methods (RFC 1928 section 3)."""

    NONE = 0x00
    PASSWORD = 0x02
    UNACCEPTABLE = 0xFF


class Reply(IntEnum):
    """Replies (RFC 1928 section 6)."""

    SUCCEEDED = 0
    FAILURE = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    REFUSED = 5
    TTL_EXPIRED = 6
    COMMAND_NOT_SUPPORTED = 7
    ADDRESS_NOT_SUPPORTED = 8


class SocksError(WireError):
    """A message that is refused. `reply`: the answer to a request, or None where there is no answer."""

    def __init__(self, reason: WireRefusal, reply: Reply | None = None) -> None:
        super().__init__(reason)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply of a SOCKS server to a request. `bound` and `port`: its own end of the connection to the
    destination."""

    reply: int
    bound: Address
    port: int


# ---- the server's side --------------------------------------------------------------------------


def read_greeting(data: bytes) -> tuple[frozenset[int], int] | None:
    """The methods that a client offers. Raises SocksError."""
    if data and data[0] != VERSION:
        raise SocksError(WireRefusal.UNKNOWN_VERSION)
    if len(data) < 2 or len(data) < 2 + data[1]:
        return None
    if not data[1]:
        raise SocksError(WireRefusal.BAD_VALUE)
    end = 2 + data[1]
    return frozenset(data[2:end]), end


def write_method(method: Method) -> bytes:
    """The message with the authentication method that the server chose."""
    return bytes((VERSION, method))


def read_credentials(data: bytes) -> tuple[tuple[bytes, bytes], int] | None:
    """User name and password (RFC 1929 section 2). Raises SocksError."""
    if data and data[0] != AUTH_VERSION:
        raise SocksError(WireRefusal.UNKNOWN_VERSION)
    if len(data) < 2:
        return None
    name_end = 2 + data[1]
    if len(data) <= name_end:
        return None
    end = name_end + 1 + data[name_end]
    if len(data) < end:
        return None
    return (data[2:name_end], data[name_end + 1 : end]), end


def write_verdict(granted: bool) -> bytes:
    """The message that accepts or refuses the credentials."""
    return bytes((AUTH_VERSION, 0 if granted else 1))


def read_request(data: bytes) -> tuple[Address, int, int] | None:
    """The address and port to connect to, and the bytes used. Raises SocksError with the reply to send."""
    if data and data[0] != VERSION:
        raise SocksError(WireRefusal.UNKNOWN_VERSION)
    if len(data) > 1 and data[1] != CONNECT:
        raise SocksError(WireRefusal.UNKNOWN_COMMAND, Reply.COMMAND_NOT_SUPPORTED)
    if len(data) > 2 and data[2]:
        raise SocksError(WireRefusal.BAD_VALUE, Reply.FAILURE)
    if len(data) > 3 and data[3] == _DOMAIN:
        raise SocksError(WireRefusal.DOMAIN_NAME, Reply.ADDRESS_NOT_SUPPORTED)
    read = _read_address(data, Reply.ADDRESS_NOT_SUPPORTED)
    if read is None:
        return None
    address, port, end = read
    if not port:
        raise SocksError(WireRefusal.BAD_VALUE, Reply.FAILURE)
    return address, port, end


def write_answer(answer: Answer) -> bytes:
    """The reply to a request."""
    return bytes((VERSION, answer.reply, 0)) + _write_address(answer.bound, answer.port)


# ---- the client's side --------------------------------------------------------------------------


def write_greeting(*methods: Method) -> bytes:
    """The message with the authentication methods, at least one, that the client can use."""
    return bytes((VERSION, len(methods), *methods))


def read_method(data: bytes) -> tuple[int, int] | None:
    """The method the server chose. Raises SocksError."""
    return _two_bytes(data, VERSION)


def write_credentials(name: bytes, password: bytes) -> bytes:
    """User name and password; 1 to 255 bytes each. Raises WireError."""
    if not (1 <= len(name) <= 255 and 1 <= len(password) <= 255):
        raise WireError(WireRefusal.BAD_VALUE)
    return bytes((AUTH_VERSION, len(name))) + name + bytes((len(password),)) + password


def read_verdict(data: bytes) -> tuple[int, int] | None:
    """The status: 0 if the server accepted the credentials. Raises SocksError."""
    return _two_bytes(data, AUTH_VERSION)


def write_request(address: Address, port: int) -> bytes:
    """The request to connect to an address and port. Raises WireError for a port over 65535."""
    return bytes((VERSION, CONNECT, 0)) + _write_address(address, port)


def read_answer(data: bytes) -> tuple[Answer, int] | None:
    """The server's reply to a request. Raises SocksError."""
    if data and data[0] != VERSION:
        raise SocksError(WireRefusal.UNKNOWN_VERSION)
    read = _read_address(data, None)
    if read is None:
        return None
    address, port, end = read
    return Answer(data[1], address, port), end


# ---- both ---------------------------------------------------------------------------------------


def _two_bytes(data: bytes, version: int) -> tuple[int, int] | None:
    if data and data[0] != version:
        raise SocksError(WireRefusal.UNKNOWN_VERSION)
    return None if len(data) < 2 else (data[1], 2)


def _read_address(data: bytes, reply: Reply | None) -> tuple[Address, int, int] | None:
    if len(data) < 4:
        return None
    size = _SIZES.get(data[3])
    if size is None:
        raise SocksError(WireRefusal.BAD_VALUE, reply)
    end = 4 + size + 2
    if len(data) < end:
        return None
    packed = data[4 : 4 + size]
    address: Address = IPv4Address(packed) if size == 4 else IPv6Address(packed)
    return address, int.from_bytes(data[end - 2 : end], "big"), end


def _write_address(address: Address, port: int) -> bytes:
    if not 0 <= port < 1 << 16:
        raise WireError(WireRefusal.BAD_VALUE)
    return bytes((1 if address.version == 4 else 4,)) + address.packed + port.to_bytes(2, "big")
