"""Joins at switches of other controllers than their session's."""

import pytest

from steering.core.inputs import EntriesRead, ObservedEntry, SwitchDown, SwitchUp, Tick
from steering.core.outputs import FillSwitch, Steer, SyncRules
from steering.core.peer_facts import ClusterChanged, PeerLost, PeerTold, PeerUp
from steering.core.peers import ended_tokens, segment_routes
from steering.core.peers.followed_table import FollowedTable
from steering.core.peers.peer_events import PeerEvent
from steering.core.sessions.record_pages import ANSWERED, UNANSWERED
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import PortRef, PortRole
from steering.model.policy import Policy
from steering.model.session import Refusal
from steering.wire.crypto import token
from steering.wire.peer_messages import (
    EndedTokens,
    ForwardedSegment,
    Heartbeat,
    PortFact,
    ReplicaDigest,
    ReplicaRequest,
    SegmentKind,
    TokenAnswer,
    TokenEntries,
    TokenEntry,
    TokenQuestion,
)  # fmt: skip
from tests.support.clustered import SHARES, Cluster, steers
from tests.support.sites import UE_LTE, UE_WLAN, answer, capable, join

KEY = b"a key  1"
TOKEN = token(1, KEY)


def wlan(number: int) -> str:
    return f"10.2.0.{2 + number % 250}"


def key_of(number: int) -> bytes:
    return number.to_bytes(8, "big")


@pytest.mark.row("D-6.2c", "D-6.7.7")
def test_a_thousand_joins_at_another_controllers_switch_come_to_their_sessions_mcp() -> None:
    cluster = Cluster()
    sessions = [cluster.session(UE_LTE, 10_000 + n, key_of(n)) for n in range(1_000)]
    owner = cluster.engines["a"]
    pinned = 0
    for number, session in enumerate(sessions):
        seen = join(wlan(number), 20_000 + number, token(1, key_of(number)))
        (steer,) = steers(cluster.syn(2, 1, seen))
        inside = owner.map.inside[session.mcp].id
        assert steer.release is not None and steer.release.dpid == 2 and steer.release.waypoint == inside
        pinned += all(entry.waypoint == inside for entry in steer.entries)
        assert len(session.subflows) == 2
    assert pinned == 1_000
    assert cluster.engines["c"].peers.events[PeerEvent.JOIN_PASSED_ON] == 1_000
    assert not cluster.engines["c"].sessions.table.by_id, "one owner decides"


def test_a_session_at_one_controller_has_its_mcp_and_its_gateway_at_others() -> None:
    cluster = Cluster()
    session = cluster.session(UE_LTE, 40_000, KEY)
    assert session.token == int.from_bytes(TOKEN, "big") and {entry.dpid for entry in session.entries(2)} == {
        1,
        4,
    }
    assert cluster.engines["b"].peers.events[PeerEvent.SEGMENT_PASSED_ON] == 1, "the MCP's SYN/ACK"


def test_the_answer_to_a_join_finds_its_owner_by_way_of_who_passed_the_join_on() -> None:
    cluster = Cluster()
    session = cluster.session(UE_LTE, 40_000, KEY)
    seen = join(UE_WLAN, 40_001, TOKEN)
    cluster.syn(2, 1, seen)
    assert session.subflows[1].progress == UNANSWERED
    place = cluster.engines["a"].map.inside[session.mcp].port
    cluster.syn_ack(place.dpid, place.port, answer(seen, b""))
    assert session.subflows[1].progress == ANSWERED


def test_a_join_that_overtakes_its_token_waits_for_it() -> None:
    cluster = Cluster()
    opening = capable(UE_LTE, 40_000)
    cluster.syn(1, 1, opening)
    assert not steers(cluster.syn(2, 1, join(UE_WLAN, 40_001, TOKEN)))
    assert len(cluster.engines["c"].sessions.waiting) == 1
    (session,) = cluster.engines["a"].sessions.table
    place = cluster.engines["a"].map.inside[session.mcp].port
    led = [
        one for one in steers(cluster.syn_ack(place.dpid, place.port, answer(opening, KEY))) if one.release
    ]
    assert [one.release.dpid for one in led if one.release] == [2] and len(session.subflows) == 2


