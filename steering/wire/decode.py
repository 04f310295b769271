"""From the bytes of an MPTCP option to its value (RFC 8684 3, RFC 6824 3). The inverse of `mptcp`."""

from collections.abc import Callable

from .errors import WireError, WireRefusal
from .mptcp import (
    AddAddr,
    Dss,
    DssMapping,
    MpCapable,
    MpExperimental,
    MpFail,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    MptcpOption,
    MpTcprst,
    RemoveAddr,
    Subtype,
)
from .options import MPTCP, walk_options
from .segment import Buffer


def decode_option(option: Buffer, version: int = 1) -> MptcpOption:
    """The value of one whole option (kind 30, length, ...) of a connection of MPTCP `version` (0 or 1).

    MP_CAPABLE holds its version itself. Raises WireError: not-mptcp, bad-option-length (also when the length byte is
    not the length of `option`), unknown-subtype, unknown-version, bad-value.
    """
    data = bytes(option)
    if version not in (0, 1):
        raise WireError(WireRefusal.UNKNOWN_VERSION)
    if len(data) < 1 or data[0] != MPTCP:
        raise WireError(WireRefusal.NOT_MPTCP)
    if len(data) < 3 or data[1] != len(data):
        raise WireError(WireRefusal.BAD_OPTION_LENGTH)
    subtype = data[2] >> 4
    if subtype == Subtype.ADD_ADDR:
        return _add_addr_v0(data) if version == 0 else _add_addr_v1(data)
    if subtype == Subtype.MP_PRIO:
        return _prio(data, version)
    if subtype == Subtype.MP_TCPRST and version == 0:
        raise WireError(WireRefusal.UNKNOWN_SUBTYPE)
    decoder = _DECODERS.get(subtype)
    if decoder is None:
        raise WireError(WireRefusal.UNKNOWN_SUBTYPE)
    return decoder(data)


def mptcp_options(options: Buffer, version: int = 1) -> list[MptcpOption]:
    """All well-formed MPTCP options of a TCP header, in order. Malformed ones are ignored (RFC 8684 3).

    Raises WireError only for a malformed option LIST, as `walk_options` does.
    """
    found = []
    for kind, option in walk_options(options):
        if kind == MPTCP:
            try:
                found.append(decode_option(option, version))
            except WireError:
                continue
    return found


def _length(data: bytes, *lengths: int) -> None:
    if len(data) not in lengths:
        raise WireError(WireRefusal.BAD_OPTION_LENGTH)


def _u16(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]


def _capable(data: bytes) -> MpCapable:
    version = data[2] & 0x0F
    if version > 1 and len(data) != 4:
        raise WireError(WireRefusal.UNKNOWN_VERSION)
    _length(data, *((12, 20) if version == 0 else (4, 12, 20, 22, 24)))
    bits = data[3]
    return MpCapable(
        version=version,
        sender_key=data[4:12],
        receiver_key=data[12:20],
        data_length=_u16(data, 20) if len(data) > 20 else None,
        checksum=_u16(data, 22) if len(data) > 22 else None,
        checksum_required=bool(bits & 0x80),
        extension=bool(bits & 0x40),
        deny_join=version > 0 and bool(bits & 0x20),
        crypto=bits & (0x1F if version else 0x3F),
    )


def _join(data: bytes) -> MpJoinSyn | MpJoinSynAck | MpJoinAck:
    _length(data, 12, 16, 24)
    backup = bool(data[2] & 1)
    if len(data) == 12:
        return MpJoinSyn(data[3], data[4:8], data[8:12], backup)
    if len(data) == 16:
        return MpJoinSynAck(data[3], data[4:12], data[12:16], backup)
    return MpJoinAck(data[4:24])


def _dss(data: bytes) -> Dss:
    if len(data) < 4:
        raise WireError(WireRefusal.BAD_OPTION_LENGTH)
    bits, at = data[3], 4
    ack_size = (8 if bits & 0x02 else 4) if bits & 0x01 else 0
    dsn_size = (8 if bits & 0x08 else 4) if bits & 0x04 else 0
    whole = at + ack_size + (dsn_size + 6 if dsn_size else 0)
    # Only the option's length shows whether there is a checksum: the handshake decided whether checksums are used.
    _length(data, *((whole, whole + 2) if dsn_size else (whole,)))
    data_ack = data[at : at + ack_size] if ack_size else None
    at += ack_size
    mapping = None
    if dsn_size:
        after = at + dsn_size
        subflow_seq = int.from_bytes(data[after : after + 4], "big")
        checksum = _u16(data, after + 6) if len(data) > whole else None
        mapping = DssMapping(data[at:after], subflow_seq, _u16(data, after + 4), checksum)
    return Dss(data_ack, mapping, bool(bits & 0x10))


def _add_addr_v1(data: bytes) -> AddAddr:
    echo = bool(data[2] & 1)
    hmac_size = 0 if echo else 8
    size = len(data) - 4 - hmac_size
    if size not in (4, 6, 16, 18):
        raise WireError(WireRefusal.BAD_OPTION_LENGTH)
    address, port = _address(data, size)
    return AddAddr(data[3], address, port, data[4 + size :], echo)


def _add_addr_v0(data: bytes) -> AddAddr:
    family = data[2] & 0x0F
    if family not in (4, 6):
        raise WireError(WireRefusal.BAD_VALUE)
    _length(data, *((8, 10) if family == 4 else (20, 22)))
    address, port = _address(data, len(data) - 4)
    return AddAddr(data[3], address, port)


def _address(data: bytes, size: int) -> tuple[bytes, int | None]:
    """Address and port of an ADD_ADDR, where both together have `size` bytes."""
    address = data[4 : 4 + (16 if size >= 16 else 4)]
    return address, (_u16(data, 4 + len(address)) if len(address) < size else None)


def _remove_addr(data: bytes) -> RemoveAddr:
    if len(data) < 4:
        raise WireError(WireRefusal.BAD_OPTION_LENGTH)
    return RemoveAddr(tuple(data[3:]))


def _prio(data: bytes, version: int) -> MpPrio:
    _length(data, *((3, 4) if version == 0 else (3,)))
    return MpPrio(bool(data[2] & 1), data[3] if len(data) == 4 else None)


def _fail(data: bytes) -> MpFail:
    _length(data, 12)
    return MpFail(data[4:])


def _fastclose(data: bytes) -> MpFastclose:
    _length(data, 12)
    return MpFastclose(data[4:])


def _tcprst(data: bytes) -> MpTcprst:
    _length(data, 4)
    return MpTcprst(data[3], bool(data[2] & 1))


def _experimental(data: bytes) -> MpExperimental:
    return MpExperimental(data[2] & 0x0F, data[3:])


_DECODERS: dict[int, Callable[[bytes], MptcpOption]] = {
    Subtype.MP_CAPABLE: _capable,
    Subtype.MP_JOIN: _join,
    Subtype.DSS: _dss,
    Subtype.REMOVE_ADDR: _remove_addr,
    Subtype.MP_FAIL: _fail,
    Subtype.MP_FASTCLOSE: _fastclose,
    Subtype.MP_TCPRST: _tcprst,
    Subtype.MP_EXPERIMENTAL: _experimental,
}
