"""Traces of set-ups: which phases a trace has, how it ends, and what bounds how many there are."""

from ipaddress import ip_network

import pytest

from steering.core.counters import TraceSkip
from steering.core.inputs import Authorised, McpAdmin, SynSeen, Tick, WatchedSeen
from steering.core.outputs import Authorise
from steering.model.authorisation import Authorization, Authorizer, Verdict
from steering.model.policy import (
    Action,
    Direction,
    Policy,
    PolicyRule,
    RefusalForm,
    RuleConditions,
    Terms,
)
from steering.runtime.traces import set_up_traces
from steering.runtime.traces.open_trace import LONGEST
from steering.runtime.traces.set_up_traces import MOST_OPEN
from steering.wire.crypto import token
from tests.support.sites import KEY, SERVER, UE_LTE, UE_WLAN, Driver, answer, capable, handshake, join
from tests.support.traced_set_ups import TracedCluster, TracedSetUps, WrittenTrace

ALL_PHASES = ["decide", "write rules", "release SYN", "await SYN/ACK", "await host"]


FROM_SERVERS = Policy(
    rules=(PolicyRule("in", RuleConditions(directions=frozenset({Direction.SERVER})), Terms()),)
)
OPENING = handshake(SERVER, 40_000, UE_LTE)  # a server's


def refusing(address: str) -> Policy:
    rule = PolicyRule("no", RuleConditions(destinations=(ip_network(address),)), Terms(action=Action.DENY))
    return Policy(rules=(rule,), refusal=RefusalForm.RESET)


def test_a_session_has_its_phases_in_their_order() -> None:
    traced = TracedSetUps()
    seen = capable(UE_LTE, 40_000)
    traced.syn(seen)
    (one,) = traced.written
    assert one.name == "session set-up" and one.phases == ["decide"]
    traced.give(Tick())
    assert one.phases == ["decide"], "the gateway's switch has not confirmed its entry yet"
    traced.confirm()
    assert one.phases == ["decide", "write rules", "release SYN"]
    traced.answer(seen)
    assert one.phases == ALL_PHASES[:4] and one.ended is None
    traced.host_goes_on(seen)
    assert one.phases == ALL_PHASES and one.outcome == "established" and not one.is_failed
    ends = [ended for _, _, ended, _ in one.children]
    assert ends == sorted(ends) and one.ended == ends[-1]
    begins = [begun for _, begun, _, _ in one.children]
    assert begins[1:] == ends[:-1] or begins[2:] == ends[1:-1], "a phase begins where the one before it ended"
    assert traced.traces.under_way == 0


def test_a_session_is_told_by_the_names_of_the_field() -> None:
    traced = TracedSetUps()
    traced.established()
    told = traced.last.attributes
    (session,) = traced.driver.table
    mcp = traced.driver.engine.map.mcps[session.mcp].name
    assert told == {
        "client.address": UE_LTE, "client.port": 40_000, "server.address": SERVER, "server.port": 5201,
        "network.transport": "tcp", "network.type": "ipv4",
        "steering.access": "lte", "steering.mcp": mcp, "steering.session.id": str(session.id),
        "steering.decision.reason": session.ruling.reason, "steering.policy.version": session.ruling.policy_version,
        "steering.mptcp.version": 1, "steering.outcome": "established",
    }  # fmt: skip
    phases = {name: more for name, _, _, more in traced.last.children}
    assert (
        phases["write rules"]["steering.switches"] == ["s1", "s4"]
        and phases["write rules"]["steering.entries"] == 2
    )
    assert phases["await SYN/ACK"]["steering.token.learnt"] is True


def test_no_token_and_no_key_is_told() -> None:
    traced = TracedSetUps()
    traced.established()
    (session,) = traced.driver.table
    told = repr([traced.last.attributes, traced.last.children])
    assert f"{session.token:08x}" not in told and str(int(session.token)) not in told


def test_what_a_rule_refuses_is_refused_by_that_name() -> None:
    traced = TracedSetUps(policy=refusing(SERVER))
    traced.syn(capable(UE_LTE, 40_000))
    one = traced.last
    assert one.outcome == "refused" and one.is_failed and one.phases == ["decide"]
    assert one.attributes["steering.refusal"] == one.attributes["error.type"] == "policy"


def test_what_no_mcp_takes_goes_its_natural_way() -> None:
    traced = TracedSetUps()
    for mcp in list(traced.driver.engine.map.mcps):
        traced.give(McpAdmin(mcp, True))
    traced.syn(capable(UE_LTE, 40_000))
    one = traced.last
    assert one.outcome == "natural" and not one.is_failed
    assert one.attributes["steering.refusal"] == "no-mcp" and "error.type" not in one.attributes


def test_a_switch_that_never_confirms_is_a_refusal() -> None:
    traced = TracedSetUps()
    traced.syn(capable(UE_LTE, 40_000))
    traced.later(2.0)
    assert traced.last.attributes["steering.refusal"] == "barrier-timeout" and traced.last.is_failed
    assert traced.last.phases == ["decide", "write rules"]


