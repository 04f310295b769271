"""The option walk, packing, and the room that is left."""

import pytest

from steering.wire.errors import WireError, WireRefusal
from steering.wire.options import can_inject, pack_options, walk_options


def test_walk() -> None:
    raw = bytes.fromhex("020405b4 0402 01 1e040101 1e0450aa 00 1e00")
    assert walk_options(raw) == [
        (2, bytes.fromhex("020405b4")),
        (4, bytes.fromhex("0402")),
        (30, bytes.fromhex("1e040101")),
        (30, bytes.fromhex("1e0450aa")),
    ]
    assert walk_options(b"") == []
    assert walk_options(memoryview(raw)) == walk_options(raw)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("1e00", WireRefusal.OPTION_LENGTH_ZERO),
        ("011e01", WireRefusal.OPTION_LENGTH_ONE),
        ("1e050101", WireRefusal.OPTION_OVERRUN),
        ("1e03", WireRefusal.OPTION_OVERRUN),
        ("1e", WireRefusal.OPTION_OVERRUN),
    ],
)
def test_refusals(options: str, reason: WireRefusal) -> None:
    with pytest.raises(WireError) as caught:
        walk_options(bytes.fromhex(options))
    assert caught.value.reason is reason
    assert str(caught.value) == reason.value


def test_pack() -> None:
    assert pack_options(b"\x1e\x03\x50", b"\x01") == b"\x1e\x03\x50\x01"
    assert pack_options(b"\x1e\x03\x50") == b"\x1e\x03\x50\x00"
    assert len(pack_options(bytes(39))) == 40
    with pytest.raises(WireError) as caught:
        pack_options(bytes(38), bytes(3))
    assert caught.value.reason is WireRefusal.OPTIONS_TOO_LONG


@pytest.mark.row("D-6.7.4")
@pytest.mark.parametrize(
    ("used", "need", "fits"),
    [(0, 12, True), (36, 4, True), (36, 12, False), (28, 12, True), (40, 4, False), (40, 12, False)],
)
def test_can_inject(used: int, need: int, fits: bool) -> None:
    assert can_inject(used, need) is fits
