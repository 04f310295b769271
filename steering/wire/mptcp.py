"""The MPTCP options as values, and their bytes: RFC 8684 3 (version 1) and RFC 6824 3 (version 0).

There is a class for each form of option on the wire. `encode(version)` gives the whole option with kind and length.
`decode.decode_option` is its inverse. Reserved bits are sent as zero, and ignored when read.

`version` is that of the CONNECTION, because only MP_CAPABLE holds its version. The low four bits of ADD_ADDR's third
byte, for example, are the IP version in version 0 and flags in version 1. Encoding raises WireError(bad-value) for a
field that does not exist in that version.
"""

from dataclasses import dataclass
from enum import IntEnum

from .errors import WireError, WireRefusal
from .options import MPTCP


class Subtype(IntEnum):
    """The subtype, which is the high nibble of the option's third byte."""

    MP_CAPABLE = 0x0
    MP_JOIN = 0x1
    DSS = 0x2
    ADD_ADDR = 0x3
    REMOVE_ADDR = 0x4
    MP_PRIO = 0x5
    MP_FAIL = 0x6
    MP_FASTCLOSE = 0x7
    MP_TCPRST = 0x8
    MP_EXPERIMENTAL = 0xF


class ResetReason(IntEnum):
    """Reasons of MP_TCPRST (RFC 8684 3.6). Other values may arrive and stay plain numbers."""

    UNSPECIFIED = 0
    MPTCP_ERROR = 1
    LACK_OF_RESOURCES = 2
    ADMINISTRATIVELY_PROHIBITED = 3
    TOO_MUCH_OUTSTANDING_DATA = 4
    UNACCEPTABLE_PERFORMANCE = 5
    MIDDLEBOX_INTERFERENCE = 6


CRYPTO_H = 0x01  # version 1: HMAC-SHA256, version 0: HMAC-SHA1


def require(condition: bool) -> None:
    """Raise WireError(bad-value) unless `condition`."""
    if not condition:
        raise WireError(WireRefusal.BAD_VALUE)


def _option(subtype: Subtype, nibble: int, *fields: bytes) -> bytes:
    body = bytes((subtype << 4 | nibble,)) + b"".join(fields)
    require(len(body) + 2 <= 40)
    return bytes((MPTCP, len(body) + 2)) + body


def _number(value: int, size: int) -> bytes:
    require(0 <= value < 1 << 8 * size)
    return value.to_bytes(size, "big")


def _sized(value: bytes, *sizes: int) -> bytes:
    require(len(value) in sizes)
    return value


@dataclass(frozen=True, slots=True)
class MpCapable:
    """MP_CAPABLE in all forms: without a key (SYN of version 1), with the sender's key, with both keys, or with both
    keys and the first data."""

    version: int
    sender_key: bytes = b""
    receiver_key: bytes = b""
    data_length: int | None = None  # version 1, first data
    checksum: int | None = None  # version 1, first data, where checksums were asked for
    checksum_required: bool = False  # A
    extension: bool = False  # B: a receiver that does not know the extension ignores the whole option
    deny_join: bool = False  # C, version 1: no joins to this source address and port
    crypto: int = CRYPTO_H  # D-H in version 1, C-H in version 0

    def encode(self, version: int | None = None) -> bytes:
        require(version in (None, self.version) and 0 <= self.version <= 15)
        require(0 <= self.crypto <= (0x1F if self.version else 0x3F))
        require(not (self.deny_join and not self.version))
        self._require_form()
        bits = self.checksum_required << 7 | self.extension << 6 | self.deny_join << 5 | self.crypto
        tail = b"" if self.data_length is None else _number(self.data_length, 2)
        tail += b"" if self.checksum is None else _number(self.checksum, 2)
        keys = _sized(self.sender_key, 0, 8), _sized(self.receiver_key, 0, 8)
        return _option(Subtype.MP_CAPABLE, self.version, bytes((bits,)), *keys, tail)

    def _require_form(self) -> None:
        require(bool(self.sender_key) or not self.receiver_key)
        require(bool(self.receiver_key) or self.data_length is None)
        require(self.data_length is not None or self.checksum is None)
        if self.version == 0:
            require(bool(self.sender_key) and self.data_length is None)
        if self.version > 1:
            require(not self.sender_key)  # only the SYN has a known form in later versions


@dataclass(frozen=True, slots=True)
class MpJoinSyn:
    """MP_JOIN of a SYN. `token` is the receiver's (4 bytes), `nonce` 4 bytes."""

    address_id: int
    token: bytes
    nonce: bytes
    backup: bool = False

    def encode(self, version: int) -> bytes:
        fields = _number(self.address_id, 1), _sized(self.token, 4), _sized(self.nonce, 4)
        return _option(Subtype.MP_JOIN, int(self.backup), *fields)


@dataclass(frozen=True, slots=True)
class MpJoinSynAck:
    """MP_JOIN of a SYN/ACK. `hmac` 8 bytes (crypto.join_syn_ack_hmac), `nonce` 4 bytes."""

    address_id: int
    hmac: bytes
    nonce: bytes
    backup: bool = False

    def encode(self, version: int) -> bytes:
        fields = _number(self.address_id, 1), _sized(self.hmac, 8), _sized(self.nonce, 4)
        return _option(Subtype.MP_JOIN, int(self.backup), *fields)