def test_a_switch_that_is_not_there_is_one_at_once() -> None:
    traced = TracedSetUps()
    del traced.lines[4]
    traced.syn(capable(UE_LTE, 40_000))
    assert traced.last.attributes["steering.refusal"] == "barrier-timeout"


def test_a_session_that_nobody_answers_is_unfinished() -> None:
    traced = TracedSetUps()
    traced.syn(capable(UE_LTE, 40_000))
    traced.confirm()
    traced.later(LONGEST)
    assert traced.last.outcome == "unfinished" and not len(traced.driver.table)
    assert traced.traces.under_way == 0


def test_a_repeated_syn_is_a_note_in_its_trace() -> None:
    traced = TracedSetUps()
    for _ in range(2):
        traced.syn(capable(UE_LTE, 40_000))
    (one,) = traced.written
    assert one.notes == ["SYN repeated"] and one.phases == ["decide"]
    traced.confirm()
    assert one.phases.count("release SYN") == 1


def test_a_join_of_a_traced_session_is_a_trace_that_is_linked_to_it() -> None:
    traced = TracedSetUps()
    traced.established()
    session = traced.last
    traced.syn(join(UE_WLAN, 50_000), 2)
    one = traced.last
    assert one.name == "join" and one.links == [session] and one.outcome == "pinned"
    assert one.phases == ["decide", "write rules", "release SYN"]
    assert (
        one.attributes["steering.access"] == "wlan"
        and one.attributes["steering.mcp"] == session.attributes["steering.mcp"]
    )
    assert one.attributes["steering.session.id"] == session.attributes["steering.session.id"]


def test_a_join_of_a_session_that_was_not_traced_is_none() -> None:
    traced = TracedSetUps(rate=1)
    traced.syn(capable(UE_LTE, 39_999))
    traced.established()
    assert len(traced.written) == 1
    traced.syn(join(UE_WLAN, 50_000), 2)
    assert len(traced.written) == 1 and traced.counters.joins["pinned"] == 1


def test_a_join_before_its_token_waits_for_it() -> None:
    traced = TracedSetUps()
    seen = capable(UE_LTE, 40_000)
    traced.syn(seen)
    traced.confirm()
    session = traced.last
    traced.syn(join(UE_WLAN, 50_000), 2)
    one = traced.last
    assert one.name == "join" and one.phases == []
    traced.answer(seen)
    assert one.outcome == "pinned" and one.links == [session]
    assert set(one.phases) == {"wait for its token", "decide", "write rules", "release SYN"}


def test_a_join_whose_token_never_comes_is_refused() -> None:
    traced = TracedSetUps()
    traced.syn(join(UE_WLAN, 50_000), 2)
    traced.later(1.0)
    assert traced.last.attributes["steering.refusal"] == "unknown-token" and traced.last.is_failed
    assert traced.traces.under_way == 0


@pytest.mark.parametrize(
    ("verdict", "outcome"), [(Verdict.ALLOW, None), (Verdict.DENY, "refused"), (None, "refused")]
)
def test_a_syn_that_waits_for_an_authoriser(verdict: Verdict | None, outcome: str | None) -> None:
    asked: list[Authorise] = []
    terms = Authorization(authorizers=(Authorizer.HTTP,))
    traced = TracedSetUps(policy=Policy(authorization=terms, refusal=RefusalForm.RESET))
    traced.sender.authorise = asked.append
    traced.syn(capable(UE_LTE, 40_000))
    one = traced.last
    assert len(asked) == 1 and one.phases == []
    if verdict is None:
        traced.later(2.0)
    else:
        traced.give(Authorised(asked[0].request, verdict))
    assert one.outcome == outcome and "wait for an authoriser" in one.phases
    assert one.attributes.get("steering.refusal") == ("unauthorised" if outcome else None)
    traced.confirm()
    assert ("release SYN" in one.phases) == (outcome is None)


def test_so_many_are_traced_in_a_second_and_the_others_are_counted() -> None:
    traced = TracedSetUps(rate=3)
    for sport in range(40_000, 40_010):
        traced.syn(capable(UE_LTE, sport))
    assert len(traced.written) == 3 and traced.counters.traces_skipped == {TraceSkip.RATE: 7}
    traced.later(1.0)
    traced.syn(capable(UE_LTE, 40_010))
    assert len(traced.written) == 4


def test_so_many_are_under_way_at_once() -> None:
    traced = TracedSetUps(rate=1_000)
    for sport in range(40_000, 40_000 + MOST_OPEN + 5):
        traced.syn(capable(UE_LTE, sport))
    assert len(traced.written) == traced.traces.under_way == MOST_OPEN
    assert traced.counters.traces_skipped == {TraceSkip.OPEN: 5}
    traced.confirm()
    traced.later(LONGEST + 1)
    assert traced.traces.under_way == 0


def test_sessions_that_joins_are_linked_to_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_up_traces, "MOST_LINKED", 1)
    traced = TracedSetUps()
    traced.established(40_000)
    traced.established(40_001)
    assert len(traced.traces._linked) == 1


