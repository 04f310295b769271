"""The 0-RTT TCP Convert protocol (RFC 8803 section 6): the messages between a client and an MCP in explicit mode.

A message consists of a fixed header (version, length in 32-bit words, magic number) and TLVs, 1020 bytes at most. It
stands at the beginning of a connection, before the client's own data. Addresses have 128 bits; IPv4 addresses are
mapped. Every refusal carries the error code of section 6.2.8 that is sent to the other side.
"""

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from .errors import WireError, WireRefusal

VERSION = 1
MAGIC = 0x2263
HEADER = 4
WORD = 4
MAX_WORDS = 255
CONNECT_WORDS = 5
NO_LENGTH = (0, 1)  # TCP option kinds without a length: never in a Connect TLV

Address = IPv4Address | IPv6Address

_HEADER = Struct("!BBH")
_TLV = Struct("!BBH")


class TlvType(IntEnum):
    """The types of TLVs (section 6.2.2)."""

    INFO = 0x01
    CONNECT = 0x0A
    EXTENDED_TCP_HEADER = 0x14
    SUPPORTED_EXTENSIONS = 0x15
    COOKIE = 0x16
    ERROR = 0x1E


class ErrorCode(IntEnum):
    """Error codes (section 6.2.8). Other codes may arrive, and stay plain numbers."""

    UNSUPPORTED_VERSION = 0
    MALFORMED_MESSAGE = 1
    UNSUPPORTED_MESSAGE = 2
    MISSING_COOKIE = 3
    NOT_AUTHORIZED = 32
    UNSUPPORTED_TCP_OPTION = 33
    RESOURCE_EXCEEDED = 64
    NETWORK_FAILURE = 65
    CONNECTION_RESET = 96
    DESTINATION_UNREACHABLE = 97