@pytest.mark.parametrize("checked", [True, False])
def test_a_join_to_another_server_is_of_nobody(checked: bool) -> None:
    """Without the check it comes to the MCP of a session that has nothing to do with it."""
    cluster = Cluster(disabled=() if checked else ("join-destination",))
    session = cluster.session(UE_LTE, 40_000, KEY)
    strange = join(UE_WLAN, 40_001, TOKEN, dst="10.9.0.77")
    assert len(steers(cluster.syn(2, 1, strange))) == (0 if checked else 1)
    assert len(session.subflows) == (1 if checked else 2)
    here = join("10.1.0.9", 40_001, TOKEN, dst="10.9.0.77")  # at the owner's own switch
    assert len(steers(cluster.syn(1, 1, here))) == (0 if checked else 1)


def test_while_a_controller_cannot_be_reached_unknown_is_no_answer() -> None:
    cluster = Cluster()
    cluster.part("ac", "b")
    edge = cluster.engines["c"]
    assert cluster.syn(2, 1, join(UE_WLAN, 40_001, TOKEN)) == [], "no reset, no entry"
    later = cluster.later(0.3)
    assert not [one for one in later if isinstance(one, SyncRules)], "no block"
    assert not edge.sessions.waiting
    assert edge.counters.refusals[Refusal.PEER_UNREACHABLE] == 1
    assert not edge.counters.refusals[Refusal.UNKNOWN_TOKEN]
    cluster.heal()
    cluster.syn(2, 1, join(UE_WLAN, 40_001, TOKEN))
    cluster.later(0.3)
    assert edge.counters.refusals[Refusal.UNKNOWN_TOKEN] == 1, "now nobody has it"


@pytest.mark.row("D-6.7.7")
@pytest.mark.parametrize("at", [1, 2])
def test_a_token_that_has_just_ended_is_not_unknown(at: int) -> None:
    """Its session may have gone to another controller, which has not read it yet: neither its old owner (`at` 1) nor a third
    controller blocks the host."""
    cluster = Cluster()
    session = cluster.session(UE_LTE, 40_000, KEY)
    cluster.engines["a"].sessions.teardown.end(session)
    cluster.later(0.05)
    edge, seen = cluster.engines["ac"[at - 1]], join({1: "10.1.0.9", 2: UE_WLAN}[at], 40_001, TOKEN)
    cluster.syn(at, 1, seen)
    later = cluster.later(0.3)
    assert not [one for one in later if isinstance(one, SyncRules)], "no block"
    assert edge.counters.refusals[Refusal.PEER_UNREACHABLE] == 1
    assert not edge.counters.refusals[Refusal.UNKNOWN_TOKEN]
    cluster.later(ended_tokens.REMEMBERED)
    assert not edge.peers.ended
    cluster.syn(at, 1, seen)
    cluster.later(0.3)
    assert edge.counters.refusals[Refusal.UNKNOWN_TOKEN] == 1, "now nobody has it"


def test_ended_tokens_are_bounded() -> None:
    ended = ended_tokens.EndedTokenMemory()
    ended.note((TokenEntry(number, 1, b"\0" * 4, 80) for number in range(ended_tokens.MOST + 9)), 1.0)
    assert len(ended) == ended_tokens.MOST
    assert not ended.has(8, 1.0) and ended.has(9, 1.0)


def test_a_join_that_waits_while_a_controller_is_lost_is_not_refused_for_good() -> None:
    cluster = Cluster()
    cluster.syn(2, 1, join(UE_WLAN, 40_001, TOKEN))
    edge = cluster.engines["c"]
    assert len(edge.sessions.waiting) == 1
    cluster.give("c", PeerLost("b"))
    cluster.later(0.3)
    assert edge.counters.refusals[Refusal.PEER_UNREACHABLE] == 1
    assert not edge.counters.refusals[Refusal.UNKNOWN_TOKEN]


def test_a_join_of_a_session_whose_owner_is_lost_waits_for_the_hosts_next_try() -> None:
    cluster = Cluster()
    session = cluster.session(UE_LTE, 40_000, KEY)
    cluster.part("a", "bc")
    assert cluster.syn(2, 1, join(UE_WLAN, 40_001, TOKEN)) == []
    assert cluster.engines["c"].counters.refusals[Refusal.PEER_UNREACHABLE] == 1
    cluster.heal()
    assert len(steers(cluster.syn(2, 1, join(UE_WLAN, 40_001, TOKEN)))) == 1 and len(session.subflows) == 2


