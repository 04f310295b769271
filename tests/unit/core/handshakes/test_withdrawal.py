"""`mcp_presence`: an MCP that stays, or one that leaves what is MPTCP at both ends to itself (draft-nam 5.6.1)."""

import pytest

from steering.core.handshakes.native_mptcp import OPENING
from steering.core.inputs import PolicyReplaced
from steering.core.outputs import NATURAL
from steering.core.snapshots.view import EngineView
from steering.model.network import PortRole
from steering.model.policy import (
    Action,
    Limits,
    Mode,
    Policy,
    PolicyRule,
    Presence,
    RuleConditions,
    Terms,
    Timers,
)
from steering.model.session import SessionState
from steering.model.view import SessionFilter
from steering.policy import parse_policy
from tests.support.sites import TOKEN, UE_LTE, UE_WLAN, Driver, answer, capable, join, steered

WITHDRAW = Policy(mcp_presence=Presence.WITHDRAW)


def natural(outputs) -> bool:
    return len(outputs) == 1 and getattr(outputs[0], "waypoint", None) == NATURAL


def withdrawn(made: Driver, port: int = 40_000):
    """A connection to a server that speaks MPTCP."""
    first = capable(UE_LTE, port)
    assert natural(made.syn(1, 1, first))
    made.syn_ack(4, 1, answer(first))
    return first


@pytest.mark.row("N-5.6.1j")
def test_by_default_the_mcp_stays():
    assert Policy().mcp_presence is Presence.MAINTAIN
    policy, findings = parse_policy("policy: 1\n", "p.yaml", None)
    assert findings == [] and policy is not None and policy.mcp_presence is Presence.MAINTAIN
    assert steered(Driver().syn(1, 1, capable(UE_LTE, 40_000)))


@pytest.mark.row("N-5.6.1i", "N-5.6.1l", "N-F15")
def test_a_capable_pair_is_left_to_itself_with_its_joins():
    made = Driver(policy=WITHDRAW)
    withdrawn(made)
    (session,) = made.table
    assert session.state is SessionState.WITHDRAWN and session.token == int.from_bytes(TOKEN, "big")
    assert session.entries(PortRole.GATEWAY) == ()
    assert natural(made.syn(2, 1, join(UE_WLAN, 5)))
    assert natural(made.syn(1, 1, capable(UE_LTE, 40_001)))  # now the server is known
    assert made.table.active == dict.fromkeys(made.table.active, 0)


@pytest.mark.row("N-5.6.1l")
def test_a_join_that_overtakes_the_servers_answer_waits_for_it():
    made = Driver(policy=WITHDRAW)
    first = capable(UE_LTE, 40_000)
    made.syn(1, 1, first)
    assert made.syn(2, 1, join(UE_WLAN, 5)) == []
    assert natural(made.syn_ack(4, 1, answer(first)))
    assert made.syn(2, 1, join(UE_WLAN, 6, token_=b"\1\2\3\4")) == []  # nobody's: held, not let through


@pytest.mark.row("N-5.6.1l", "D-6.1a")
def test_a_plain_server_gets_the_mcp_from_the_next_connection_on():
    made = Driver(policy=WITHDRAW)
    first = capable(UE_LTE, 40_000)
    assert natural(made.syn(1, 1, first))
    made.syn_ack(4, 1, answer(first, b""))
    assert len(made.table) == 0
    assert steered(made.syn(1, 1, capable(UE_LTE, 40_001)))
    made.now += Policy().timers.capability
    assert natural(made.syn(1, 1, capable(UE_LTE, 40_002)))


def test_what_other_terms_leave_alone_is_not_told_as_withdrawn():
    for terms in (Terms(action=Action.BYPASS), Terms(mode=Mode.TRANSPARENT), Terms(mode=Mode.HYBRID)):
        made = Driver(
            policy=Policy(mcp_presence=Presence.WITHDRAW, rules=(PolicyRule("own", RuleConditions(), terms),))
        )
        withdrawn(made)
        assert len(made.table) == 0


