"""Joins at switches of other controllers than their session's, when the switch or the session changes hands: what ends them finds the
session's owner."""

import pytest

from steering.core.inputs import EntriesRead, FinSeen, ObservedEntry, SweepRead, SwitchDown, SwitchUp
from steering.core.outputs import Output, ReadEntries, RemoveEntries
from steering.core.peer_facts import ClusterChanged, PeerTold
from steering.core.peers import passed_counters, segment_routes
from steering.core.peers.segment_routes import SegmentRoutes
from steering.core.sessions.fin_pair import BOTH_FINS
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.records import Session
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import PortRole
from steering.wire.peer_messages import ForwardedSegment, JoinCounter, JoinCounters
from tests.support.clustered import SHARES, Cluster
from tests.support.sites import KEY, TOKEN, UE_LTE, UE_WLAN, answer, capable, join

RESET = 0x14
FIN = 0x11
JOIN = join(UE_WLAN, 40_001, TOKEN)
FLOW = flow_key(JOIN.src, JOIN.dst, JOIN.sport, JOIN.dport)

Held = dict[int, list[ObservedEntry]]


def joined(gateway: str = "c", mcps: str = "b") -> tuple[Cluster, Session, Held]:
    """A session of a with a join that came in at c's switch 2, and what the switches hold of it. `gateway`, `mcps`: whose the gateway's
    switch is, and those of the MCPs."""
    cluster = Cluster({**SHARES, 3: mcps, 4: gateway, 5: mcps})
    session = cluster.session(UE_LTE, 40_000, KEY)
    cluster.syn(2, 1, JOIN)
    held: Held = {}
    for entry in session.entries(PortRole.GATEWAY):
        held.setdefault(entry.dpid, []).append(ObservedEntry(entry, 1))
    return cluster, session, held


def moves(cluster: Cluster, dpid: int, owner: str) -> list[Output]:
    """A switch gets another owner, and connects to it. What the owner wants of the switch then."""
    before = cluster.shares[dpid]
    cluster.shares = {**cluster.shares, dpid: owner}
    for name in (owner, before, *cluster.names):
        cluster.give(name, ClusterChanged(name, frozenset(cluster.names), cluster.shares))
    cluster.give(before, SwitchDown(DatapathId(dpid)))
    ports = {one.port: True for one in cluster.engines[owner].map.attachments if one.dpid == dpid}
    return cluster.at(dpid, SwitchUp(DatapathId(dpid), ports))


def read(cluster: Cluster, held: Held, outputs: list[Output]) -> None:
    """Switches that are to be read tell what they hold, until none is."""
    while again := [output.dpid for output in outputs if isinstance(output, ReadEntries)]:
        outputs = [o for dpid in again for o in cluster.at(dpid, EntriesRead(dpid, held.get(dpid, []), []))]


def reset_by_mcp(cluster: Cluster, session: Session) -> FinSeen:
    place = cluster.engines["a"].map.inside[session.mcp].port
    return FinSeen(place.dpid, place.port, answer(JOIN, b"")._replace(flags=RESET))


def told(cluster: Cluster) -> list[tuple[str, str]]:
    return [(by, to) for by, to, one in cluster.sent if isinstance(one, ForwardedSegment)]


@pytest.mark.row("D-6.2c")
@pytest.mark.parametrize("moved", [False, True])
def test_the_end_of_a_join_is_seen_by_its_sessions_owner_where_the_joins_switch_has_changed_hands(
    moved: bool,
) -> None:
    """Its new owner has not forwarded the join: it has read it at the switch."""
    cluster, session, held = joined()
    if moved:
        read(cluster, held, moves(cluster, 2, "b"))
        cluster.later(segment_routes.SETTLED)
        assert not cluster.engines["b"].sessions.table.by_id, "one owner decides"
    reset = reset_by_mcp(cluster, session)
    cluster.sent.clear()
    cluster.at(2, FinSeen(DatapathId(2), PortNumber(1), JOIN._replace(flags=FIN)))
    assert told(cluster) == [(cluster.shares[2], "a")]
    cluster.at(reset.dpid, reset)
    assert session.subflows[-1].key == FLOW and session.subflows[-1].closed == BOTH_FINS


@pytest.mark.row("D-6.2c")
def test_the_end_of_a_join_follows_its_token_and_not_who_was_told_of_the_join() -> None:
    cluster, _, held = joined()
    read(cluster, held, moves(cluster, 1, "b"))
    cluster.later(segment_routes.SETTLED)
    assert cluster.engines["c"].peers.replicas.holders(int.from_bytes(TOKEN, "big")) == ["b"]
    cluster.sent.clear()
    cluster.at(2, FinSeen(DatapathId(2), PortNumber(1), JOIN._replace(flags=FIN)))
    assert told(cluster) == [("c", "b")]