def test_a_session_may_not_begin_where_the_gateways_controller_is_lost() -> None:
    cluster = Cluster()
    cluster.part("a", "bc")
    assert not steers(cluster.syn(1, 1, capable(UE_LTE, 40_000)))
    assert cluster.engines["a"].counters.refusals[Refusal.MCP_UNREACHABLE] == 1


def test_a_token_goes_with_its_session() -> None:
    cluster = Cluster()
    session = cluster.session(UE_LTE, 40_000, KEY)
    replica = cluster.engines["c"].peers.replicas.of["a"]
    assert list(replica.facts) == [session.token]
    cluster.engines["a"].sessions.teardown.end(session)
    cluster.later(0.05)
    assert not replica.facts and not cluster.engines["c"].peers.events[PeerEvent.UNKNOWN_END]


def test_who_comes_back_is_told_everything_in_portions_and_the_digests_agree() -> None:
    cluster = Cluster()
    for number in range(600):
        cluster.session(UE_LTE, 10_000 + number, key_of(number))
    cluster.part("a", "bc")
    gone = list(cluster.engines["a"].sessions.table)[:50]
    for session in gone:
        cluster.engines["a"].sessions.teardown.end(session)
    cluster.heal()
    cluster.session(UE_LTE, 30_000, KEY)
    for _ in range(3):
        cluster.later(5.0)
    for name in "bc":
        replica = cluster.engines[name].peers.replicas.of["a"]
        assert replica.is_whole and len(replica.facts) == 551
        table = cluster.engines["a"].sessions.table
        assert isinstance(table, FollowedTable) and replica.sum.digest == table.sum.digest
        assert not cluster.engines[name].peers.events[PeerEvent.DIFFERENT_DIGEST]


def test_a_replica_that_differs_is_noticed_and_told_again() -> None:
    cluster = Cluster()
    cluster.session(UE_LTE, 40_000, KEY)
    edge = cluster.engines["c"]
    edge.peers.replicas.of["a"].facts.clear()  # what a fault of memory or of this program would do
    edge.peers.replicas.of["a"].sum.tokens = 0
    cluster.later(5.0)
    assert edge.peers.events[PeerEvent.DIFFERENT_DIGEST] == 1
    cluster.later(0.05)
    assert edge.peers.replicas.of["a"].facts and edge.peers.replicas.of["a"].is_whole


def test_a_lying_digest_is_counted_and_costs_one_replica_in_ten_seconds() -> None:
    cluster = Cluster()
    for _ in range(100):
        cluster.give("c", PeerTold("a", ReplicaDigest(5, 5)))
        cluster.give("a", Tick())
    assert cluster.engines["c"].peers.events[PeerEvent.DIFFERENT_DIGEST] == 100
    asked = [one for sender, _, one in cluster.sent if sender == "c" and isinstance(one, ReplicaRequest)]
    assert len(asked) == 1 and cluster.engines["c"].peers.is_whole


def test_what_a_peer_may_not_say_is_counted_and_changes_nothing() -> None:
    cluster = Cluster()
    seen = join(UE_WLAN, 40_001, TOKEN)
    entry = TokenEntry(1, 1, b"\1\2\3\4", 5)
    events = cluster.engines["c"].peers.events
    for message, event in (
        (ForwardedSegment(SegmentKind.SYN, 4, 1, 0, seen, b""), PeerEvent.FOREIGN_SWITCH),  # c's own
        (
            ForwardedSegment(SegmentKind.SYN, 3, 1, 0, seen, b"", True),
            PeerEvent.FOREIGN_SWITCH,
        ),  # b's: no SYN
        (ForwardedSegment(SegmentKind.FIN, 4, 1, 0, seen, b"", True), PeerEvent.FOREIGN_SWITCH),
        (PortFact(4, 1, False), PeerEvent.FOREIGN_SWITCH),
        (Heartbeat(1), PeerEvent.OUT_OF_PLACE),
        (EndedTokens((entry,)), PeerEvent.UNKNOWN_END),
    ):
        before = events[event]
        cluster.give("c", PeerTold("a", message))
        assert events[event] == before + 1, message
    cluster.give("c", PeerTold("x", TokenEntries((entry,))))
    assert events[PeerEvent.STRANGER] == 1
    assert cluster.engines["c"].switches[DatapathId(4)].ports[1] is True


