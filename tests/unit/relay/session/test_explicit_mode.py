"""Explicit mode's conversations, host and MCP against each other, without a socket."""

import errno
from ipaddress import IPv4Address
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.relay.model import Endpoint
from steering.relay.session.explicit_client import ClientConversation, ConvertClient, SocksClient
from steering.relay.session.explicit_server import (
    MAX_PREFACE,
    ConvertPreface,
    ExplicitTerms,
    Preface,
    ServerStep,
    SocksPreface,
    cookie_of,
)
from steering.wire import convert

CLIENT = Endpoint("10.1.0.2", 40000)
V4, V6 = Endpoint("10.9.0.2", 5001), Endpoint("fd00:9::2", 5002)
OWN = Endpoint("10.8.0.2", 50000)
USER = (b"ann", b"secret")


def terms(**changes: Any) -> ExplicitTerms:
    return ExplicitTerms(**({"allowed": lambda endpoint: endpoint.address != "10.9.9.9"} | changes))


def talk(preface: Preface, asking: ClientConversation, outcome: int = 0) -> tuple[ServerStep, Any, int]:
    """What the MCP found out, what the host made of it, and the round trips that took."""
    asked = None
    said, trips = asking.first(), 0
    while True:
        step = preface.feed(said)
        trips += 1
        answer = step.send
        if step.destination is not None:
            answer += preface.failed(outcome) if outcome else preface.connected(OWN, b"\4\2")
        asked = asking.feed(answer)
        if asked.done or asked.refused or step.refused:
            return step, asked, trips
        said = asked.send
        assert said, "both wait for ever"


@pytest.mark.row("N-5.2.1b", "N-5.5b")
@pytest.mark.parametrize("destination", [V4, V6])
def test_convert_takes_one_round_trip_and_socks_two_or_three(destination: Endpoint) -> None:
    step, asked, trips = talk(ConvertPreface(terms(), CLIENT), ConvertClient(destination))
    assert (step.destination, asked.done, trips) == (destination, True, 1)
    step, asked, trips = talk(SocksPreface(terms(), CLIENT), SocksClient(destination))
    assert (step.destination, asked.done, trips) == (destination, True, 2)
    step, asked, trips = talk(SocksPreface(terms(users=(USER,)), CLIENT), SocksClient(destination, USER))
    assert (step.destination, asked.done, trips) == (destination, True, 3)


def test_data_behind_the_preface_belongs_to_the_connection() -> None:
    step = ConvertPreface(terms(), CLIENT).feed(ConvertClient(V4).first() + b"GET /")
    assert (step.destination, step.early) == (V4, b"GET /")
    socks = SocksPreface(terms(), CLIENT)
    assert socks.feed(b"\5\1\0").send == b"\5\0"
    step = socks.feed(bytes.fromhex("05010001 0a090002 1389") + b"GET /")
    assert (step.destination, step.early) == (V4, b"GET /")


@pytest.mark.parametrize("asking", [ConvertClient(V4), SocksClient(V4)])
def test_every_cut_of_the_bytes_leads_to_the_same(asking: ClientConversation) -> None:
    convert_ = isinstance(asking, ConvertClient)
    whole = asking.first() if convert_ else bytes.fromhex("050100 05010001 0a090002 1389")
    for cuts in ([0, 1, len(whole)], [0, 3, 7, len(whole)], list(range(len(whole) + 1))):
        preface = (ConvertPreface if convert_ else SocksPreface)(terms(), CLIENT)
        steps = [preface.feed(whole[a:b]) for a, b in pairwise(cuts)]
        assert [s.destination for s in steps] == [None] * (len(steps) - 1) + [V4]


@pytest.mark.parametrize(
    ("code", "convert_says", "socks_says"),
    [
        (errno.ECONNREFUSED, "connection-reset", "refused"),
        (errno.EHOSTUNREACH, "destination-unreachable", "host-unreachable"),
        (errno.ENETUNREACH, "destination-unreachable", "network-unreachable"),
        (errno.ETIMEDOUT, "destination-unreachable", "host-unreachable"),
        (errno.EADDRNOTAVAIL, "network-failure", "failure"),
    ],
)
def test_a_host_is_told_why_there_is_no_connection(code: int, convert_says: str, socks_says: str) -> None:
    assert talk(ConvertPreface(terms(), CLIENT), ConvertClient(V4), code)[1].refused == convert_says
    assert talk(SocksPreface(terms(), CLIENT), SocksClient(V4), code)[1].refused == socks_says