@pytest.mark.parametrize(
    ("dpid", "seen"), [(1, handshake(UE_LTE, 40_000)), (4, capable(SERVER, 443, UE_LTE))]
)
def test_what_is_no_set_up_of_a_host_takes_no_place(dpid: int, seen: object) -> None:
    traced = TracedSetUps(rate=1)
    traced.syn(seen, dpid)
    assert not traced.written and not traced.counters.traces_skipped
    traced.syn(capable(UE_LTE, 40_000))
    assert len(traced.written) == 1


def test_what_is_under_way_when_the_controller_stops_is_unfinished() -> None:
    traced = TracedSetUps()
    traced.syn(capable(UE_LTE, 40_000))
    traced.syn(join(UE_WLAN, 50_000), 2)
    traced.traces.close()
    assert [one.outcome for one in traced.written] == ["unfinished"] * 2
    traced.confirm()  # too late, and harmless
    assert traced.traces.under_way == 0


def test_a_watch_that_fails_costs_no_packet() -> None:
    traced = TracedSetUps()

    def fails(*_: object) -> WrittenTrace:
        raise RuntimeError("a defect")

    traced.traces._begin = fails
    seen = capable(UE_LTE, 40_000)
    frame = Driver.frame(seen)
    traced.give(SynSeen(1, 1, seen, frame))
    traced.lines[1].data = b""
    for xid in traced.lines[4].barriers():
        traced.sender.barrier_reply(4, xid, traced.driver.now)
    assert frame in traced.lines[1].data


@pytest.mark.row("S-20")
@pytest.mark.parametrize(("key", "outcome"), [(KEY, "established"), (b"", "plain")])
def test_a_session_that_a_server_opens_is_a_trace_to_the_hosts_answer(key: bytes, outcome: str) -> None:
    traced = TracedSetUps(policy=FROM_SERVERS)
    traced.syn(OPENING, 4)
    (one,) = traced.written
    assert one.name == "session set-up" and one.phases == ["decide"]
    traced.confirm()
    said = answer(OPENING, key)
    traced.give(WatchedSeen(1, 1, said, Driver.frame(said)))
    assert one.phases == ALL_PHASES[:4] and one.outcome == outcome, "the host's answer is what was awaited"
    assert traced.traces.under_way == 0
    told = one.attributes
    assert (told["client.address"], told["server.address"]) == (SERVER, UE_LTE), "the client is who opens"
    assert (told["steering.access"], told["steering.mcp"]) == ("lte", "core")
    assert (told["steering.direction"], told["steering.rule"]) == ("server", "in")


def test_a_server_whose_connection_no_mcp_takes_goes_its_natural_way() -> None:
    traced = TracedSetUps(policy=FROM_SERVERS)
    for mcp in list(traced.driver.engine.map.mcps):
        traced.give(McpAdmin(mcp, True))
    traced.syn(OPENING, 4)
    assert traced.last.outcome == "natural" and traced.last.attributes["steering.refusal"] == "no-mcp"


def test_what_no_rule_for_servers_takes_is_no_set_up() -> None:
    traced = TracedSetUps(rate=1)
    traced.syn(OPENING, 4)
    assert not traced.written and not traced.counters.traces_skipped
    traced.syn(capable(UE_LTE, 40_000))
    assert len(traced.written) == 1, "it takes no place"


@pytest.mark.row("D-6.7.7")
def test_a_join_at_another_controllers_switch_is_traced_by_its_sessions_controller() -> None:
    cluster = TracedCluster()
    cluster.session(UE_LTE, 40_000, KEY)
    cluster.later(0.05)
    (session,) = cluster.written["a"]
    assert session.phases == ALL_PHASES, "though the MCP's SYN/ACK came in at a switch of b"
    cluster.syn(2, 1, join(UE_WLAN, 40_001, token(1, KEY)))
    one = cluster.written["a"][1]
    assert one.name == "join" and one.outcome == "pinned" and one.links == [session]
    assert one.attributes["steering.access"] == "wlan" and one.attributes["steering.peer"] == "c"
    cluster.later(1.0)
    assert cluster.written["b"] == cluster.written["c"] == [], "one of them traces it"


def test_a_join_that_waited_and_is_passed_on_says_to_whom() -> None:
    cluster = TracedCluster()
    opening = capable(UE_LTE, 40_000)
    cluster.syn(1, 1, opening)
    cluster.syn(2, 1, join(UE_WLAN, 40_001, token(1, KEY)))
    (waits,) = cluster.written["c"]
    assert waits.ended is None
    place = cluster.engines["a"].map.inside[next(iter(cluster.engines["a"].sessions.table)).mcp].port
    cluster.syn_ack(place.dpid, place.port, answer(opening, KEY))
    assert waits.outcome == "passed-on" and waits.attributes["steering.peer"] == "a" and not waits.is_failed
    assert set(waits.phases) == {"wait for its token", "decide"}
    assert [one.outcome for one in cluster.written["a"] if one.name == "join"] == ["pinned"]
    assert all(traces.under_way == 0 for name, traces in cluster.traces.items() if name != "a")