def half_open(cluster: Cluster, sport: int):
    """A session of which the SYN was seen, its SYN, and the port of its MCP."""
    opening = capable(UE_LTE, sport)
    cluster.syn(1, 1, opening)
    engine = cluster.engines["a"]
    flow = opening.src + opening.dst + sport.to_bytes(2, "big") + (5201).to_bytes(2, "big")
    session = engine.sessions.table.flows[flow].session
    return session, opening, engine.map.inside[session.mcp].port


@pytest.mark.row("D-6.2c", "D-6.7.1")
def test_an_answer_that_the_former_owner_of_its_switch_passes_on_is_learnt_for_a_moment() -> None:
    """The switch obeys it still. Its copy is the only one, and without its key no join of the session would be known."""
    cluster = Cluster()
    session, opening, place = half_open(cluster, 40_000)
    moved = {**SHARES, int(place.dpid): "c"}
    cluster.give("a", ClusterChanged("a", frozenset("abc"), moved))
    assert cluster.shares[place.dpid] == "b", "who does not know that yet"
    cluster.syn_ack(place.dpid, place.port, answer(opening, KEY))
    assert session.token == int.from_bytes(TOKEN, "big")
    late, opening, place = half_open(cluster, 40_001)
    cluster.now += segment_routes.SETTLED
    cluster.syn_ack(place.dpid, place.port, answer(opening, KEY))
    assert late.token < 0 and cluster.engines["a"].peers.events[PeerEvent.FOREIGN_SWITCH] == 1


def test_a_question_about_a_token_is_answered_by_its_destination_too() -> None:
    cluster = Cluster()
    session = cluster.session(UE_LTE, 40_000, KEY)
    server = session.flow.destination
    for request, asked, known in ((1, server, True), (2, b"\1\2\3\4", False)):
        cluster.give(
            "a", PeerTold("c", TokenQuestion(request, session.token, server if known else asked, 5201))
        )
        assert ("a", "c", TokenAnswer(request, known)) in cluster.sent


def test_the_control_without_any_replica_pins_no_join_across_owners() -> None:
    cluster = Cluster()
    cluster.session(UE_LTE, 40_000, KEY)
    for name in "bc":
        cluster.engines[name].peers.replicas.of["a"].facts.clear()
    assert not [o for o in cluster.syn(2, 1, join(UE_WLAN, 40_001, TOKEN)) if isinstance(o, Steer)]


def read_back(cluster: Cluster, session, dpids: tuple[int, ...] = (2, 4)) -> tuple[int, int]:
    """Switches of c connect again and tell what they hold. How many sessions c has by that, and how many entries it wants to be
    gone."""
    held = {
        dpid: [ObservedEntry(e, 1) for e in session.entries(PortRole.GATEWAY) if e.dpid == dpid]
        for dpid in dpids
    }
    assert all(held.values()), "one of a join, one of the way back"
    stale = 0
    for dpid, entries in held.items():
        cluster.at(dpid, SwitchDown(DatapathId(dpid)))
        cluster.at(dpid, SwitchUp(DatapathId(dpid), cluster.ports(dpid)))
        outputs = cluster.at(dpid, EntriesRead(DatapathId(dpid), entries, []))
        stale += sum(len(output.stale) for output in outputs if isinstance(output, FillSwitch))
    return len(cluster.engines["c"].sessions.table), stale


@pytest.mark.parametrize("lost", [False, True])
def test_entries_of_others_sessions_are_left_alone_and_those_of_one_that_is_lost_are_not(lost: bool) -> None:
    cluster = Cluster()
    session = cluster.session(UE_LTE, 40_000, KEY)
    cluster.syn(2, 1, join(UE_WLAN, 40_001, TOKEN))
    cluster.engines["c"]._unread |= {2, 4}  # as of a controller that starts
    if lost:
        cluster.part("a", "bc")
        cluster.give("c", PeerLost("b"))
    assert read_back(cluster, session) == ((1, 0) if lost else (0, 0))


