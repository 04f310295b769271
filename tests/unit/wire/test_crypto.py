"""Tokens, IDSNs and HMACs against vectors captured from Linux 6.18 (A-D) and one made by hand for version 0 (E)."""

import pytest

from steering.wire.crypto import add_addr_hmac, idsn, join_ack_hmac, join_syn_ack_hmac, token
from steering.wire.errors import WireError, WireRefusal

KEYS = [
    (1, "1b6ffbbde3984628", "169a4894", "e3b1aa3b463d56d1"),
    (1, "c9860dfe1c8da533", "92c53b6f", "cc4013fb6def95bc"),
    (1, "b43c1ee1c9a4b1e5", "a6de250b", "479da9349a3536d6"),
    (1, "31ca908693c9da85", "82b8267c", "3dccd68f68f0bb13"),
    (0, "0102030405060708", "dd5783bc", "3a95ed6e4ebb4ad5"),
    (0, "1112131415161718", "3383d918", "9e1ae42f702627a9"),
]

# version, key A, key B, nonce A, nonce B, HMAC of the SYN/ACK, HMAC of the ACK
JOINS = [
    (
        *(1, "c9860dfe1c8da533", "1b6ffbbde3984628", "784013b4", "c0f227d4"),
        *("4b99d2faf48372cb", "ad5d5d29cdfea529fe635e92f4f81a583c29e3ae"),
    ),
    (
        *(1, "9ffa79fd6f1aee5c", "206ced3958dc5fcd", "3afb6c81", "6c4128c2"),
        *("700abef8ff3fa6e3", "ec852de7437405bf89a14ccdf5352ca7fd97b6ff"),
    ),
    (
        *(0, "0102030405060708", "1112131415161718", "a1a2a3a4", "b1b2b3b4"),
        *("f983baffc3c12488", "5f9d9b1144766ae5a6402e4bc813bf52fad0199b"),
    ),
]


@pytest.mark.parametrize(("version", "key", "expected_token", "expected_idsn"), KEYS)
def test_token_and_idsn(version: int, key: str, expected_token: str, expected_idsn: str) -> None:
    assert token(version, bytes.fromhex(key)).hex() == expected_token
    assert idsn(version, bytes.fromhex(key)).hex() == expected_idsn


@pytest.mark.parametrize(("version", "key_a", "key_b", "nonce_a", "nonce_b", "syn_ack", "ack"), JOINS)
def test_join_hmacs(
    version: int, key_a: str, key_b: str, nonce_a: str, nonce_b: str, syn_ack: str, ack: str
) -> None:
    a, b, na, nb = (bytes.fromhex(word) for word in (key_a, key_b, nonce_a, nonce_b))
    assert join_syn_ack_hmac(version, a, b, na, nb).hex() == syn_ack
    assert join_ack_hmac(version, a, b, na, nb).hex() == ack


def test_add_addr_hmac() -> None:
    key_a, key_b = bytes.fromhex("9ffa79fd6f1aee5c"), bytes.fromhex("206ced3958dc5fcd")
    address = bytes.fromhex("0ad10001")
    # The responder sent it, so its key comes first; the rightmost 64 bits count.
    assert add_addr_hmac(key_b, key_a, 1, address, None).hex() == "0cb8d236ba63345e"
    assert add_addr_hmac(key_b, key_a, 1, address, 0) == add_addr_hmac(key_b, key_a, 1, address, None)
    assert add_addr_hmac(key_b, key_a, 1, address, 5999) != add_addr_hmac(key_b, key_a, 1, address, None)


def test_add_addr_hmac_with_port() -> None:
    # Frame 71 of v1_server_initiated_reverse_join.pcap: sent by the MCP, the initiator there.
    keys = bytes.fromhex("550ce1fefa99aef7"), bytes.fromhex("9b499ca533fe78b5")
    assert add_addr_hmac(*keys, 1, bytes.fromhex("0a080002"), 5999).hex() == "8edea3cc3de6063f"


@pytest.mark.parametrize("version", [-1, 2, 15])
def test_unknown_version(version: int) -> None:
    key, nonce = bytes(8), bytes(4)
    for call in (
        lambda: token(version, key),
        lambda: idsn(version, key),
        lambda: join_ack_hmac(version, key, key, nonce, nonce),
        lambda: join_syn_ack_hmac(version, key, key, nonce, nonce),
    ):
        with pytest.raises(WireError) as caught:
            call()
        assert caught.value.reason is WireRefusal.UNKNOWN_VERSION


@pytest.mark.parametrize("key", [b"", bytes(7), bytes(9)])
def test_wrong_sizes(key: bytes) -> None:
    good, nonce = bytes(8), bytes(4)
    for call in (
        lambda: token(1, key),
        lambda: join_ack_hmac(1, key, good, nonce, nonce),
        lambda: join_syn_ack_hmac(1, good, key, nonce, nonce),
        lambda: join_ack_hmac(1, good, good, nonce, key),
        lambda: add_addr_hmac(good, key, 1, bytes(4), None),
        lambda: add_addr_hmac(good, good, 1, key, None),
        lambda: add_addr_hmac(good, good, 256, bytes(4), None),
        lambda: add_addr_hmac(good, good, 1, bytes(4), 65536),
    ):
        with pytest.raises(WireError) as caught:
            call()
        assert caught.value.reason is WireRefusal.BAD_VALUE
