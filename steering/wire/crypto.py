"""Tokens, initial data sequence numbers and HMACs of MPTCP (RFC 8684 3.1-3.4, RFC 6824 for version 0).

Everywhere `version` is 0 (SHA-1) or 1 (SHA-256), a key has 8 bytes and a nonce 4 bytes, in network order. Any other
version raises WireError(unknown-version), any other size WireError(bad-value). Keys are secrets: anybody who knows
both keys of a connection can forge MP_FASTCLOSE. Nothing here stores or prints a key.
"""

import hmac
from hashlib import sha1, sha256

from .errors import WireError, WireRefusal

KEY_LENGTH = 8
NONCE_LENGTH = 4
_DIGEST = {0: "sha1", 1: "sha256"}


def _key_digest(version: int, key: bytes) -> bytes:
    if len(key) != KEY_LENGTH:
        raise WireError(WireRefusal.BAD_VALUE)
    if version == 1:
        return sha256(key).digest()
    if version == 0:
        return sha1(key, usedforsecurity=False).digest()
    raise WireError(WireRefusal.UNKNOWN_VERSION)


def token(version: int, key: bytes) -> bytes:
    """The 4-byte token of `key`: the leftmost 32 bits of its hash."""
    if version == 1 and len(key) == KEY_LENGTH:  # saves a call: this runs for every SYN/ACK of an MCP
        return sha256(key).digest()[:4]
    return _key_digest(version, key)[:4]


def idsn(version: int, key: bytes) -> bytes:
    """The 8-byte initial data sequence number of `key`: the rightmost 64 bits of its hash."""
    return _key_digest(version, key)[-8:]


def _hmac(version: int, keys: tuple[bytes, bytes], message: bytes) -> bytes:
    if version not in _DIGEST:
        raise WireError(WireRefusal.UNKNOWN_VERSION)
    if len(keys[0]) != KEY_LENGTH or len(keys[1]) != KEY_LENGTH:
        raise WireError(WireRefusal.BAD_VALUE)
    return hmac.digest(keys[0] + keys[1], message, _DIGEST[version])


def _nonces(first: bytes, second: bytes) -> bytes:
    if len(first) != NONCE_LENGTH or len(second) != NONCE_LENGTH:
        raise WireError(WireRefusal.BAD_VALUE)
    return first + second


def join_syn_ack_hmac(version: int, key_a: bytes, key_b: bytes, nonce_a: bytes, nonce_b: bytes) -> bytes:
    """HMAC-B of a JOIN SYN/ACK, 8 bytes (leftmost 64 bits).

    A is the host that sent the JOIN SYN. In a reverse join, A is the responder of the MPTCP connection.
    """
    return _hmac(version, (key_b, key_a), _nonces(nonce_b, nonce_a))[:8]


def join_ack_hmac(version: int, key_a: bytes, key_b: bytes, nonce_a: bytes, nonce_b: bytes) -> bytes:
    """HMAC-A of a JOIN ACK, 20 bytes (leftmost 160 bits). A is the host that sent the JOIN SYN."""
    return _hmac(version, (key_a, key_b), _nonces(nonce_a, nonce_b))[:20]


def add_addr_hmac(
    sender_key: bytes, receiver_key: bytes, address_id: int, address: bytes, port: int | None
) -> bytes:
    """HMAC of a version 1 ADD_ADDR, 8 bytes: the RIGHTMOST 64 bits. An absent port counts as 0."""
    if not 0 <= address_id <= 255 or len(address) not in (4, 16) or not 0 <= (port or 0) <= 65535:
        raise WireError(WireRefusal.BAD_VALUE)
    message = bytes((address_id,)) + address + (port or 0).to_bytes(2, "big")
    return _hmac(1, (sender_key, receiver_key), message)[-8:]
