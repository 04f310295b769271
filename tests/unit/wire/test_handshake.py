"""The hot reader: every form of the two opening options, what counts as plain, and every refusal."""

import pytest

from steering.wire.craft import ethernet_frame, ip_datagram, tcp_frame, tcp_segment
from steering.wire.errors import WireError, WireRefusal
from steering.wire.handshake import Handshake, Kind, read_handshake, token

UE, SERVER = bytes([10, 1, 0, 2]), bytes([10, 9, 0, 2])
UE6, SERVER6 = bytes.fromhex("fd000001" + "0" * 23 + "2"), bytes.fromhex("fd000009" + "0" * 23 + "2")
KEY_A, KEY_B = bytes.fromhex("c9860dfe1c8da533"), bytes.fromhex("1b6ffbbde3984628")
KEYS = (KEY_A + KEY_B).hex()
SYN, SYN_ACK, ACK, DATA = 0x02, 0x12, 0x10, 0x18
LINUX_SYN = "020405b4 0402 080a0011223300000000 01 030307"


def _frame(options: str, flags: int = SYN, v6: bool = False, **more: object) -> bytes:
    raw = bytes.fromhex(options)
    raw += bytes(-len(raw) % 4)
    pair = (UE6, SERVER6) if v6 else (UE, SERVER)
    return tcp_frame(*pair, 46708, 5201, seq=7, ack=9, flags=flags, options=raw, **more)  # type: ignore[arg-type]


def _read(options: str, flags: int = SYN) -> Handshake:
    """Read it in both families and with and without tags; all must say the same."""
    v4 = read_handshake(_frame(options, flags))
    v6 = read_handshake(_frame(options, flags, v6=True))
    tagged = read_handshake(_frame(options, flags, tags=((0x88A8, 5), (0x8100, 6))))
    assert v4[7:18] == v6[7:18] == tagged[7:18]
    assert (v4.family, v6.family, tagged.payload_offset) == (4, 6, v4.payload_offset + 8)
    return v4


def _refusal(frame: bytes) -> WireRefusal:
    with pytest.raises(WireError) as caught:
        read_handshake(frame)
    return caught.value.reason


def test_capable_syn_v1() -> None:
    got = read_handshake(_frame(LINUX_SYN + "1e040101"))
    assert got == Handshake(
        family=4,
        src=UE,
        dst=SERVER,
        sport=46708,
        dport=5201,
        seq=7,
        ack=9,
        flags=SYN,
        kind=Kind.CAPABLE,
        version=1,
        key=b"",
        peer_key=b"",
        token=b"",
        address_id=0,
        backup=False,
        nonce=b"",
        deny_join=False,
        uncommon=False,
        options_length=24,
        payload_offset=78,
    )


def test_memoryview_gives_the_same_and_bytes() -> None:
    for frame in (_frame("1e0c1001169a4894784013b4"), _frame("1e0c1001169a4894784013b4", v6=True)):
        got = read_handshake(memoryview(frame))
        assert got == read_handshake(frame)
        assert all(type(field) is not memoryview for field in got)


@pytest.mark.parametrize(
    ("options", "flags", "version", "key", "peer_key"),
    [
        ("1e040101", SYN, 1, b"", b""),
        ("1e040201", SYN, 2, b"", b""),  # the responder will answer with a version it knows
        ("1e0c0101" + KEY_B.hex(), SYN_ACK, 1, KEY_B, b""),
        ("1e140101" + KEYS, ACK, 1, KEY_A, KEY_B),
        ("1e160101" + KEYS + "4e20", DATA, 1, KEY_A, KEY_B),
        ("1e180181" + KEYS + "4e20abcd", DATA, 1, KEY_A, KEY_B),
        ("1e0c0001" + KEY_A.hex(), SYN, 0, KEY_A, b""),
        ("1e0c0001" + KEY_B.hex(), SYN_ACK, 0, KEY_B, b""),
        ("1e140001" + KEYS, ACK, 0, KEY_A, KEY_B),
    ],
)
def test_capable(options: str, flags: int, version: int, key: bytes, peer_key: bytes) -> None:
    got = _read(options, flags)
    assert (got.kind, got.version, got.key, got.peer_key) == (Kind.CAPABLE, version, key, peer_key)


def test_the_syn_ack_teaches_the_token() -> None:
    got = _read("1e0c0101" + KEY_B.hex(), SYN_ACK)
    assert token(got.version, got.key).hex() == "169a4894"


