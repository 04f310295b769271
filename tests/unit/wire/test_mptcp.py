"""Every MPTCP option, version 0 and 1: bytes seen on the wire, and what is refused."""

import pytest

from steering.wire.decode import decode_option, mptcp_options
from steering.wire.errors import WireError, WireRefusal
from steering.wire.mptcp import (
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
)

hexa = bytes.fromhex
KEY_A, KEY_B = hexa("c9860dfe1c8da533"), hexa("1b6ffbbde3984628")
V6 = "fd000008" + "0" * 23 + "2"

# version, bytes, value
BOTH_WAYS: list[tuple[int, str, MptcpOption]] = [
    (1, "1e040101", MpCapable(1)),
    (1, "1e040201", MpCapable(2)),
    (1, "1e0c0121 1b6ffbbde3984628", MpCapable(1, KEY_B, deny_join=True)),
    (1, "1e140101 c9860dfe1c8da533 1b6ffbbde3984628", MpCapable(1, KEY_A, KEY_B)),
    (1, "1e160101 c9860dfe1c8da533 1b6ffbbde3984628 4e20", MpCapable(1, KEY_A, KEY_B, 20000)),
    (
        *(1, "1e180181 c9860dfe1c8da533 1b6ffbbde3984628 0001 abcd"),
        MpCapable(1, KEY_A, KEY_B, 1, 0xABCD, checksum_required=True),
    ),
    (1, "1e040141", MpCapable(1, extension=True)),
    (1, "1e04011e", MpCapable(1, crypto=0x1E)),
    (0, "1e0c0001 c9860dfe1c8da533", MpCapable(0, KEY_A)),
    (0, "1e0c00a1 c9860dfe1c8da533", MpCapable(0, KEY_A, checksum_required=True, crypto=0x21)),
    (0, "1e140001 c9860dfe1c8da533 1b6ffbbde3984628", MpCapable(0, KEY_A, KEY_B)),
    (1, "1e0c1001 169a4894 784013b4", MpJoinSyn(1, hexa("169a4894"), hexa("784013b4"))),
    (1, "1e0c1105 169a4894 784013b4", MpJoinSyn(5, hexa("169a4894"), hexa("784013b4"), backup=True)),
    (1, "1e101002 4b99d2faf48372cb c0f227d4", MpJoinSynAck(2, hexa("4b99d2faf48372cb"), hexa("c0f227d4"))),
    (
        *(0, "1e101100 4b99d2faf48372cb c0f227d4"),
        MpJoinSynAck(0, hexa("4b99d2faf48372cb"), hexa("c0f227d4"), backup=True),
    ),
    (
        *(1, "1e181000 ad5d5d29cdfea529fe635e92f4f81a583c29e3ae"),
        MpJoinAck(hexa("ad5d5d29cdfea529fe635e92f4f81a583c29e3ae")),
    ),
    (1, "1e042000", Dss()),
    (1, "1e042010", Dss(data_fin=True)),
    (1, "1e0820014fe6c2fc", Dss(hexa("4fe6c2fc"))),
    (1, "1e0c2003b4af58d4883788ad", Dss(hexa("b4af58d4883788ad"))),
    (0, "1e0e2004 00000001 00000002 0003", Dss(None, DssMapping(hexa("00000001"), 2, 3))),
    (0, "1e102004 00000001 00000002 0003 ffee", Dss(None, DssMapping(hexa("00000001"), 2, 3, 0xFFEE))),
    (
        *(1, "1e1a201f b4af58d4883788ad 0000000000000001 00000002 0000"),
        Dss(hexa("b4af58d4883788ad"), DssMapping(hexa("0000000000000001"), 2, 0), data_fin=True),
    ),
    (
        *(1, "1e1c200f b4af58d4883788ad 0000000000000001 00000002 0003 ffee"),
        Dss(hexa("b4af58d4883788ad"), DssMapping(hexa("0000000000000001"), 2, 3, 0xFFEE)),
    ),
    (1, "1e1030010a0800026d35bcae2e15a3d5", AddAddr(1, hexa("0a080002"), None, hexa("6d35bcae2e15a3d5"))),
    (
        *(1, "1e1230010a080002176f8edea3cc3de6063f"),
        AddAddr(1, hexa("0a080002"), 5999, hexa("8edea3cc3de6063f")),
    ),
    (1, "1e0831010a080002", AddAddr(1, hexa("0a080002"), echo=True)),
    (1, "1e0a31010a080002176f", AddAddr(1, hexa("0a080002"), 5999, echo=True)),
    (1, "1e1c3003" + V6 + "6d35bcae2e15a3d5", AddAddr(3, hexa(V6), None, hexa("6d35bcae2e15a3d5"))),
    (1, "1e1e3003" + V6 + "00506d35bcae2e15a3d5", AddAddr(3, hexa(V6), 80, hexa("6d35bcae2e15a3d5"))),
    (1, "1e143103" + V6, AddAddr(3, hexa(V6), echo=True)),
    (1, "1e163103" + V6 + "0050", AddAddr(3, hexa(V6), 80, echo=True)),
    (0, "1e0834020a080002", AddAddr(2, hexa("0a080002"))),
    (0, "1e0a34020a080002176f", AddAddr(2, hexa("0a080002"), 5999)),
    (0, "1e143602" + V6, AddAddr(2, hexa(V6))),
    (0, "1e163602" + V6 + "0050", AddAddr(2, hexa(V6), 80)),
    (1, "1e044005", RemoveAddr((5,))),
    (0, "1e06400506ff", RemoveAddr((5, 6, 255))),
    (1, "1e0350", MpPrio(False)),
    (1, "1e0351", MpPrio(True)),
    (0, "1e0351", MpPrio(True)),
    (0, "1e045107", MpPrio(True, 7)),
    (1, "1e0c6000 0000000000000009", MpFail(hexa("0000000000000009"))),
    (1, "1e0c7000 c9860dfe1c8da533", MpFastclose(KEY_A)),
    (1, "1e048001", MpTcprst(1)),
    (1, "1e048102", MpTcprst(2, transient=True)),
    (1, "1e0480ff", MpTcprst(255)),
    (1, "1e03f0", MpExperimental(0, b"")),
    (0, "1e06f5aabbcc", MpExperimental(5, hexa("aabbcc"))),
]


