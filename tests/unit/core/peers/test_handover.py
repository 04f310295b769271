"""A switch changes hands: sessions that began there are forgotten by one controller and found by the other."""

import pytest

from steering.core.inputs import EntriesRead, ObservedEntry, SwitchDown, SwitchUp
from steering.core.outputs import FillSwitch, Output, ReadEntries, RemoveEntries
from steering.core.peer_facts import ClusterChanged, PeerLost, PeerTold
from steering.model.ids import DatapathId
from steering.model.network import PortRole
from steering.wire.peer_messages import PortFact, ReplicaRequest
from tests.support.clustered import SHARES, Cluster, steers
from tests.support.sites import KEY, TOKEN, UE_LTE, UE_WLAN, join

LTE, WLAN = DatapathId(1), DatapathId(2)  # access switches: a has LTE's; c has WLAN's, and the gateway's (4)


def moved() -> tuple[Cluster, dict[int, list[ObservedEntry]], list[Output], list[Output]]:
    """A session of a with a join at one of c's switches; then c has LTE's switch. What switches hold of it, and what a and
    c do when they hear of the change."""
    cluster = Cluster()
    session = cluster.session(UE_LTE, 40_000, KEY)
    cluster.syn(2, 1, join(UE_WLAN, 40_001, TOKEN))
    held: dict[int, list[ObservedEntry]] = {}
    for entry in session.entries(PortRole.GATEWAY):
        held.setdefault(entry.dpid, []).append(ObservedEntry(entry, 1))
    assert set(held) == {1, 2, 4}
    cluster.shares = {**SHARES, LTE: "c"}
    a, c, _ = (
        cluster.give(name, ClusterChanged(name, frozenset(cluster.names), cluster.shares)) for name in "acb"
    )
    cluster.give("a", SwitchDown(LTE))
    return cluster, held, a, c


def test_who_gives_a_switch_up_forgets_its_sessions_and_touches_no_entry() -> None:
    cluster, _, outputs, _ = moved()
    assert len(cluster.engines["a"].sessions.table) == 0
    assert not [output for output in outputs if isinstance(output, RemoveEntries)]
    assert LTE not in cluster.engines["a"].sessions.readiness.offline, "it takes entries by way of c"


def test_who_takes_a_switch_over_reads_its_other_switches_once_more() -> None:
    cluster, held, _, outputs = moved()
    engine = cluster.engines["c"]
    assert {o.dpid for o in outputs if isinstance(o, ReadEntries)} == {2, 4}
    assert engine.sessions.readiness.recovering
    told = [cluster.at(dpid, EntriesRead(DatapathId(dpid), held[dpid], [])) for dpid in (2, 4)]
    assert not [o for one in told for o in one if isinstance(o, FillSwitch)], "they hold what they should"
    assert engine.sessions.readiness.recovering, "LTE's switch has not told of its sessions"
    ports = {port.port: True for port in engine.map.attachments if port.dpid == LTE}
    cluster.at(LTE, SwitchUp(LTE, ports))
    assert any(isinstance(m, PortFact) and m.dpid == LTE for s, _, m in cluster.sent if s == "c")
    (fill,) = [o for o in cluster.at(LTE, EntriesRead(LTE, held[1], [])) if isinstance(o, FillSwitch)]
    assert not fill.stale and not fill.entries
    assert not engine.sessions.readiness.recovering
    (session,) = engine.sessions.table
    assert {entry.dpid for entry in session.entries(PortRole.GATEWAY)} == {1, 2, 4}
    # And a further join, at a's or at c's, is of it.
    cluster.later(0.05)
    assert steers(cluster.syn(2, 1, join(UE_WLAN, 40_002, TOKEN)))


def test_a_switch_that_connects_again_before_it_was_read_once_more_is_filled() -> None:
    cluster, held, _, _ = moved()
    engine = cluster.engines["c"]
    ports = {port.port: True for port in engine.map.attachments if port.dpid == WLAN}
    cluster.at(WLAN, SwitchDown(WLAN))
    cluster.at(WLAN, SwitchUp(WLAN, ports))
    outputs = cluster.at(WLAN, EntriesRead(WLAN, held[WLAN], []))
    assert [output.dpid for output in outputs if isinstance(output, FillSwitch)] == [WLAN]
    assert engine.switches.is_filled(WLAN) and WLAN not in engine.sessions.readiness.offline


def test_while_a_switch_that_was_taken_over_is_not_read_no_join_is_a_strangers() -> None:
    cluster, _, _, _ = moved()
    unknown = join(UE_WLAN, 40_009, b"\7\7\7\7")
    assert cluster.syn(2, 1, unknown) == []
    cluster.later(1.0)
    assert "unknown-token" not in {r.value for r, n in cluster.engines["c"].counters.refusals.items() if n}


@pytest.mark.parametrize(("seconds", "asked"), [(0.1, False), (6.0, False), (6.0, True)])
def test_while_another_controller_reads_what_it_took_over_no_join_is_a_strangers(
    seconds: float, asked: bool
) -> None:
    """a is gone and c has LTE's switch. b, whose own switches are as they were, does not know a's tokens any more."""
    cluster = Cluster()
    session = cluster.session(UE_LTE, 40_000, KEY)
    held = [ObservedEntry(e, 1) for e in session.entries(PortRole.GATEWAY) if e.dpid == LTE]
    cluster.names, cluster.shares = ["b", "c"], {**SHARES, LTE: "c"}
    cluster.dead.add("a")
    b, c = cluster.engines["b"].peers, cluster.engines["c"]
    for name in cluster.names:
        cluster.give(name, PeerLost("a"))
        cluster.give(name, ClusterChanged(name, frozenset(cluster.names), cluster.shares))
    assert not b.is_whole
    for _ in range(2):
        if asked:
            cluster.give("c", PeerTold("b", ReplicaRequest()))
        cluster.later(seconds)
        assert not b.is_whole, "neither a digest nor an answer says that these are all, while c reads"
    ports = {port.port: True for port in c.map.attachments if port.dpid == LTE}
    for dpid, entries in ((LTE, held), (WLAN, []), (DatapathId(4), [])):
        if dpid == LTE:
            cluster.at(LTE, SwitchUp(LTE, ports))
        cluster.at(dpid, EntriesRead(dpid, entries, []))
    cluster.later(0.05)
    assert b.is_whole and list(b.replicas.of["c"].facts) == [session.token]


def test_who_gets_a_switch_back_goes_on_with_the_rules_that_another_one_wrote() -> None:
    cluster, held, _, _ = moved()
    cluster.shares = SHARES
    for name in "cab":
        cluster.give(name, ClusterChanged(name, frozenset(cluster.names), cluster.shares))
    ports = {port.port: True for port in cluster.engines["a"].map.attachments if port.dpid == LTE}
    cluster.at(LTE, SwitchUp(LTE, ports))
    (fill,) = [o for o in cluster.at(LTE, EntriesRead(LTE, held[1], [], 77)) if isinstance(o, FillSwitch)]
    assert fill.epoch == 77, "another epoch would have every rule written again"
    assert len(cluster.engines["a"].sessions.table) == 1
