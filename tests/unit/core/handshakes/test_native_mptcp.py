"""Native MPTCP is told from proxied by the mark, and left alone with its joins (N-5.2.2.1)."""

import pytest

from steering.core.handshakes.native_mptcp import OPENING, SERVER_SECONDS, SERVERS, TOKENS, NativeSessions
from steering.core.outputs import NATURAL, Release
from steering.core.sessions.flow_key import flow_key
from steering.model.policy import (
    Action,
    Mode,
    Origin,
    Policy,
    PolicyRule,
    Quotas,
    RuleConditions,
    Terms,
    leaves_alone,
)
from steering.model.session import Refusal
from steering.wire.crypto import token
from tests.support.sites import SERVER, TOKEN, UE_LTE, UE_WLAN, Driver, answer, capable, join, steered

MARKED, UNMARKED = 49_200, 40_000
PROXIED_ONLY = Terms(terminate_only=frozenset({Origin.PROXIED}))


def driver(terms: Terms) -> Driver:
    return Driver(
        policy=Policy(marker_ports=((49_152, 50_175),), rules=(PolicyRule("demux", RuleConditions(), terms),))
    )


def natural(outputs) -> bool:
    return len(outputs) == 1 and getattr(outputs[0], "waypoint", None) == NATURAL


def tapped(made: Driver) -> bool:
    """Whether SYN/ACKs that come in at the gateway are copied."""
    rules = made.up(4).admission
    return sum(("tcp_flags", (0x012, 0x012)) in rule.match for rule in rules) > 0


@pytest.mark.row("N-5.2.2.1a", "N-5.2.2.1f")
def test_only_what_carries_the_mark_is_given_to_an_mcp():
    made = driver(PROXIED_ONLY)
    assert natural(made.syn(1, 1, capable(UE_LTE, UNMARKED)))
    assert natural(made.syn(1, 1, capable(UE_LTE, 49_151))) and natural(
        made.syn(1, 1, capable(UE_LTE, 50_176))
    )
    assert len(made.table) == 0
    for number, port in enumerate((49_152, MARKED, 50_175), start=1):
        assert steered(made.syn(1, 1, capable(UE_LTE, port))) and len(made.table) == number


@pytest.mark.row("N-5.2.2.1b")
def test_without_the_rule_native_connections_go_to_an_mcp():
    assert steered(driver(Terms()).syn(1, 1, capable(UE_LTE, UNMARKED)))


def test_the_other_way_round_and_both():
    made = driver(Terms(terminate_only=frozenset({Origin.NATIVE})))
    assert natural(made.syn(1, 1, capable(UE_LTE, MARKED))) and steered(
        made.syn(1, 1, capable(UE_LTE, UNMARKED))
    )
    both = driver(Terms(terminate_only=frozenset(Origin)))
    assert steered(both.syn(1, 1, capable(UE_LTE, MARKED))) and steered(
        both.syn(1, 1, capable(UE_LTE, UNMARKED))
    )


def test_a_marked_connection_of_a_hybrid_rule_still_asks_whether_the_server_can():
    made = driver(Terms(mode=Mode.HYBRID, terminate_only=frozenset({Origin.PROXIED})))
    assert natural(made.syn(1, 1, capable(UE_LTE, MARKED)))
    made.syn_ack(4, 1, answer(capable(UE_LTE, MARKED), b""))
    assert steered(made.syn(1, 1, capable(UE_LTE, MARKED + 1)))
    assert natural(made.syn(1, 1, capable(UE_LTE, UNMARKED)))


