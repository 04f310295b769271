"""NPTv6 (RFC 6296): replaces one prefix by another in such a way that no checksum changes.

Translating the result once more, with both prefixes exchanged, gives the first address back.
"""

from ipaddress import IPv6Address, IPv6Network

WORDS = 8
_ALL_ONES = 0xFFFF


class UnmappableAddress(ValueError):
    """An address that RFC 6296 does not translate: no word of it can take the adjustment."""


def translate(address: IPv6Address, internal: IPv6Network, external: IPv6Network) -> IPv6Address:
    """`address`, which is in `internal`, moved to `external`, with the same 16-bit one's complement sum (section 3).

    Prefixes of up to 48 bits are balanced in the subnet word (bits 48 to 63). Longer prefixes are balanced in the first
    word of the interface identifier that is not 0xFFFF (section 3.5). Raises ValueError for prefixes of different
    lengths or over 64 bits, and for an address outside of `internal`. Raises UnmappableAddress where every word that
    could be balanced is 0xFFFF.
    """
    if internal.prefixlen != external.prefixlen or internal.prefixlen > 64:
        raise ValueError(f"{internal} and {external} cannot stand for each other")
    if address not in internal:
        raise ValueError(f"{address} is not in {internal}")
    moved = IPv6Address(int(external.network_address) | int(address) & int(internal.hostmask))
    words = _words(moved)
    word = _balancing_word(words, internal.prefixlen)
    adjustment = _minus(_sum(_words(internal.network_address)), _sum(_words(external.network_address)))
    balanced = _plus(words[word], adjustment)
    words[word] = 0 if balanced == _ALL_ONES else balanced
    return IPv6Address(b"".join(w.to_bytes(2, "big") for w in words))


def _balancing_word(words: list[int], length: int) -> int:
    candidates = (3,) if length <= 48 else range(4, WORDS)
    for word in candidates:
        if words[word] != _ALL_ONES:
            return word
    raise UnmappableAddress("every word that could be adjusted is 0xffff (RFC 6296 sections 3.4 and 3.5)")


def _words(address: IPv6Address) -> list[int]:
    packed = address.packed
    return [int.from_bytes(packed[n : n + 2], "big") for n in range(0, 2 * WORDS, 2)]


def _plus(a: int, b: int) -> int:
    """One's complement addition of 16-bit numbers."""
    total = a + b
    return (total & _ALL_ONES) + (total >> 16)


def _minus(a: int, b: int) -> int:
    return _plus(a, ~b & _ALL_ONES)


def _sum(words: list[int]) -> int:
    total = 0
    for word in words:
        total = _plus(total, word)
    return total
