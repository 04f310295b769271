"""What a controller says is read as JSON of bounded numbers and depth, or refused by name and counted."""

import pytest

from steering.relay.controller.event_stream import EventStream
from steering.relay.controller.hostile_json import (
    JsonRefusal,
    JsonRefused,
    RefusalCounts,
    counted,
    read_object,
    told_address,
)
from steering.relay.controller.inbound_ports import parse as bindings
from steering.relay.controller.mcp_discovery import _addresses
from steering.relay.controller.subflow_intents import parse as intent

HOSTILE = [
    (b'{"a": 1e999}', JsonRefusal.NUMBER),
    (b'{"a": -1e999}', JsonRefusal.NUMBER),
    (b'{"a": [NaN]}', JsonRefusal.NUMBER),
    (b'{"a": Infinity}', JsonRefusal.NUMBER),
    (b'{"a": -Infinity}', JsonRefusal.NUMBER),
    (b'{"a": ' + b"9" * 21 + b"}", JsonRefusal.NUMBER),
    (b'{"a": ' + b"9" * 5_000 + b"}", JsonRefusal.NUMBER),
    (b'{"a": ' + b"[" * 100_000, JsonRefusal.TOO_DEEP),
    (b'{"a": ' * 100_000, JsonRefusal.TOO_DEEP),
    (b"[]", JsonRefusal.NOT_OBJECT),
    (b"null", JsonRefusal.NOT_OBJECT),
    (b"", JsonRefusal.SYNTAX),
    (b'{"a": 1', JsonRefusal.SYNTAX),
    (b'{"a": "\xff"}', JsonRefusal.SYNTAX),
]


@pytest.mark.parametrize(("data", "reason"), HOSTILE)
def test_what_breaks_whoever_counts_is_refused_by_name(data: bytes, reason: JsonRefusal) -> None:
    with pytest.raises(JsonRefused) as refused:
        read_object(data)
    assert refused.value.reason is reason


def test_ordinary_numbers_are_read() -> None:
    told = read_object(b'{"a": [0, -1, 4294967295, 1.5, 1e3, 9223372036854775807]}')
    assert told == {"a": [0, -1, 4_294_967_295, 1.5, 1_000.0, 9_223_372_036_854_775_807]}


def test_a_hostile_event_is_counted_and_the_next_one_is_read() -> None:
    refused = RefusalCounts()
    stream = EventStream.__new__(EventStream)
    stream._refused = refused
    stream._data = b"".join(b"event: x\ndata: " + data + b"\n\n" for data, _ in HOSTILE)
    stream._data += b'event: policy\ndata: {"avoid_fragmentation": true}\n\n'
    assert list(stream._whole()) == [("policy", {"avoid_fragmentation": True})]
    assert counted(refused) == {"syntax": 3, "not-object": 2, "too-deep": 2, "number": 7}


@pytest.mark.parametrize(
    "wrong",
    [
        {"ext_port": float("inf")}, {"ext_port": 5e4}, {"int_port": float("nan")}, {"lasts_s": float("inf")},
        {"lasts_s": float("nan")}, {"lasts_s": True}, {"ext_port": True}, {"ext_port": "50001"},
        {"host": 167_837_954}, {"host": [1]}, {"ext_port": 10**18},
    ],
)  # fmt: skip
def test_a_binding_of_hostile_numbers_is_none(wrong: dict[str, object]) -> None:
    good = {"ext_port": 50_001, "int_port": 80, "host": "10.1.0.2", "lasts_s": 9.5}
    assert bindings({"bindings": [good]}, 0.0)[1] == 0
    assert bindings({"bindings": [good | wrong]}, 0.0) == ({}, 1)


@pytest.mark.parametrize(
    "wrong",
    [{"server": 5}, {"host": True}, {"server": 10**30}, {"share": float("inf")}, {"host_port": 1e999}],
)
def test_an_intent_of_hostile_numbers_is_none(wrong: dict[str, object]) -> None:
    good = {
        "session": "c2:17", "token": "0a0b0c0d", "server": "10.9.0.2", "server_port": 80, "host": "10.1.0.2", "host_port": 5_000,
        "backup": True, "allowed": True, "share": 0,
    }  # fmt: skip
    assert intent(good)[1].backup
    with pytest.raises(ValueError):
        intent(good | wrong)


def test_an_address_has_no_zone_which_could_hold_any_text_that_nft_would_read() -> None:
    assert [str(told_address(text)) for text in ("10.1.0.2", "fd00::1")] == ["10.1.0.2", "fd00::1"]
    for crooked in ("fe80::1%x } ; flush ruleset", "fe80::1%eth0", "", "lte", 1, None, ["10.1.0.2"]):
        with pytest.raises(ValueError):
            told_address(crooked)
    with pytest.raises(ValueError):
        _addresses({"mcps": [{"addresses": ["10.1.0.2", "fe80::1%x } ; flush ruleset"]}]})