def test_deny_join_flag() -> None:
    assert _read("1e0c012127a98e35893cc878", SYN_ACK).deny_join
    assert not _read("1e0c010127a98e35893cc878", SYN_ACK).deny_join
    # In version 0 the same bit is one of the crypto algorithms.
    assert not _read("1e0c002127a98e35893cc878", SYN_ACK).deny_join


def test_join_syn() -> None:
    got = _read("1e0c1105 169a4894 784013b4")
    assert (got.kind, got.version) == (Kind.JOIN, 0)
    assert (got.token.hex(), got.nonce.hex()) == ("169a4894", "784013b4")
    assert (got.address_id, got.backup) == (5, True)
    assert not _read("1e0c1005 169a4894 784013b4").backup


def test_join_syn_ack_and_ack() -> None:
    got = _read("1e101102 4b99d2faf48372cb c0f227d4", SYN_ACK)
    assert (got.kind, got.token, got.nonce.hex()) == (Kind.JOIN, b"", "c0f227d4")
    assert (got.address_id, got.backup) == (2, True)
    got = _read("1e181000 ad5d5d29cdfea529fe635e92f4f81a583c29e3ae", ACK)
    assert (got.kind, got.token, got.nonce, got.address_id) == (Kind.JOIN, b"", b"", 0)


@pytest.mark.row("D-2.5")
@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ("", SYN),
        (LINUX_SYN, SYN),
        ("1e040100", SYN),  # no crypto algorithm at all
        ("1e040102", SYN),  # none that exists
        ("1e040141", SYN),  # an extension
        ("1e0c0000" + KEY_A.hex(), SYN),
        ("1e040001", SYN),  # version 0 without a key
        ("1e0c0101" + KEY_A.hex(), SYN),  # version 1 with a key
        ("1e0c0201" + KEY_B.hex(), SYN_ACK),  # agreed on a version with an unknown hash
        ("1e040101", SYN_ACK),
        ("1e0c0101" + KEY_B.hex(), ACK),
        ("1e160001" + KEYS + "4e20", DATA),  # version 0 has no such form
        ("1e050101ff", SYN),
        ("1e02", SYN),
        ("1e0301", SYN),
        ("1e0b1001169a4894784013", SYN),  # a join one byte short
        ("1e101000 4b99d2faf48372cb c0f227d4", SYN),  # a join's second option in a SYN
        ("1e0c1001169a4894784013b4", ACK),
        ("1e0c1001169a4894784013b4", SYN_ACK),
        ("1e0820014fe6c2fc", ACK),  # DSS
        ("1e048001", 0x14),  # MP_TCPRST
    ],
)
def test_plain(options: str, flags: int) -> None:
    got = _read(options, flags)
    assert got[8:17] == (Kind.PLAIN, 0, b"", b"", b"", 0, False, b"", False)


def test_the_first_opening_option_decides() -> None:
    assert _read("1e040101 1e0c1001169a4894784013b4").kind is Kind.CAPABLE
    assert _read("1e0c1001169a4894784013b4 1e040101").kind is Kind.JOIN
    # One that is malformed counts as absent, and so does one of another subtype.
    assert _read("1e050101ff 1e0c1001169a4894784013b4").kind is Kind.JOIN
    assert _read("1e0450aa 1e040101").kind is Kind.CAPABLE


@pytest.mark.parametrize(
    "options", ["01011e040101", "1e04010101010101", "1e04010100ffffff", "fd03aa1e040101"]
)
def test_any_place_and_padding(options: str) -> None:
    assert _read(options).kind is Kind.CAPABLE


def test_nothing_after_the_end_of_the_list_counts() -> None:
    assert _read("00 1e040101 1e00").kind is Kind.PLAIN


@pytest.mark.row("D-6.7.6")
@pytest.mark.parametrize("keyed", ["1312" + "ab" * 16, "1d10" + "ab" * 14])
def test_authenticated_segments_are_opaque(keyed: str) -> None:
    for options in (keyed, keyed + "1e040101", "1e040101" + keyed, keyed + "1e0c1001169a4894784013b4"):
        got = _read(options)
        assert got[8:17] == (Kind.OPAQUE, 0, b"", b"", b"", 0, False, b"", False)