@pytest.mark.parametrize(("version", "raw", "value"), BOTH_WAYS)
def test_both_ways(version: int, raw: str, value: MptcpOption) -> None:
    assert decode_option(hexa(raw), version) == value
    if not isinstance(value, MpCapable):
        assert value.encode(version) == hexa(raw)
    assert value == value and value.encode(getattr(value, "version", version)) == hexa(raw)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("1e0c1e01 169a4894 784013b4", "1e0c1001 169a4894 784013b4"),
        ("1e181fff" + "ab" * 20, "1e181000" + "ab" * 20),
        ("1e042fe0", "1e042000"),
        ("1e044f05", "1e044005"),
        ("1e0c7fff c9860dfe1c8da533", "1e0c7000 c9860dfe1c8da533"),
        ("1e048e01", "1e048001"),  # U, V and W
    ],
)
def test_reserved_bits_are_ignored(raw: str, clean: str) -> None:
    assert decode_option(hexa(raw)) == decode_option(hexa(clean))


def test_the_version_of_the_connection_decides_how_add_addr_is_read() -> None:
    raw = hexa("1e0834020a080002")
    assert decode_option(raw, 0) == AddAddr(2, hexa("0a080002"))
    with pytest.raises(WireError):
        decode_option(raw, 1)  # version 1: no echo, and no room for the HMAC


def _reason(raw: str, version: int) -> WireRefusal:
    with pytest.raises(WireError) as caught:
        decode_option(hexa(raw), version)
    return caught.value.reason


