"""DHCP messages as far as a port is bound by them; whatever the bytes, an answer or WireError."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steering.wire.checksum import internet_checksum
from steering.wire.dhcp import MAX_OPTIONS, DhcpType, decline, read_dhcp
from steering.wire.errors import WireError, WireRefusal
from tests.support.dhcp_frames import CLIENT, dhcp_frame

ACK = dhcp_frame(DhcpType.ACK, given="10.1.0.9", lease=600)


def test_what_a_server_gives_is_read() -> None:
    read = read_dhcp(ACK)
    assert (read.kind, read.from_server, read.client) == (DhcpType.ACK, True, CLIENT)
    assert (read.given, read.lease) == (bytes((10, 1, 0, 9)), 600)
    asked = read_dhcp(dhcp_frame(DhcpType.DISCOVER))
    assert (asked.kind, asked.from_server, asked.given, asked.lease) == (
        DhcpType.DISCOVER,
        False,
        bytes(4),
        0,
    )


@pytest.mark.parametrize("identifier", [b"", b"\1" + CLIENT])
def test_an_address_is_declined_with_what_its_server_asks_for(identifier: bytes) -> None:
    """RFC 2131 4.4.4 and table 5: the address and the server that gave it, and no address of the client's own."""
    given = read_dhcp(dhcp_frame(DhcpType.ACK, given="10.1.0.9", lease=600, identifier=identifier))
    frame = decline(given)
    declined = read_dhcp(frame)
    assert (declined.kind, declined.from_server, declined.client) == (DhcpType.DECLINE, False, CLIENT)
    assert (declined.own, declined.given, declined.lease) == (bytes(4), bytes(4), 0)
    assert (declined.server, declined.identifier) == (bytes((10, 1, 0, 53)), identifier)
    assert declined.requested == bytes((10, 1, 0, 9))
    assert frame[:12] == b"\xff" * 6 + CLIENT and frame[26:34] == bytes(4) + b"\xff" * 4
    assert len(frame) >= 14 + 20 + 8 + 300, "some servers drop what is shorter (RFC 1542 2.1)"
    assert internet_checksum(frame[14:34]) == 0
    udp = frame[34:]
    assert internet_checksum(frame[26:34] + b"\0\x11" + udp[4:6] + udp) == 0


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (ACK[:40], WireRefusal.TRUNCATED),
        (ACK[:-2], WireRefusal.TRUNCATED),
        (ACK[:12] + b"\x86\xdd" + ACK[14:], WireRefusal.NOT_IP),
        (ACK[:20] + b"\x20\x00" + ACK[22:], WireRefusal.FRAGMENT),
        (ACK[:14] + b"\x44" + ACK[15:], WireRefusal.BAD_IHL),
        (dhcp_frame(9), WireRefusal.BAD_VALUE),
        (dhcp_frame(DhcpType.ACK, options=b"\x33\x02\x00\x01"), WireRefusal.BAD_OPTION_LENGTH),
        (dhcp_frame(DhcpType.ACK, options=b"\x0c\xff"), WireRefusal.OPTION_OVERRUN),
        (dhcp_frame(DhcpType.ACK, options=b"\x0c\x00" * MAX_OPTIONS), WireRefusal.OPTIONS_TOO_LONG),
        (dhcp_frame(DhcpType.ACK, hardware=7), WireRefusal.BAD_VALUE),
    ],
)
def test_what_is_crooked_is_refused_by_name(frame: bytes, reason: WireRefusal) -> None:
    with pytest.raises(WireError) as refused:
        read_dhcp(frame)
    assert refused.value.reason is reason


@given(st.binary(max_size=400), st.integers(0, 300), st.integers(0, 20))
@example(b"", 0, 0)
def test_whatever_the_bytes_it_ends_with_an_answer_or_a_refusal(noise: bytes, at: int, cut: int) -> None:
    for frame in (noise, ACK[:at] + noise + ACK[at + cut :]):
        try:
            read = read_dhcp(frame)
        except WireError:
            continue
        assert (len(read.client), len(read.own), len(read.given)) == (6, 4, 4)