@pytest.mark.row("D-6.7.4")
@pytest.mark.parametrize("used", [0, 4, 24, 36, 40])
def test_options_length(used: int) -> None:
    got = read_handshake(_frame("01" * used))
    assert (got.options_length, got.payload_offset) == (used, 54 + used)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("1e00", WireRefusal.OPTION_LENGTH_ZERO),
        ("fe00", WireRefusal.OPTION_LENGTH_ZERO),
        ("1e040101 1e00", WireRefusal.OPTION_LENGTH_ZERO),
        ("1e010000", WireRefusal.OPTION_LENGTH_ONE),
        ("1e010101", WireRefusal.OPTION_LENGTH_ONE),
        ("1e280101", WireRefusal.OPTION_OVERRUN),
        ("1eff0101", WireRefusal.OPTION_OVERRUN),
        ("0101011e", WireRefusal.OPTION_OVERRUN),
        ("1e040101 01010113", WireRefusal.OPTION_OVERRUN),
        ("0101021e", WireRefusal.OPTION_OVERRUN),
        ("01010203", WireRefusal.OPTION_OVERRUN),  # by one byte
        ("1e050101", WireRefusal.OPTION_OVERRUN),
    ],
)
def test_malformed_option_list(options: str, reason: WireRefusal) -> None:
    for frame in (
        _frame(options),
        _frame(options, v6=True),
        _frame(options, tags=((0x8100, 1),)),
        _frame(options, payload=b"\x04" * 64),
    ):
        assert _refusal(frame) is reason


def _patched(at: int, value: str, options: str = "1e040101", v6: bool = False) -> bytes:
    frame = bytearray(_frame(options, v6=v6))
    new = bytes.fromhex(value)
    frame[at : at + len(new)] = new
    return bytes(frame)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", WireRefusal.TRUNCATED),
        (bytes(13), WireRefusal.TRUNCATED),
        (_frame("1e040101")[:-1], WireRefusal.TRUNCATED),
        (_frame("1e040101")[:40], WireRefusal.TRUNCATED),
        (_frame("", v6=True)[:60], WireRefusal.TRUNCATED),
        (_patched(12, "0806"), WireRefusal.NOT_IP),
        (_patched(12, "8100"), WireRefusal.NOT_IP),
        (_frame("", tags=((0x8100, 1), (0x8100, 2), (0x8100, 3))), WireRefusal.TOO_MANY_TAGS),
        (_patched(14, "65"), WireRefusal.BAD_IP_VERSION),
        (_patched(14, "40", v6=True), WireRefusal.BAD_IP_VERSION),
        (_patched(14, "44"), WireRefusal.BAD_IHL),
        (_patched(16, "0000"), WireRefusal.BAD_IP_LENGTH),
        (_patched(16, "002b"), WireRefusal.BAD_IP_LENGTH),  # ends inside the TCP options
        (_patched(18, "0000", v6=True), WireRefusal.BAD_IP_LENGTH),
        (_patched(18, "0017", v6=True), WireRefusal.BAD_IP_LENGTH),
        (_patched(20, "2000"), WireRefusal.FRAGMENT),  # first fragment
        (_patched(20, "0001"), WireRefusal.FRAGMENT),  # a later one
        (_patched(23, "11"), WireRefusal.NOT_TCP),
        (_patched(20, "3a", v6=True), WireRefusal.NOT_TCP),
        (_patched(20, "3b", v6=True), WireRefusal.NOT_TCP),  # no next header
        (_patched(46, "40"), WireRefusal.BAD_DATA_OFFSET),
        (_patched(46, "f0"), WireRefusal.TRUNCATED),
    ],
)
def test_refusals(frame: bytes, reason: WireRefusal) -> None:
    assert _refusal(frame) is reason


def test_ipv4_options_and_dont_fragment() -> None:
    segment = tcp_segment(UE, SERVER, 46708, 5201, options=bytes.fromhex("1e040101"))
    frame = ethernet_frame(ip_datagram(UE, SERVER, segment, ip_options=bytes.fromhex("94040000 01010101")))
    got = read_handshake(frame)
    assert (got.kind, got.src, got.sport, got.payload_offset) == (Kind.CAPABLE, UE, 46708, 66)


HOP_BY_HOP, ROUTING, FRAGMENT, AH, DESTINATION = 0, 43, 44, 51, 60


def _v6(*extensions: tuple[int, str]) -> bytes:
    segment = tcp_segment(UE6, SERVER6, 46708, 5201, options=bytes.fromhex("1e040101"))
    headers = [(kind, bytes.fromhex(body)) for kind, body in extensions]
    return ethernet_frame(ip_datagram(UE6, SERVER6, segment, extensions=headers))