LENGTHS = {
    "capable 0": (0, "00 01", (12, 20)),
    "capable 1": (1, "01 01", (4, 12, 20, 22, 24)),
    "join": (1, "10 00", (12, 16, 24)),
    "dss": (1, "20 00", (4,)),
    "dss ack": (1, "20 01", (8,)),
    "dss long ack": (1, "20 03", (12,)),
    "dss mapping": (1, "20 04", (14, 16)),
    "dss all": (1, "20 0f", (26, 28)),
    "add 1": (1, "30 01", (16, 18, 28, 30)),
    "add echo": (1, "31 01", (8, 10, 20, 22)),
    "add 0 v4": (0, "34 01", (8, 10)),
    "add 0 v6": (0, "36 01", (20, 22)),
    "remove": (1, "40", tuple(range(4, 41))),
    "prio 1": (1, "50", (3,)),
    "prio 0": (0, "50", (3, 4)),
    "fail": (1, "60", (12,)),
    "fastclose": (1, "70", (12,)),
    "tcprst": (1, "80", (4,)),
    "experimental": (1, "f0", tuple(range(3, 41))),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_every_length(name: str) -> None:
    version, start, good = LENGTHS[name]
    accepted = []
    for length in range(3, 41):
        raw = (bytes((30, length)) + hexa(start) + bytes(40))[:length]
        try:
            decode_option(raw, version)
        except WireError as error:
            assert error.reason is WireRefusal.BAD_OPTION_LENGTH
        else:
            accepted.append(length)
    assert tuple(accepted) == good


@pytest.mark.parametrize(
    ("raw", "version", "reason"),
    [
        ("", 1, WireRefusal.NOT_MPTCP),
        ("020405b4", 1, WireRefusal.NOT_MPTCP),
        ("1e", 1, WireRefusal.BAD_OPTION_LENGTH),
        ("1e02", 1, WireRefusal.BAD_OPTION_LENGTH),
        ("1e050101", 1, WireRefusal.BAD_OPTION_LENGTH),
        ("1e04010101", 1, WireRefusal.BAD_OPTION_LENGTH),
        ("1e0390", 1, WireRefusal.UNKNOWN_SUBTYPE),
        ("1e048001", 0, WireRefusal.UNKNOWN_SUBTYPE),
        ("1e0831010a080002", 0, WireRefusal.BAD_VALUE),
        ("1e0c0201" + "00" * 8, 1, WireRefusal.UNKNOWN_VERSION),
        ("1e0350", 2, WireRefusal.UNKNOWN_VERSION),
    ],
)
def test_refusals(raw: str, version: int, reason: WireRefusal) -> None:
    assert _reason(raw, version) is reason


@pytest.mark.parametrize(
    ("value", "version"),
    [
        (MpCapable(1, bytes(7)), 1),
        (MpCapable(1, b"", KEY_B), 1),
        (MpCapable(1, KEY_A, b"", 5), 1),
        (MpCapable(1, KEY_A, KEY_B, None, 5), 1),
        (MpCapable(1, KEY_A, KEY_B, 65536), 1),
        (MpCapable(0), 0),
        (MpCapable(0, KEY_A, KEY_B, 5), 0),
        (MpCapable(0, KEY_A, deny_join=True), 0),
        (MpCapable(2, KEY_A), 2),
        (MpCapable(1), 0),
        (MpCapable(16), 16),
        (MpCapable(1, crypto=0x20), 1),
        (MpJoinSyn(256, bytes(4), bytes(4)), 1),
        (MpJoinSyn(1, bytes(3), bytes(4)), 1),
        (MpJoinSynAck(1, bytes(20), bytes(4)), 1),
        (MpJoinAck(bytes(8)), 1),
        (Dss(bytes(5)), 1),
        (Dss(None, DssMapping(bytes(8), -1, 0)), 1),
        (AddAddr(1, bytes(4)), 1),
        (AddAddr(1, bytes(5), None, bytes(8)), 1),
        (AddAddr(1, bytes(4), None, bytes(8), echo=True), 1),
        (AddAddr(1, bytes(4), None, bytes(8)), 0),
        (RemoveAddr(()), 1),
        (RemoveAddr(tuple(range(38))), 1),
        (MpPrio(True, 7), 1),
        (MpTcprst(1), 0),
        (MpTcprst(256), 1),
        (MpExperimental(16, b""), 1),
        (MpExperimental(0, bytes(38)), 1),
    ],
)
def test_what_cannot_be_encoded(value: MptcpOption, version: int) -> None:
    with pytest.raises(WireError) as caught:
        value.encode(version)
    assert caught.value.reason is WireRefusal.BAD_VALUE


def test_malformed_options_of_a_header_are_ignored() -> None:
    raw = hexa("1e0401 01 1e050101ff 1e0390 01 1e0350 020405b4")
    assert mptcp_options(raw) == [MpCapable(1), MpPrio(False)]
    with pytest.raises(WireError):
        mptcp_options(hexa("1e040101 1e00"))