def lose(cluster: Cluster, lost: str) -> None:
    """c reaches these no more. They are there, and decide for their switches."""
    cluster.cut = {frozenset((name, "c")) for name in lost}
    for name in lost:
        cluster.give("c", PeerLost(name))


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("lost", ["a", "ab"])
def test_entries_of_one_that_is_not_reached_stay_at_a_switch_that_connects_again(lost: str) -> None:
    """Its sessions live: without their server leg they would break, while streams are away for a moment."""
    cluster = Cluster()
    session = cluster.session(UE_LTE, 40_000, KEY)
    cluster.syn(2, 1, join(UE_WLAN, 40_001, TOKEN))
    lose(cluster, lost)
    assert read_back(cluster, session) == (0, 0)


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("lost", ["a", "ab"])
def test_who_starts_and_reaches_nobody_yet_takes_no_server_leg_of_anothers_session(lost: str) -> None:
    """Its token would be announced twice, and no join of that session be led to its MCP any more."""
    cluster = Cluster()
    session = cluster.session(UE_LTE, 40_000, KEY)
    cluster.engines["c"]._unread |= {4}
    lose(cluster, lost)
    assert read_back(cluster, session, (4,)) == (0, 0)
    cluster.engines["c"]._unread |= {4}
    owners = {**SHARES, 1: "c", 3: "c", 5: "c"}
    cluster.give("c", ClusterChanged("c", frozenset("c"), owners))
    assert read_back(cluster, session, (4,)) == (1, 0), "now c decides where it began"


@pytest.mark.row("D-6.2c")
@pytest.mark.parametrize("is_settled", [False, True])
def test_a_session_on_the_flow_of_a_join_that_was_passed_on_long_ago_gets_its_mcps_answer(
    is_settled: bool,
) -> None:
    """The join came in at a switch that another controller has by now, and the host uses its port again."""
    cluster = Cluster({1: "a", 2: "c", 3: "a", 4: "b", 5: "a"}, policy=Policy(max_stretch=9))
    cluster.session(UE_WLAN, 40_000, KEY, dpid=2)
    cluster.syn(1, 1, join(UE_LTE, 41_000, TOKEN))
    assert cluster.engines["a"].peers.events[PeerEvent.JOIN_PASSED_ON] == 1
    cluster.shares[1] = "b"
    for name in "abc":
        cluster.give(name, ClusterChanged(name, frozenset("abc"), dict(cluster.shares)))
    cluster.up(1)
    cluster.at(4, EntriesRead(DatapathId(4), [], []))  # once more
    cluster.later(segment_routes.SETTLED if is_settled else 0.05)
    opening, key = capable(UE_LTE, 41_000), b"another."
    cluster.syn(1, 1, opening)
    (session,) = cluster.engines["b"].sessions.table
    place = cluster.engines["b"].map.inside[session.mcp].port
    assert cluster.shares[place.dpid] == "a"
    cluster.syn_ack(place.dpid, place.port, answer(opening, key))
    assert session.token == int.from_bytes(token(1, key), "big")


def test_all_know_that_a_port_is_gone_that_a_switch_had_before() -> None:
    cluster, lost = Cluster(), PortRef(DatapathId(1), PortNumber(2))
    for _ in range(2):
        assert all(engine.graph.links_at(lost) for engine in cluster.engines.values())
        cluster.later(60)
        cluster.at(1, SwitchDown(lost.dpid))
        ports = cluster.ports(1)
        del ports[lost.port]
        cluster.at(1, SwitchUp(lost.dpid, ports))
        assert not any(engine.graph.links_at(lost) for engine in cluster.engines.values())
        cluster.up(1)


def test_all_know_of_a_port_that_the_site_file_names_and_its_switch_does_not_have() -> None:
    wrong = PortRef(DatapathId(1), PortNumber(2))

    class Misnamed(Cluster):
        def ports(self, dpid: int) -> dict[PortNumber, bool]:
            return {port: up for port, up in super().ports(dpid).items() if (dpid, port) != (1, wrong.port)}

    cluster = Misnamed()
    assert not any(engine.graph.links_at(wrong) for engine in cluster.engines.values())
    anew = sorted(set(cluster.names) - {cluster.shares[wrong.dpid]})[0]
    cluster.sent.clear()
    cluster.give(cluster.shares[wrong.dpid], PeerUp(anew))
    assert PortFact(wrong.dpid, wrong.port, False) in [
        message for _, to, message in cluster.sent if to == anew
    ]