def test_an_answer_nobody_waits_for_makes_no_record():
    made = Driver(policy=WITHDRAW)
    made.syn_ack(4, 1, answer(capable(UE_LTE, 40_000)))
    first = capable(UE_LTE, 40_001)
    made.syn(1, 1, first)
    made.now += 10.0
    made.syn_ack(4, 1, answer(first))
    assert len(made.table) == 0


def test_what_is_tracked_and_what_is_kept_is_bounded():
    made = Driver(policy=Policy(mcp_presence=Presence.WITHDRAW, limits=Limits(sessions=2, half_open=2)))
    for port in (40_000, 40_001, 40_002):
        withdrawn(made, port)
    assert len(made.table) == 2 and {s.state for s in made.table} == {SessionState.WITHDRAWN}
    for number in range(OPENING + 1):
        made.engine.sessions.withdrawal.left(number.to_bytes(12, "big"), 1, made.now)
    assert len(made.engine.sessions.withdrawal._tracked) == OPENING


def test_records_make_room_for_sessions_and_go_after_their_time():
    policy = Policy(mcp_presence=Presence.WITHDRAW, timers=Timers(session_linger=60.0))
    made = Driver(policy=policy)
    withdrawn(made)
    made.later(59.0)
    assert len(made.table) == 1
    made.later(1.0)
    assert len(made.table) == 0 and sum(made.table.states.values()) == 0
    assert natural(made.syn(2, 1, join(UE_WLAN, 5)))  # its joins outlive the record


def test_rest_shows_a_withdrawn_session_without_mcp_and_entries():
    made = Driver(policy=WITHDRAW)
    withdrawn(made)
    view = EngineView(made.engine, lambda: made.now, "test")
    (row,), count, _ = view.sessions(0, 10, SessionFilter(state="withdrawn"))
    assert (row.state, row.mcp, row.token, row.subflows, count) == (
        "withdrawn", None, TOKEN.hex(), 0, 1,
    )  # fmt: skip
    whole = view.session(row.id)
    assert whole is not None and whole.server_leg == () and whole.decision is None


def test_another_policy_keeps_what_was_left_and_changes_what_comes():
    made = Driver(policy=WITHDRAW)
    withdrawn(made)
    made.give(PolicyReplaced(Policy()))
    assert steered(made.syn(1, 1, capable(UE_LTE, 40_005)))
    assert natural(made.syn(2, 1, join(UE_WLAN, 5)))


# Accesses from which a host cannot reach the server itself: private addresses in a hotspot of somebody else, whose NAT
# is at the Internet; and IPv6 alone, to a server with IPv4.
HOTSPOT = (4, "198.51.100.9", "10.8.0.2")
SIX_ONLY = (2, "fd00:2::2", "fd00:8::2")
UNREACHED = [
    pytest.param(*HOTSPOT, marks=pytest.mark.row("N-5.6.1k1"), id="private-ipv4"),
    pytest.param(*SIX_ONLY, marks=pytest.mark.row("N-5.6.1k2"), id="ipv6-only"),
]


@pytest.mark.parametrize(("dpid", "source", "mcp"), UNREACHED)
def test_an_mcp_that_stays_is_joined_from_accesses_that_do_not_reach_the_server(dpid, source, mcp):
    made = Driver(policy=Policy(third_party_pooling=True))
    session = made.session()
    made.syn(dpid, 1, join(source, 50_000, dst=mcp))
    assert len(session.subflows) == 2
    assert {s.session for s in made.table.flows.values()} == {session}


@pytest.mark.parametrize(("dpid", "source", "mcp"), UNREACHED)
def test_one_that_is_withdrawn_is_not_and_the_server_cannot_be(dpid, source, mcp):
    made = Driver(policy=Policy(third_party_pooling=True, mcp_presence=Presence.WITHDRAW))
    withdrawn(made)
    (session,) = made.table
    outputs = made.syn(dpid, 1, join(source, 50_000, dst=mcp))
    assert session.subflows == () and session.entries(PortRole.GATEWAY) == ()
    assert not [o for o in outputs if getattr(o, "entries", ())], "nothing leads it to an MCP"
    assert made.table.subflows == dict.fromkeys(made.table.subflows, 0)