@pytest.mark.parametrize(
    ("preface", "asking", "why", "told"),
    [
        (
            ConvertPreface(terms(), CLIENT),
            ConvertClient(Endpoint("10.9.9.9", 1)),
            *("not-a-service-address", "not-authorized"),
        ),
        (
            SocksPreface(terms(), CLIENT),
            SocksClient(Endpoint("10.9.9.9", 1)),
            *("not-a-service-address", "not-allowed"),
        ),
        (SocksPreface(terms(users=(USER,)), CLIENT), SocksClient(V4), "no-method", "no-method"),
        (
            SocksPreface(terms(users=(USER,)), CLIENT),
            SocksClient(V4, (b"ann", b"wrong")),
            *("wrong-password", "wrong-password"),
        ),
        (
            SocksPreface(terms(), CLIENT),
            SocksClient(Endpoint("::ffff:127.0.0.1", 1)),
            *("not-a-service-address", "not-allowed"),
        ),
    ],
)
def test_what_is_refused_is_told(preface: Preface, asking: ClientConversation, why: str, told: str) -> None:
    step, asked, _ = talk(preface, asking)
    assert (step.refused, step.destination, asked.refused) == (why, None, told)


def test_a_cookie_is_given_once_and_wanted_ever_after() -> None:
    wanting = terms(secret=b"k" * 16)
    step = ConvertPreface(wanting, CLIENT).feed(ConvertClient(V4).first())
    error, cookie = convert.decode(step.send)
    assert step.refused == "missing-cookie" and error == convert.Error(convert.ErrorCode.MISSING_COOKIE)
    assert isinstance(cookie, convert.Cookie) and cookie.opaque == cookie_of(b"k" * 16, CLIENT.address)
    again = ConvertPreface(wanting, CLIENT).feed(ConvertClient(V4, cookie.opaque).first())
    assert again.destination == V4
    other = ConvertPreface(wanting, Endpoint("10.1.0.3", 1)).feed(ConvertClient(V4, cookie.opaque).first())
    assert other.refused == "wrong-cookie" and other.destination is None


def test_convert_options_that_cannot_be_presented_are_named() -> None:
    wanted = convert.Connect(IPv4Address("10.9.0.2"), 5001, ((30, b"\1\0"), (19, b"x" * 16)))
    step = ConvertPreface(terms(), CLIENT).feed(convert.encode(wanted))
    assert step.refused == "unsupported-tcp-option"
    assert convert.decode(step.send) == (convert.Error(convert.ErrorCode.UNSUPPORTED_TCP_OPTION, b"\x13"),)
    only_mptcp = convert.encode(convert.Connect(wanted.address, 5001, wanted.options[:1]))
    assert ConvertPreface(terms(), CLIENT).feed(only_mptcp).destination == V4
    assert ConvertPreface(terms(mptcp=False), CLIENT).feed(only_mptcp).refused == "unsupported-tcp-option"


def test_info_is_answered_with_the_extensions_and_ends() -> None:
    step = ConvertPreface(terms(), CLIENT).feed(convert.encode(convert.Info()))
    assert convert.decode(step.send) == (convert.SupportedExtensions((30,)),) and step.refused == "info-only"


@given(st.lists(st.binary(min_size=1, max_size=400), max_size=8), st.booleans(), st.booleans())
def test_hostile_hosts_end_in_a_refusal_or_wait(parts: list[bytes], convert_: bool, starts: bool) -> None:
    preface = (ConvertPreface if convert_ else SocksPreface)(terms(), CLIENT)
    if starts:
        parts = [b"\1\x10\x22\x63" if convert_ else b"\5\1\0", *parts]
    read = 0
    for part in parts:
        step = preface.feed(part)
        read += len(part)
        assert step.destination is None or not step.refused
        if step.refused or step.destination or read > MAX_PREFACE:
            break
        assert len(step.send) <= 4


@given(st.binary(max_size=600), st.booleans())
def test_hostile_mcps_end_in_a_refusal_or_wait(data: bytes, convert_: bool) -> None:
    asking = ConvertClient(V4) if convert_ else SocksClient(V4)
    asked = asking.feed((b"\1\x03\x22\x63" if convert_ else b"\5\0") + data)
    assert not (asked.done and asked.refused)
