"""Neighbour discovery frames of a host, with the addresses that they carry."""

from steering.wire.checksum import internet_checksum, pseudo_header_v6

MAC = bytes.fromhex("025347000001")
HOST = bytes.fromhex("0a0000000007")
V6 = bytes.fromhex("fd000001000000000000000000000001")
V6_HOST = bytes.fromhex("fd000001000000000000000000abcdef")
NS, NA, RS = 135, 136, 133


def nd(
    kind: int, rest: bytes, src: bytes = V6_HOST, hops: int = 255, mac: bytes = HOST, code: int = 0
) -> bytes:
    """A neighbour discovery frame with a right checksum."""
    body = bytes((kind, code, 0, 0)) + rest
    total = internet_checksum(pseudo_header_v6(src, V6, len(body), 58) + body)
    body = body[:2] + total.to_bytes(2, "big") + body[4:]
    head = b"\x60\0\0\0" + len(body).to_bytes(2, "big") + bytes((58, hops)) + src + V6
    return MAC + mac + b"\x86\xdd" + head + body
