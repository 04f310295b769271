"""Traces of joins that an MCP opens itself: they go on by themselves, and a copy is seen."""

import pytest

from steering.core.handshakes.server_sessions import WAIT
from steering.core.inputs import WatchedSeen
from steering.model.policy import Direction, Policy, PolicyRule, RuleConditions, Terms
from steering.wire.craft import tcp_frame
from steering.wire.crypto import token
from steering.wire.handshake import read_handshake
from steering.wire.mptcp import MpCapable
from steering.wire.options import pack_options
from tests.support.sites import KEY, SERVER, UE_LTE, UE_WLAN, Driver, answer, capable, handshake, join
from tests.support.traced_set_ups import TracedSetUps, WrittenTrace
from tests.support.wired import ACK, HOST_KEY

FROM_SERVERS = Policy(
    rules=(PolicyRule("in", RuleConditions(directions=frozenset({Direction.SERVER})), Terms()),)
)
OPENING = handshake(SERVER, 40_000, UE_LTE)  # a server's
MCPS_JOIN = join("10.8.0.2", 7777, dst=UE_WLAN)  # of the MCP core, by its own address


def from_a_server(traced: TracedSetUps) -> WrittenTrace:
    """The trace of a session that a server opens; its host has not answered yet."""
    traced.syn(OPENING, 4)
    traced.confirm()
    return traced.last


def host_answers(traced: TracedSetUps) -> None:
    said = answer(OPENING)
    traced.give(WatchedSeen(1, 1, said, Driver.frame(said)))


@pytest.mark.row("S-20")
def test_a_join_that_an_mcp_opens_is_a_trace_that_is_linked_to_its_session() -> None:
    traced = TracedSetUps(policy=FROM_SERVERS)
    session = from_a_server(traced)
    host_answers(traced)
    for _ in range(2):
        traced.syn(MCPS_JOIN, 3)
    assert len(traced.written) == 2, "a repeated one is of a subflow that is known"
    one = traced.last
    assert one.name == "join" and one.links == [session] and one.phases == ["decide"]
    assert one.outcome == "forwarded" and not one.is_failed
    told = one.attributes
    assert (told["client.address"], told["client.port"]) == ("10.8.0.2", 7777), "the client is who opens"
    assert (told["server.address"], told["steering.access"]) == (UE_WLAN, "wlan")
    assert (told["steering.direction"], told["steering.mcp"]) == ("mcp", "core")
    assert told["steering.session.id"] == session.attributes["steering.session.id"]
    assert traced.traces.under_way == 0


def test_a_join_of_an_mcp_before_its_token_waits_for_it() -> None:
    traced = TracedSetUps(policy=FROM_SERVERS)
    session = from_a_server(traced)
    for _ in range(2):
        traced.syn(MCPS_JOIN, 3)
    one = traced.last
    assert one.name == "join" and one.phases == [] and one.notes == ["SYN repeated"]
    host_answers(traced)
    assert one.outcome == "forwarded" and one.links == [session]
    assert set(one.phases) == {"wait for its token", "decide"}


def test_a_join_of_an_mcp_that_waits_for_the_hosts_key_is_told_when_the_third_ack_shows_it() -> None:
    traced = TracedSetUps(policy=Policy(keep_keys=True))
    seen = capable(UE_LTE, 40_000)
    traced.syn(seen)
    traced.confirm()
    traced.syn(join("10.8.0.2", 7777, token(1, HOST_KEY), dst=UE_WLAN), 3)
    traced.answer(seen)
    one = traced.last
    assert one.name == "join" and one.ended is None
    both = pack_options(MpCapable(1, HOST_KEY, KEY).encode())
    ack = tcp_frame(
        seen.src,
        seen.dst,
        seen.sport,
        seen.dport,
        flags=ACK,
        seq=seen.seq + 1,
        ack=seen.seq + 1,
        options=both,
    )
    traced.give(WatchedSeen(1, 1, read_handshake(ack), ack))
    assert one.outcome == "forwarded" and one.links == traced.written[:1]


def test_a_join_of_an_mcp_whose_token_never_comes_is_no_refusal_as_it_went_on() -> None:
    traced = TracedSetUps(policy=FROM_SERVERS)
    traced.syn(MCPS_JOIN, 3)
    traced.later(WAIT + 0.1)
    assert traced.last.outcome == "natural" and not traced.last.is_failed
    assert traced.last.phases == ["wait for its token"] and "steering.refusal" not in traced.last.attributes
    assert traced.traces.under_way == 0


def test_a_join_of_an_mcp_of_a_session_that_was_not_traced_is_none() -> None:
    traced = TracedSetUps(rate=1, policy=FROM_SERVERS)
    traced.syn(capable(UE_LTE, 39_999))
    traced.syn(OPENING, 4)
    traced.confirm()
    host_answers(traced)
    traced.syn(MCPS_JOIN, 3)
    assert len(traced.written) == 1 and traced.counters.joins["reverse"] == 1
