"""The Internet checksum (RFC 1071), also over the IPv6 pseudo-header (RFC 8200 8.1)."""


def internet_checksum(data: bytes) -> int:
    """The 16-bit checksum of `data`; 0 when `data` already holds its right checksum."""
    if len(data) & 1:
        data += b"\0"
    # 2**16 is 1 modulo 2**16 - 1. So the one's complement sum of the words is the whole number modulo 2**16 - 1.
    rest = int.from_bytes(data, "big") % 0xFFFF
    if rest:
        return 0xFFFF - rest
    return 0 if any(data) else 0xFFFF


def pseudo_header_v6(src: bytes, dst: bytes, length: int, protocol: int) -> bytes:
    """The pseudo-header that counts in the checksum of an upper-layer message of `length` bytes."""
    return src + dst + length.to_bytes(4, "big") + bytes((0, 0, 0, protocol))