@pytest.mark.parametrize(
    ("extensions", "size"),
    [
        (((HOP_BY_HOP, "0000" + "010400000000"),), 8),
        (((HOP_BY_HOP, "0001" + "010c" + "00" * 12), (DESTINATION, "0000010400000000")), 24),
        (((ROUTING, "0002" + "0000" + "00" * 20),), 24),
        (((AH, "0004" + "00" * 22),), 24),
        (((FRAGMENT, "0000 0000 12345678"),), 8),  # atomic: a whole datagram
    ],
)
def test_ipv6_extension_headers(extensions: tuple[tuple[int, str], ...], size: int) -> None:
    got = read_handshake(_v6(*extensions))
    assert (got.kind, got.dst, got.dport, got.payload_offset) == (Kind.CAPABLE, SERVER6, 5201, 78 + size)


@pytest.mark.parametrize(
    ("extensions", "reason"),
    [
        (((FRAGMENT, "0000 0001 12345678"),), WireRefusal.FRAGMENT),  # first
        (((FRAGMENT, "0000 0008 12345678"),), WireRefusal.FRAGMENT),  # last
        (((HOP_BY_HOP, "0000010400000000"), (FRAGMENT, "0000 0009 12345678")), WireRefusal.FRAGMENT),
        (((DESTINATION, "00ff" + "00" * 6),), WireRefusal.BAD_IP_LENGTH),
        (((DESTINATION, "0000010400000000"),) * 9, WireRefusal.TOO_MANY_HEADERS),
        (((50, "00" * 8),), WireRefusal.NOT_TCP),  # ESP
    ],
)
def test_ipv6_extension_refusals(extensions: tuple[tuple[int, str], ...], reason: WireRefusal) -> None:
    assert _refusal(_v6(*extensions)) is reason


@pytest.mark.parametrize("address_id", [0, 1, 8, 9, 255])
@pytest.mark.parametrize("flags", [SYN, SYN_ACK])
def test_every_address_id_is_read_as_it_is(address_id: int, flags: int) -> None:
    """0 is the first subflow's id; a host may use any id again, and more than eight of them."""
    rest = "169a4894 784013b4" if flags == SYN else "4b99d2faf48372cb c0f227d4"
    got = _read(f"1e{12 if flags == SYN else 16:02x}10{address_id:02x} {rest}", flags)
    assert (got.kind, got.address_id) == (Kind.JOIN, address_id)


@pytest.mark.parametrize(
    ("options", "flags", "keys"),
    [
        ("1e040181", SYN, (b"", b"")),
        (f"1e0c0181 {KEY_B.hex()}", SYN_ACK, (KEY_B, b"")),
        (f"1e140181 {KEYS}", ACK, (KEY_A, KEY_B)),
        (
            f"1e180181 {KEYS} 0014 beef",
            DATA,
            (KEY_A, KEY_B),
        ),  # with the length of the first data and its checksum
        (f"1e0c0081 {KEY_A.hex()}", SYN, (KEY_A, b"")),
        (f"1e140081 {KEYS}", ACK, (KEY_A, KEY_B)),
    ],
)
def test_a_handshake_that_asks_for_checksums_is_read_like_one_that_does_not(
    options: str, flags: int, keys: tuple[bytes, bytes]
) -> None:
    got = _read(options, flags)
    assert (got.kind, (got.key, got.peer_key), got.deny_join) == (Kind.CAPABLE, keys, False)


@pytest.mark.parametrize("cookie", ["2202", "220a 1122334455667788"], ids=["asks for a cookie", "has one"])
@pytest.mark.parametrize("data", [b"", bytes(20), b"\xff" * 1300])
def test_data_of_a_syn_and_fast_open_change_nothing_of_what_is_read(cookie: str, data: bytes) -> None:
    capable = read_handshake(_frame(f"{cookie} 1e040101", payload=data))
    plain = read_handshake(_frame(cookie, payload=data))
    assert (capable.kind, capable.version, capable.uncommon) == (Kind.CAPABLE, 1, False)
    assert (plain.kind, plain.uncommon, plain.flags) == (Kind.PLAIN, False, SYN)
    frame = _frame(f"{cookie} 1e040101", payload=data)
    assert frame[capable.payload_offset :] == data
