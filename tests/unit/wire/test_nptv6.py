"""NPTv6 against RFC 6296's own example, and its defining property: no checksum changes."""

from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from steering.wire.nptv6 import UnmappableAddress, translate

INSIDE, OUTSIDE = IPv6Network("fd01:203:405::/48"), IPv6Network("2001:db8:1::/48")


@pytest.mark.row("N-5.4.2.3")
def test_the_example_of_the_rfc() -> None:
    """RFC 6296 appendix B: FD01:0203:0405:0001::1234 is 2001:0DB8:0001:D550::1234 outside."""
    mapped = translate(IPv6Address("fd01:203:405:1::1234"), INSIDE, OUTSIDE)
    assert mapped == IPv6Address("2001:db8:1:d550::1234")
    assert translate(mapped, OUTSIDE, INSIDE) == IPv6Address("fd01:203:405:1::1234")


def ones_complement(address: IPv6Address) -> int:
    total = sum(int.from_bytes(address.packed[n : n + 2], "big") for n in range(0, 16, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total % 0xFFFF  # the two forms of zero are one number


@pytest.mark.row("N-5.4.2.3")
@given(st.integers(32, 64), st.integers(0), st.integers(0), st.integers(0))
def test_the_sum_stays_and_the_way_back_is_exact(length: int, inside: int, outside: int, host: int) -> None:
    internal = IPv6Network((inside % (1 << 128), length), strict=False)
    external = IPv6Network((outside % (1 << 128), length), strict=False)
    address = IPv6Address(int(internal.network_address) | host % (1 << (128 - length)))
    try:
        mapped = translate(address, internal, external)
    except UnmappableAddress:
        words = address.packed[6:8] if length <= 48 else address.packed[8:]
        assert set(words) == {0xFF}
        return
    assert mapped in external
    assert ones_complement(mapped) == ones_complement(address)
    # A word of 0xffff is never made, so the way back meets none but where the address had 0x0000 as 0xffff.
    assume(int.from_bytes(mapped.packed[6:8], "big") != 0xFFFF or length > 48)
    assert translate(mapped, external, internal) == address


@pytest.mark.row("N-5.4.2.3")
def test_what_cannot_be_mapped() -> None:
    with pytest.raises(UnmappableAddress):
        translate(IPv6Address("fd01:203:405:ffff::1"), INSIDE, OUTSIDE)
    for wrong in (IPv6Network("2001:db8::/40"), IPv6Network("2001:db8::/80")):
        with pytest.raises(ValueError, match="stand for each other"):
            translate(IPv6Address("fd01:203:405::1"), INSIDE, wrong)
    with pytest.raises(ValueError, match="is not in"):
        translate(IPv6Address("fd02::1"), INSIDE, OUTSIDE)