@dataclass(frozen=True, slots=True)
class MpJoinAck:
    """MP_JOIN of the third ACK. `hmac` 20 bytes (crypto.join_ack_hmac)."""

    hmac: bytes

    def encode(self, version: int) -> bytes:
        return _option(Subtype.MP_JOIN, 0, b"\0", _sized(self.hmac, 20))


@dataclass(frozen=True, slots=True)
class DssMapping:
    """The mapping in a DSS. `dsn` has 4 or 8 bytes. `data_length` 0 is the infinite mapping (fallback)."""

    dsn: bytes
    subflow_seq: int
    data_length: int
    checksum: int | None = None


@dataclass(frozen=True, slots=True)
class Dss:
    """DSS. `data_ack` 4 or 8 bytes."""

    data_ack: bytes | None = None
    mapping: DssMapping | None = None
    data_fin: bool = False

    def encode(self, version: int) -> bytes:
        bits, fields = int(self.data_fin) << 4, b""
        if self.data_ack is not None:
            fields += _sized(self.data_ack, 4, 8)
            bits |= 0x03 if len(self.data_ack) == 8 else 0x01
        if self.mapping is not None:
            fields += _sized(self.mapping.dsn, 4, 8) + _number(self.mapping.subflow_seq, 4)
            fields += _number(self.mapping.data_length, 2)
            fields += b"" if self.mapping.checksum is None else _number(self.mapping.checksum, 2)
            bits |= 0x0C if len(self.mapping.dsn) == 8 else 0x04
        return _option(Subtype.DSS, 0, bytes((bits,)), fields)


@dataclass(frozen=True, slots=True)
class AddAddr:
    """ADD_ADDR. `address` 4 or 16 bytes. Version 1: `hmac` of 8 bytes, or none in an echo. Version 0: neither."""

    address_id: int
    address: bytes
    port: int | None = None
    hmac: bytes = b""
    echo: bool = False

    def encode(self, version: int) -> bytes:
        if version == 0:
            require(not self.echo and not self.hmac)
            nibble = 4 if len(self.address) == 4 else 6
        else:
            _sized(self.hmac, 0 if self.echo else 8)
            nibble = int(self.echo)
        port = b"" if self.port is None else _number(self.port, 2)
        fields = _number(self.address_id, 1), _sized(self.address, 4, 16), port, self.hmac
        return _option(Subtype.ADD_ADDR, nibble, *fields)


@dataclass(frozen=True, slots=True)
class RemoveAddr:
    """REMOVE_ADDR with one or more address ids."""

    address_ids: tuple[int, ...]

    def encode(self, version: int) -> bytes:
        require(bool(self.address_ids))
        return _option(Subtype.REMOVE_ADDR, 0, *(_number(one, 1) for one in self.address_ids))


@dataclass(frozen=True, slots=True)
class MpPrio:
    """MP_PRIO. `address_id` exists only in version 0. Without it, the option is about the subflow that carries it."""

    backup: bool
    address_id: int | None = None

    def encode(self, version: int) -> bytes:
        require(version == 0 or self.address_id is None)
        tail = b"" if self.address_id is None else _number(self.address_id, 1)
        return _option(Subtype.MP_PRIO, int(self.backup), tail)


@dataclass(frozen=True, slots=True)
class MpFail:
    """MP_FAIL. `dsn` 8 bytes."""

    dsn: bytes

    def encode(self, version: int) -> bytes:
        return _option(Subtype.MP_FAIL, 0, b"\0", _sized(self.dsn, 8))


@dataclass(frozen=True, slots=True)
class MpFastclose:
    """MP_FASTCLOSE. `receiver_key` 8 bytes: a secret."""

    receiver_key: bytes

    def encode(self, version: int) -> bytes:
        return _option(Subtype.MP_FASTCLOSE, 0, b"\0", _sized(self.receiver_key, 8))


@dataclass(frozen=True, slots=True)
class MpTcprst:
    """MP_TCPRST, version 1 only. `transient` (T): the peer may try again later."""

    reason: int
    transient: bool = False

    def encode(self, version: int) -> bytes:
        require(version != 0)
        return _option(Subtype.MP_TCPRST, int(self.transient), _number(self.reason, 1))


@dataclass(frozen=True, slots=True)
class MpExperimental:
    """MP_EXPERIMENTAL: the four bits after the subtype, and the bytes after them."""

    bits: int
    data: bytes

    def encode(self, version: int) -> bytes:
        require(0 <= self.bits <= 15)
        return _option(Subtype.MP_EXPERIMENTAL, self.bits, self.data)


MptcpOption = (
    MpCapable
    | MpJoinSyn
    | MpJoinSynAck
    | MpJoinAck
    | Dss
    | AddAddr
    | RemoveAddr
    | MpPrio
    | MpFail
    | MpFastclose
    | MpTcprst
    | MpExperimental
)