@pytest.mark.row("N-5.2.2.1d", "S-23")
@pytest.mark.parametrize("terms", [PROXIED_ONLY, Terms(action=Action.BYPASS), Terms(mode=Mode.TRANSPARENT)])
def test_joins_of_a_native_session_go_their_natural_way(terms: Terms):
    made = driver(terms)
    assert tapped(made)
    first = capable(UE_LTE, UNMARKED)
    made.syn(1, 1, first)
    assert made.syn(2, 1, join(UE_WLAN, 5)) == []  # nobody's yet: held
    released = made.syn_ack(4, 1, answer(first))
    assert natural(released)
    assert natural(made.syn(2, 1, join(UE_WLAN, 6)))
    assert made.syn(2, 1, join(UE_WLAN, 7, token_=b"\x01\x02\x03\x04")) == []


def test_an_answer_nobody_asked_for_teaches_no_token():
    made = driver(PROXIED_ONLY)
    made.syn_ack(4, 1, answer(capable(UE_LTE, UNMARKED)))
    assert made.syn(2, 1, join(UE_WLAN, 5)) == []


def test_servers_answers_are_not_looked_at_where_no_rule_leaves_anything_alone():
    assert not leaves_alone(Policy()) and not leaves_alone(
        Policy(rules=(PolicyRule("all", RuleConditions(), Terms()),))
    )
    assert leaves_alone(Policy(rules=(PolicyRule("demux", RuleConditions(), PROXIED_ONLY),)))
    assert not tapped(driver(Terms()))


def test_what_is_remembered_is_bounded_and_an_old_answer_is_not_believed():
    natives = NativeSessions()
    key = flow_key(b"\x0a\x01\x00\x02", b"\x0a\x09\x00\x02", UNMARKED, 5201)
    first = capable(UE_LTE, UNMARKED, SERVER)
    natives.left(key, 0.0)
    assert natives.answered(key, answer(first), 11.0) is None
    for number in range(OPENING + 1):
        natives.left(number.to_bytes(4, "big"), 0.0)
    assert natives.answered((0).to_bytes(4, "big"), answer(first), 1.0) is None
    assert natives.answered((1).to_bytes(4, "big"), answer(first), 1.0) == int.from_bytes(TOKEN, "big")
    for number in range(TOKENS + 64):  # some of their tokens are the same
        natives.left(key, 0.0)
        natives.answered(key, answer(first, number.to_bytes(8, "big")), 1.0)
    assert not natives.owns(int.from_bytes(TOKEN, "big"))
    assert natives.owns(int.from_bytes(token(1, (TOKENS + 63).to_bytes(8, "big")), "big"))


def full_site() -> Driver:
    """Nobody may have a session at an MCP."""
    return Driver(policy=Policy(quotas=Quotas(sessions_per_subscriber=0)))


def test_a_join_of_a_session_that_no_mcp_had_room_for_goes_its_natural_way():
    made = full_site()
    assert not tapped(made), "servers' answers are not shown here"
    assert natural(made.syn(1, 1, capable(UE_LTE, UNMARKED)))
    assert made.syn(2, 1, join(UE_WLAN, 5)) == []  # nobody's yet: held
    assert natural([o for o in made.later(0.3) if isinstance(o, Release)])
    assert made.counters.refusals[Refusal.UNKNOWN_TOKEN] == 0


def test_towards_any_other_server_and_after_an_hour_a_join_of_nobody_is_dropped():
    made = full_site()
    made.syn(1, 1, capable(UE_LTE, UNMARKED))
    made.syn(2, 1, join(UE_WLAN, 5, dst="10.9.0.7"))
    assert not [o for o in made.later(0.3) if isinstance(o, Release)]
    made.later(SERVER_SECONDS)
    made.syn(2, 1, join(UE_WLAN, 6))
    assert not [o for o in made.later(0.3) if isinstance(o, Release)]
    assert made.counters.refusals[Refusal.UNKNOWN_TOKEN] == 2


def test_servers_that_may_have_sessions_are_bounded():
    natives = NativeSessions()
    for number in range(SERVERS + 1):
        natives.found_no_room(number.to_bytes(4, "big"), number.to_bytes(4, "big"), 0.0)
    assert not natives.may_have((0).to_bytes(4, "big"), 1.0) and natives.may_have((1).to_bytes(4, "big"), 1.0)
