"""Answers of nf_tables to the question what DSCP a SYN had, whatever they hold. The real kernel's: tests/integration/relay."""

import errno
import struct

import pytest

from steering.relay.kernel.path_manager import attribute
from steering.relay.kernel.syn_code_points import code_point, element_key
from steering.relay.model import Endpoint

ELEMENT, REFUSED = 0x0A0C, 2


def element(value: bytes) -> bytes:
    inside = attribute(1, attribute(1, b"key.")) + attribute(2, attribute(1, value))
    return bytes(4) + attribute(3 | 0x8000, attribute(1 | 0x8000, inside))


def test_a_key_is_what_both_maps_hold() -> None:
    host, server = Endpoint("10.1.0.2", 40_000), Endpoint("10.9.0.2", 443)
    assert element_key(host, server) == bytes.fromhex("0a0100029c4000000a09000201bb0000")
    host, server = Endpoint("fd00:1::a:b", 1), Endpoint("2001:db8::c:d", 2)
    assert element_key(host, server) == bytes.fromhex("000a000b00010000000c000d00020000")


@pytest.mark.parametrize("point", [1, 34, 63])
def test_what_the_kernel_tells_is_the_code_point(point: int) -> None:
    assert code_point(ELEMENT, element(struct.pack("=I", point))) == point


def test_what_nobody_remembers_had_none() -> None:
    assert code_point(REFUSED, struct.pack("=i", -errno.ENOENT)) == 0


def test_a_refusal_is_no_code_point() -> None:
    with pytest.raises(PermissionError):
        code_point(REFUSED, struct.pack("=i", -errno.EPERM))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ELEMENT, element(struct.pack("=I", 64))),
        (ELEMENT, element(struct.pack("=I", 0xFFFF_FFFF))),
        (ELEMENT, element(b"")),
        (ELEMENT, element(b"\x22")),
        (ELEMENT, element(bytes(8))),
        (ELEMENT, b""),
        (ELEMENT, bytes(4) + b"\xff\xff\x03\x00"),
        (ELEMENT, bytes(4) + attribute(3, b"\x00\x00\x00\x00")),
        (0x0A09, element(struct.pack("=I", 34))),
        (REFUSED, b""),
        (REFUSED, b"\0"),
    ],
)
def test_anything_else_is_refused(kind: int, body: bytes) -> None:
    with pytest.raises((OSError, ValueError, struct.error)):
        code_point(kind, body)