@pytest.mark.row("D-6.2c", "D-6.7.1")
@pytest.mark.parametrize("is_read", [False, True])
@pytest.mark.parametrize("mcps", ["b", "c"])
def test_the_end_of_a_join_counts_for_who_takes_its_session_over_and_still_reads(
    mcps: str, is_read: bool
) -> None:
    """It has passed the join itself on to the owner of before."""
    cluster, session, held = joined(mcps=mcps)
    reset = reset_by_mcp(cluster, session)
    outputs = moves(cluster, 1, "c")
    if is_read:
        read(cluster, held, outputs)
    assert (
        cluster.engines["c"].sessions.readiness.recovering is not is_read
        and cluster.shares[reset.dpid] == mcps
    )
    cluster.at(reset.dpid, reset)
    if not is_read:
        read(cluster, held, outputs)
    (found,) = cluster.engines["c"].sessions.table
    assert {one.key: one.closed for one in found.subflows}[FLOW] == BOTH_FINS


def test_flows_of_others_joins_are_bounded_and_go_to_all_that_announce_the_token() -> None:
    routes = SegmentRoutes(Cluster().engines["a"].map)
    routes.passed_on(FLOW, 7, "b")
    assert routes.follows((FLOW,), lambda token: []) == {"b"}, "its session may be on its way to another one"
    assert routes.follows((FLOW,), lambda token: ["c", "d"] if token == 7 else []) == {"c", "d"}
    for number in range(segment_routes.PASSED_ON):
        routes.passed_on(flow_key(JOIN.src, JOIN.dst, number, 1), 7)
    assert not routes.follows((FLOW,), lambda token: ["c"])


def left_by_its_first_subflow() -> tuple[Cluster, Session, ObservedEntry]:
    """A session that b has from a. Of its subflows b knows the first one alone, which has ended; the join at c's switch 2 goes on. And that
    one's entry."""
    cluster, session, held = joined("b")
    read(cluster, held, moves(cluster, 1, "b"))
    cluster.later(segment_routes.SETTLED)
    engine = cluster.engines["b"]
    (found,) = engine.sessions.table
    assert len(found.subflows) == 1, "with three owners, it does not find the join"
    place = engine.map.inside[session.mcp].port
    opening = capable(UE_LTE, 40_000)
    cluster.at(1, FinSeen(DatapathId(1), PortNumber(1), opening._replace(flags=FIN, seq=5_000, ack=7_000)))
    ended = answer(opening, KEY)._replace(flags=FIN, seq=7_000, ack=5_001)
    cluster.at(place.dpid, FinSeen(place.dpid, place.port, ended))
    cluster.later(engine.policy.timers.fin_linger)
    assert not found.subflows and found.id in engine.sessions.table.lingering
    (join_entry,) = (one for one in held[2])
    return cluster, found, join_entry


def gone(cluster: Cluster, seconds: float, counted: ObservedEntry | None) -> bool:
    """Time goes by until the session's record is over. `counted`: what c reads of the join in the middle of that time. Whether the entry of
    its server leg is removed."""
    cluster.later(seconds / 2)
    if counted is not None:
        cluster.at(2, SweepRead(DatapathId(2), [counted], True, True, cluster.now))
    outputs = cluster.later(seconds / 2 + 1)
    return any(isinstance(one, RemoveEntries) for one in outputs)


@pytest.mark.row("D-6.2c", "D-6.7.1")
def test_a_session_whose_joins_its_new_owner_did_not_find_lives_while_they_do() -> None:
    cluster, found, entry = left_by_its_first_subflow()
    linger = cluster.engines["b"].policy.timers.session_linger
    cluster.at(2, SweepRead(DatapathId(2), [entry], True, True, cluster.now))
    for packets in (50, 90):
        assert not gone(cluster, linger, entry._replace(packets=packets)), "its server leg is in use"
        assert found.id in cluster.engines["b"].sessions.table.by_id
    assert gone(cluster, linger, entry._replace(packets=90)), "nothing has come meanwhile"
    assert not cluster.engines["b"].sessions.table.by_id


def test_a_session_ends_in_time_whose_joins_are_all_known_and_over() -> None:
    cluster, _, _ = left_by_its_first_subflow()
    assert gone(cluster, cluster.engines["b"].policy.timers.session_linger, None)


def test_joins_of_sessions_to_other_servers_and_too_many_of_them_keep_no_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passed_counters, "UNKNOWN", 4)
    cluster, found, _ = left_by_its_first_subflow()
    may_live = cluster.engines["b"].peers.may_live
    for packets in (1, 2):
        others = tuple(
            JoinCounter(flow_key(JOIN.src, b"\x0a\x09\0\x09", number, 80), packets, 1) for number in range(4)
        )
        cluster.give("b", PeerTold("c", JoinCounters(2, others)))
    assert not may_live(found, 0.0)
    for packets in (1, 2):
        cluster.give("b", PeerTold("c", JoinCounters(2, (JoinCounter(FLOW, packets, 1),))))
    assert may_live(found, cluster.now) and not may_live(found, cluster.now + 1)