class ConvertError(WireError):
    """A message that is refused. `code` and `value` are those of the Error TLV in the answer.

    `silent`: the bytes are no Convert message at all. Then no Convert message answers them.
    """

    def __init__(
        self, reason: WireRefusal, code: ErrorCode, value: bytes = b"", silent: bool = False
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.value = value
        self.silent = silent


@dataclass(frozen=True, slots=True)
class Info:
    """Asks which TCP extensions the converter supports (section 6.2.3)."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Asks for a connection to an address and port, with these TCP options (kind, value) (section 6.2.5)."""

    address: Address
    port: int
    options: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class ExtendedTcpHeader:
    """The options of the server's SYN/ACK, as bytes with their padding (section 6.2.6)."""

    options: bytes = b""


@dataclass(frozen=True, slots=True)
class SupportedExtensions:
    """The supported kinds of TCP options (section 6.2.4)."""

    kinds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Cookie:
    """An opaque value whose length is a multiple of 4 bytes (section 6.2.7)."""

    opaque: bytes


@dataclass(frozen=True, slots=True)
class Error:
    """An error (section 6.2.8). `value` is without its padding of zeros."""

    code: int
    value: bytes = b""


Tlv = Info | Connect | ExtendedTcpHeader | SupportedExtensions | Cookie | Error


@dataclass(frozen=True, slots=True)
class Request:
    """The request of a client for a connection. Where `connect` is None: for the list of supported extensions."""

    connect: Connect | None
    cookie: bytes | None = None


# ---- bytes -> values ----------------------------------------------------------------------------


def message_length(start: bytes) -> int | None:
    """The length in bytes of the message that begins with `start`, or None while its header is not complete.

    Raises ConvertError as soon as no message of this version can begin with these bytes.
    """
    if len(start) > 2 and start[2] != MAGIC >> 8:
        raise _no_convert()
    if len(start) < HEADER:
        return None
    version, words, magic = _HEADER.unpack_from(start)
    if magic != MAGIC:
        raise _no_convert()
    if version != VERSION:
        supported = bytes((VERSION,))
        raise ConvertError(WireRefusal.UNKNOWN_VERSION, ErrorCode.UNSUPPORTED_VERSION, supported)
    if not words:
        raise _malformed()
    return int(words) * WORD


def decode(message: bytes) -> tuple[Tlv, ...]:
    """The TLVs of one whole message. Raises ConvertError."""
    length = message_length(message)
    if length is None or length != len(message):
        raise _malformed(WireRefusal.TRUNCATED)
    tlvs: list[Tlv] = []
    at = HEADER
    while at < length:
        kind, words = message[at], message[at + 1]
        end = at + words * WORD
        if not words or end > length:
            raise _malformed()
        tlvs.append(_decode_tlv(kind, message[at:end]))
        at = end
    return tuple(tlvs)


def decode_request(message: bytes) -> Request:
    """The request in a client's message: one Connect or one Info, and at most one cookie.

    Raises ConvertError for any other number of these TLVs, and for TLVs that only a converter sends.
    """
    connect: Connect | None = None
    cookie: bytes | None = None
    info = False
    for tlv in decode(message):
        if isinstance(tlv, Connect) and connect is None:
            connect = tlv
        elif isinstance(tlv, Info) and not info:
            info = True
        elif isinstance(tlv, Cookie) and cookie is None:
            cookie = tlv.opaque
        elif isinstance(tlv, (Connect, Info, Cookie)):
            raise _malformed()
        else:
            kind = bytes((_type_of(tlv),))
            raise ConvertError(WireRefusal.UNKNOWN_TLV, ErrorCode.UNSUPPORTED_MESSAGE, kind)
    if info == (connect is not None):
        raise _malformed()
    return Request(connect, cookie)


def _decode_tlv(kind: int, tlv: bytes) -> Tlv:
    body = tlv[WORD:]  # after type, length, and the two bytes that most TLVs do not use
    if kind == TlvType.INFO:
        if body:
            raise _malformed()
        return Info()
    if kind == TlvType.CONNECT:
        if len(tlv) < CONNECT_WORDS * WORD:
            raise _malformed()
        return _decode_connect(tlv)
    if kind == TlvType.EXTENDED_TCP_HEADER:
        return ExtendedTcpHeader(body)
    if kind == TlvType.SUPPORTED_EXTENSIONS:
        return SupportedExtensions(tuple(value for value in body if value))
    if kind == TlvType.COOKIE:
        return Cookie(body)
    if kind == TlvType.ERROR:
        return Error(tlv[2], tlv[3:].rstrip(b"\0"))
    raise ConvertError(WireRefusal.UNKNOWN_TLV, ErrorCode.UNSUPPORTED_MESSAGE, bytes((kind,)))


def _decode_connect(tlv: bytes) -> Connect:
    port = int.from_bytes(tlv[2:4], "big")
    address = IPv6Address(tlv[4:20])
    where: Address = address.ipv4_mapped or address
    if not port or not reachable(where):
        raise _malformed(WireRefusal.BAD_VALUE)
    options: list[tuple[int, bytes]] = []
    at = CONNECT_WORDS * WORD
    while at < len(tlv):
        kind = tlv[at]
        if kind in NO_LENGTH:
            # Only zeros may stand here, which pad to the end of the word. A NOP, or bytes after an END, are refused.
            if any(tlv[at:]) or len(tlv) - at >= WORD:
                raise _malformed()
            break
        size = tlv[at + 1] if at + 1 < len(tlv) else 0
        if size < 2 or at + size > len(tlv):
            raise _malformed(WireRefusal.OPTION_OVERRUN)
        options.append((kind, tlv[at + 2 : at + size]))
        at += size
    return Connect(where, port, tuple(options))


def reachable(address: Address) -> bool:
    """Whether an address may be a destination (section 6.2.5): it has to be a unicast address of another host."""
    broadcast = address.version == 4 and address == IPv4Address("255.255.255.255")
    return not (address.is_multicast or address.is_loopback or address.is_unspecified or broadcast)


# ---- values -> bytes ----------------------------------------------------------------------------


def encode(*tlvs: Tlv) -> bytes:
    """A whole message. Raises WireError(bad-value) for a field that does not fit, or a message that is too long."""
    body = b"".join(_encode_tlv(tlv) for tlv in tlvs)
    words = (HEADER + len(body)) // WORD
    _require(words <= MAX_WORDS)
    return _HEADER.pack(VERSION, words, MAGIC) + body


def error(refused: ConvertError) -> bytes:
    """The answer to a refused message: it holds the Error TLV with the reason. b"" for a silent refusal."""
    return b"" if refused.silent else encode(Error(refused.code, refused.value))


def _encode_tlv(tlv: Tlv) -> bytes:
    if isinstance(tlv, Connect):
        _require(0 < tlv.port < 1 << 16)
        six = tlv.address if tlv.address.version == 6 else IPv6Address(f"::ffff:{tlv.address}")
        return _packed(TlvType.CONNECT, tlv.port, six.packed + _encode_options(tlv.options))
    if isinstance(tlv, ExtendedTcpHeader):
        return _packed(TlvType.EXTENDED_TCP_HEADER, 0, tlv.options)
    if isinstance(tlv, SupportedExtensions):
        _require(all(0 < kind < 256 for kind in tlv.kinds))
        return _packed(TlvType.SUPPORTED_EXTENSIONS, 0, bytes(tlv.kinds))
    if isinstance(tlv, Cookie):
        _require(not len(tlv.opaque) % WORD)
        return _packed(TlvType.COOKIE, 0, tlv.opaque)
    if isinstance(tlv, Error):
        _require(0 <= tlv.code < 256)
        first = tlv.value[0] if tlv.value else 0
        return _packed(TlvType.ERROR, tlv.code << 8 | first, tlv.value[1:])
    return _packed(TlvType.INFO, 0, b"")


def _encode_options(options: tuple[tuple[int, bytes], ...]) -> bytes:
    parts: list[bytes] = []
    for kind, value in options:
        _require(0 < kind < 256 and kind not in NO_LENGTH and len(value) <= 253)
        parts.append(bytes((kind, len(value) + 2)) + value)
    return b"".join(parts)


def _packed(kind: TlvType, short: int, body: bytes) -> bytes:
    """A TLV, padded with zeros: type, length, two bytes, the rest."""
    body += bytes(-len(body) % WORD)
    words = (WORD + len(body)) // WORD
    _require(words <= MAX_WORDS)
    return _TLV.pack(kind, words, short) + body


def _type_of(tlv: Tlv) -> TlvType:
    return TlvType(_encode_tlv(tlv)[0])


def _require(condition: bool) -> None:
    if not condition:
        raise WireError(WireRefusal.BAD_VALUE)


def _malformed(reason: WireRefusal = WireRefusal.BAD_TLV) -> ConvertError:
    return ConvertError(reason, ErrorCode.MALFORMED_MESSAGE)


def _no_convert() -> ConvertError:
    return ConvertError(WireRefusal.BAD_MAGIC, ErrorCode.MALFORMED_MESSAGE, silent=True)
