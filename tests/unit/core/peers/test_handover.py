"""A switch changes hands: sessions that began there are forgotten by one controller and found by the other."""

from dataclasses import replace

import pytest

from steering.core.engine import RECOVERY
from steering.core.inputs import EntriesRead, ObservedEntry, SwitchDown, SwitchUp
from steering.core.outputs import FillSwitch, ForgetReading, Output, ReadEntries, RemoveEntries
from steering.core.peer_facts import ClusterChanged, PeerLost, PeerTold
from steering.model.ids import DatapathId, PortNumber, read_token
from steering.model.network import PortRef, PortRole
from steering.model.policy import Policy
from steering.model.session import EntryKind
from steering.wire.handshake import Handshake
from steering.wire.peer_messages import PortFact, ReplicaRequest
from tests.support.clustered import SHARES, Cluster, steers
from tests.support.sites import KEY, TOKEN, UE_LTE, UE_WLAN, answer, capable, join, link, off_path_site

LTE, WLAN = DatapathId(1), DatapathId(2)  # access switches: a has LTE's; c has WLAN's, and the gateway's
GATEWAY = DatapathId(4)


def begun() -> tuple[Cluster, dict[int, list[ObservedEntry]]]:
    """A session of a with a join where it began and one at one of c's switches, and what switches hold of it."""
    cluster = Cluster()
    session = cluster.session(UE_LTE, 40_000, KEY)
    cluster.syn(1, 1, join("10.1.0.9", 40_001, TOKEN))
    cluster.syn(2, 1, join(UE_WLAN, 40_001, TOKEN))
    held: dict[int, list[ObservedEntry]] = {}
    for entry in session.entries(PortRole.GATEWAY):
        held.setdefault(entry.dpid, []).append(ObservedEntry(entry, 1))
    assert set(held) == {1, 2, 4}
    return cluster, held


def moved() -> tuple[Cluster, dict[int, list[ObservedEntry]], list[Output]]:
    """The same; then c has LTE's switch. And what a does when it hears of the change."""
    cluster, held = begun()
    cluster.shares = {**SHARES, LTE: "c"}
    a, *_ = (
        cluster.give(name, ClusterChanged(name, frozenset(cluster.names), cluster.shares)) for name in "acb"
    )
    cluster.give("a", SwitchDown(LTE))
    return cluster, held, a


def ports_of(cluster: Cluster, dpid: DatapathId) -> dict[PortNumber, bool]:
    return cluster.ports(dpid)


def asked(outputs: list[Output]) -> set[DatapathId]:
    """The switches that are to be read."""
    return {output.dpid for output in outputs if isinstance(output, ReadEntries)}


def told(cluster: Cluster, held: dict[int, list[ObservedEntry]], dpids: set[DatapathId]) -> list[Output]:
    """Switches tell what they hold, in the order of their numbers."""
    return [o for dpid in sorted(dpids) for o in cluster.at(dpid, EntriesRead(dpid, held.get(dpid, []), []))]


def test_who_gives_a_switch_up_forgets_its_sessions_and_touches_no_entry() -> None:
    cluster, _, outputs = moved()
    assert len(cluster.engines["a"].sessions.table) == 0
    assert not [output for output in outputs if isinstance(output, RemoveEntries)]
    assert LTE not in cluster.engines["a"].sessions.readiness.offline, "it takes entries by way of c"


@pytest.mark.parametrize("gives_up_late", [False, True])
def test_who_takes_a_switch_over_reads_its_other_switches_once_more(gives_up_late: bool) -> None:
    """As soon as the one that was taken over told of its sessions, also where who had it hears of it last."""
    cluster, held = begun()
    cluster.shares = {**SHARES, LTE: "c"}
    changed = {name: ClusterChanged(name, frozenset(cluster.names), cluster.shares) for name in "abc"}
    engine = cluster.engines["c"]
    for name in "cb" if gives_up_late else "acb":
        assert not asked(cluster.give(name, changed[name]))
    assert engine.sessions.readiness.recovering
    cluster.at(LTE, SwitchUp(LTE, ports_of(cluster, LTE)))
    assert any(isinstance(m, PortFact) and m.dpid == LTE for s, _, m in cluster.sent if s == "c")
    outputs = told(cluster, held, {LTE})
    (fill,) = [output for output in outputs if isinstance(output, FillSwitch)]
    assert not fill.stale and not fill.entries
    assert asked(outputs) == {2, 4} and engine.sessions.readiness.recovering
    outputs = told(cluster, held, asked(outputs))
    assert not [output for output in outputs if isinstance(output, FillSwitch)], "they hold what they should"
    assert [o.dpid for o in outputs if isinstance(o, ForgetReading)] == [2, 4], (
        "so nobody needs what they told"
    )
    assert not engine.sessions.readiness.recovering
    if gives_up_late:
        cluster.give("a", changed["a"])
    (session,) = engine.sessions.table
    assert {entry.dpid for entry in session.entries(PortRole.GATEWAY)} == {1, 2, 4}
    assert len(session.subflows) == 3
    # And a further join, at a's or at c's, is of it.
    cluster.later(0.05)
    assert steers(cluster.syn(2, 1, join(UE_WLAN, 40_002, TOKEN)))


def test_switches_are_read_once_more_without_one_that_does_not_connect() -> None:
    cluster, held, _ = moved()
    engine = cluster.engines["c"]
    outputs = cluster.later(RECOVERY)
    assert asked(outputs) == {WLAN, 4} and not engine.sessions.readiness.recovering
    assert not [o for o in told(cluster, held, asked(outputs)) if isinstance(o, FillSwitch)]


@pytest.mark.parametrize("tells_first", [False, True])
def test_who_takes_another_switch_over_meanwhile_reads_once_more_again(tells_first: bool) -> None:
    cluster, held, _ = moved()
    cluster.at(LTE, SwitchUp(LTE, ports_of(cluster, LTE)))
    assert asked(told(cluster, held, {LTE})) == {WLAN, 4}
    cluster.shares = {**cluster.shares, 3: "c"}
    outputs: list[Output] = []
    for name in "cba":
        outputs += cluster.give(name, ClusterChanged(name, frozenset(cluster.names), cluster.shares))
    cluster.at(3, SwitchUp(DatapathId(3), ports_of(cluster, DatapathId(3))))
    for dpids in ({3}, {2, 4}) if tells_first else ({2, 4}, {3}):
        assert not asked(outputs), "the others have not told"
        outputs = told(cluster, held, set(map(DatapathId, dpids)))
    assert asked(outputs) == {LTE, WLAN, 4}
    for dpid in sorted(asked(outputs)):
        assert cluster.engines["c"].sessions.readiness.recovering
        assert not [o for o in told(cluster, held, {dpid}) if isinstance(o, FillSwitch)]
    assert not cluster.engines["c"].sessions.readiness.recovering


@pytest.mark.parametrize("is_being_read", [False, True])
def test_a_switch_that_connects_again_before_it_was_read_once_more_is_filled(is_being_read: bool) -> None:
    cluster, held, _ = moved()
    engine = cluster.engines["c"]
    cluster.at(LTE, SwitchUp(LTE, ports_of(cluster, LTE)))
    if is_being_read:
        assert asked(told(cluster, held, {LTE})) == {WLAN, 4}
    cluster.at(WLAN, SwitchDown(WLAN))
    cluster.at(WLAN, SwitchUp(WLAN, ports_of(cluster, WLAN)))
    outputs = told(cluster, held, {WLAN})
    assert [output.dpid for output in outputs if isinstance(output, FillSwitch)] == [WLAN]
    assert engine.switches.is_filled(WLAN) and WLAN not in engine.sessions.readiness.offline
    if not is_being_read:
        assert asked(told(cluster, held, {LTE})) == {4}


def test_a_switch_that_connected_as_another_one_was_taken_over_is_filled() -> None:
    """It had not told what it holds, so it is to be read once more too, and the answer to that comes second."""
    cluster, held = begun()
    engine = cluster.engines["c"]
    cluster.at(WLAN, SwitchDown(WLAN))
    assert asked(cluster.at(WLAN, SwitchUp(WLAN, ports_of(cluster, WLAN)))) == {WLAN}
    cluster.shares = {**SHARES, LTE: "c"}
    for name in "acb":
        cluster.give(name, ClusterChanged(name, frozenset(cluster.names), cluster.shares))
    cluster.at(LTE, SwitchUp(LTE, ports_of(cluster, LTE)))
    assert asked(told(cluster, held, {LTE})) == {WLAN, 4}
    (fill,) = [output for output in told(cluster, held, {WLAN}) if isinstance(output, FillSwitch)]
    assert fill.dpid == WLAN and engine.switches.is_filled(WLAN) and not fill.stale
    told(cluster, held, {WLAN, DatapathId(4)})
    assert not engine.sessions.readiness.recovering and engine.switches.is_filled(WLAN)
    (session,) = engine.sessions.table
    assert len(session.subflows) == 3


def test_a_session_known_by_its_server_leg_alone_stays_as_another_controller_may_have_its_subflows() -> None:
    cluster, held = begun()
    engine = cluster.engines["c"]
    engine.recovery.adopt(held[4], cluster.now)
    (session,) = engine.sessions.table
    assert not session.subflows
    for _ in range(3):
        cluster.later(Policy().timers.idle)
    assert session.id in engine.sessions.table.by_id


def test_the_server_leg_of_anothers_session_with_the_token_of_an_own_one_makes_no_session() -> None:
    """MCPs choose keys at random, so two sessions of a million may have one token."""
    links = (link("1:2", "3:2"), link("3:3", "4:2"), link("2:2", "3:4"), link("4:4", "5:2"))
    cluster = Cluster(site=off_path_site(links=links))  # both networks' paths pass by the MCP's switch
    sessions = [cluster.session(UE_LTE, 40_000, KEY), cluster.session(UE_WLAN, 40_000, KEY, dpid=2)]
    assert sessions[0].mcp == sessions[1].mcp
    held = [one for session in sessions for one in session.entries(PortRole.GATEWAY) if one.dpid == GATEWAY]
    assert len(held) == 2
    cluster.shares = {**SHARES, GATEWAY: "a"}
    for name in "cab":
        cluster.give(name, ClusterChanged(name, frozenset(cluster.names), cluster.shares))
    engine = cluster.engines["a"]
    cluster.at(GATEWAY, SwitchUp(GATEWAY, ports_of(cluster, GATEWAY)))
    outputs = told(cluster, {GATEWAY: [ObservedEntry(one, 1) for one in held]}, {GATEWAY})
    assert list(engine.sessions.table) == sessions[:1]
    assert list(cluster.engines["c"].sessions.table) == sessions[1:]
    (fill,) = [output for output in outputs if isinstance(output, FillSwitch)]
    assert not fill.stale, "and it stays"


def test_nor_does_one_where_the_own_session_begins_at_the_gateways_switch() -> None:
    """A switch that is access and gateway tells of the own session's beginning and of the other's server leg, with one token."""
    site = off_path_site()
    wlan = replace(site.access_networks[1], ports=(PortRef(2, 1), PortRef(GATEWAY, 9)))
    networks = (site.access_networks[0], wlan)
    one_mcp = replace(site, access_networks=networks, mcps=site.mcps[:1])
    cluster = Cluster(site=one_mcp, policy=Policy(max_stretch=9))
    other = cluster.session(UE_LTE, 40_000, KEY)
    own = cluster.session(UE_WLAN, 40_000, KEY, dpid=GATEWAY, port=9)
    held = [
        one for session in (own, other) for one in session.entries(PortRole.GATEWAY) if one.dpid == GATEWAY
    ]
    assert len(held) == 3 and (own.mcp, own.token) == (other.mcp, other.token)
    cluster.shares = {**SHARES, GATEWAY: "b"}
    for name in "bca":
        cluster.give(name, ClusterChanged(name, frozenset(cluster.names), cluster.shares))
    cluster.at(GATEWAY, SwitchUp(GATEWAY, ports_of(cluster, GATEWAY)))
    outputs = told(cluster, {GATEWAY: [ObservedEntry(one, 1) for one in held]}, {GATEWAY})
    assert [one.first for one in cluster.engines["b"].sessions.table] == [own.first]
    assert list(cluster.engines["a"].sessions.table) == [other]
    (fill,) = [output for output in outputs if isinstance(output, FillSwitch)]
    assert not fill.stale, "and it stays"


def test_nor_does_a_join_of_anothers_session_with_the_token_of_an_own_one_at_another_mcp() -> None:
    """Its entry was removed when its switch came back, and its host's segments passed their MCP."""
    site = off_path_site()
    of_lte, of_wlan = (
        replace(mcp, access_networks=frozenset({name}))
        for mcp, name in zip(site.mcps, ("lte", "wlan"), strict=True)
    )
    cluster = Cluster(site=replace(site, mcps=(of_lte, of_wlan)), policy=Policy(max_stretch=9))
    own, other = cluster.session(UE_LTE, 40_000, KEY), cluster.session(UE_WLAN, 40_000, KEY, dpid=WLAN)
    assert own.token == other.token and own.mcp != other.mcp
    cluster.later(0.05)
    (entry,) = [one for one in own.entries(PortRole.GATEWAY) if one.dpid == LTE]
    joined = entry._replace(sport=40_009, cookie=other.cookie(EntryKind.JOIN))
    cluster.at(LTE, SwitchDown(LTE))
    cluster.at(LTE, SwitchUp(LTE, ports_of(cluster, LTE)))
    outputs = told(cluster, {LTE: [ObservedEntry(entry, 1), ObservedEntry(joined, 1)]}, {LTE})
    (fill,) = [output for output in outputs if isinstance(output, FillSwitch)]
    assert list(cluster.engines["a"].sessions.table) == [own] and len(own.subflows) == 1
    assert not fill.stale, "and it stays"


def test_while_a_switch_that_was_taken_over_is_not_read_no_join_is_a_strangers() -> None:
    cluster, _, _ = moved()
    unknown = join(UE_WLAN, 40_009, b"\7\7\7\7")
    assert cluster.syn(2, 1, unknown) == []
    cluster.later(1.0)
    assert "unknown-token" not in {r.value for r, n in cluster.engines["c"].counters.refusals.items() if n}


@pytest.mark.parametrize(("seconds", "is_asked"), [(0.1, False), (6.0, False), (6.0, True)])
def test_while_another_controller_reads_what_it_took_over_no_join_is_a_strangers(
    seconds: float, is_asked: bool
) -> None:
    """a is gone and c has LTE's switch. b, whose own switches are as they were, does not know a's tokens any more."""
    cluster, held = begun()
    cluster.names, cluster.shares = ["b", "c"], {**SHARES, LTE: "c"}
    cluster.dead.add("a")
    b = cluster.engines["b"].peers
    for name in cluster.names:
        cluster.give(name, PeerLost("a"))
        cluster.give(name, ClusterChanged(name, frozenset(cluster.names), cluster.shares))
    assert not b.is_whole
    for _ in range(2):
        if is_asked:
            cluster.give("c", PeerTold("b", ReplicaRequest()))
        cluster.later(seconds)
        assert not b.is_whole, "neither a digest nor an answer says that these are all, while c reads"
    cluster.at(LTE, SwitchUp(LTE, ports_of(cluster, LTE)))
    told(cluster, held, asked(told(cluster, held, {LTE})))
    cluster.later(0.05)
    assert b.is_whole and list(b.replicas.of["c"].facts) == [read_token(TOKEN, "big")]


def test_who_gets_a_switch_back_goes_on_with_the_rules_that_another_one_wrote() -> None:
    cluster, held, _ = moved()
    cluster.shares = SHARES
    assert asked(cluster.give("c", ClusterChanged("c", frozenset(cluster.names), SHARES))) == {WLAN, 4}
    for name in "ab":
        cluster.give(name, ClusterChanged(name, frozenset(cluster.names), cluster.shares))
    cluster.at(LTE, SwitchUp(LTE, ports_of(cluster, LTE)))
    (fill,) = [o for o in cluster.at(LTE, EntriesRead(LTE, held[1], [], 77)) if isinstance(o, FillSwitch)]
    assert fill.epoch == 77, "another epoch would have every rule written again"
    assert len(cluster.engines["a"].sessions.table) == 1


@pytest.mark.row("N-7.2b")
def test_sessions_count_for_who_took_their_switch_over_and_no_more_for_who_had_it() -> None:
    cluster, held = begun()
    a, c = (cluster.engines[name].sessions.table for name in "ac")
    counted = sorted(map(str, a.ledger))
    assert counted and not list(c.ledger)
    cluster.shares = {**SHARES, LTE: "c"}
    for name in "acb":
        cluster.give(name, ClusterChanged(name, frozenset(cluster.names), cluster.shares))
    assert not list(a.ledger)
    cluster.at(LTE, SwitchUp(LTE, ports_of(cluster, LTE)))
    told(cluster, held, asked(told(cluster, held, {LTE})))
    assert sorted(map(str, c.ledger)) == counted


@pytest.mark.row("D-6.2c", "D-6.7.1")
def test_an_answer_that_comes_while_its_session_is_being_read_is_learnt_then() -> None:
    """Its copy is the only one. It comes to c, which has LTE's switch now and has not read it yet."""
    cluster = Cluster()
    opening = capable(UE_LTE, 40_000)
    cluster.syn(1, 1, opening)
    (session,) = cluster.engines["a"].sessions.table
    held: dict[int, list[ObservedEntry]] = {}
    for entry in session.entries(PortRole.GATEWAY):
        held.setdefault(entry.dpid, []).append(ObservedEntry(entry, 1))
    place = cluster.engines["a"].map.inside[session.mcp].port
    cluster.shares = {**SHARES, LTE: "c"}
    for name in "abc":
        cluster.give(name, ClusterChanged(name, frozenset(cluster.names), cluster.shares))
    cluster.give("a", SwitchDown(LTE))
    cluster.at(LTE, SwitchUp(LTE, ports_of(cluster, LTE)))
    cluster.syn_ack(place.dpid, place.port, answer(opening, KEY))
    outputs = told(cluster, held, {LTE})
    told(cluster, held, asked(outputs))
    (found,) = cluster.engines["c"].sessions.table
    assert found.token == read_token(TOKEN, "big")
    cluster.later(0.05)
    assert steers(cluster.syn(1, 1, join("10.1.0.9", 40_002, TOKEN)))


def half_open(cluster: Cluster, name: str) -> tuple[Handshake, dict[int, list[ObservedEntry]], PortRef]:
    """A session of a controller of which the SYN was seen: its SYN, what switches hold of it, and the port of its MCP."""
    opening = capable(UE_LTE, 40_000)
    cluster.syn(1, 1, opening)
    engine = cluster.engines[name]
    (session,) = engine.sessions.table
    held: dict[int, list[ObservedEntry]] = {}
    for entry in session.entries(PortRole.GATEWAY):
        held.setdefault(entry.dpid, []).append(ObservedEntry(entry, 1))
    return opening, held, engine.map.inside[session.mcp].port


@pytest.mark.row("D-6.2c", "D-6.7.1")
def test_who_is_left_alone_learns_an_answer_that_comes_while_its_session_is_being_read() -> None:
    cluster = Cluster()
    opening, held, place = half_open(cluster, "a")
    cluster.dead = {"a", "b"}
    for name in "ab":
        cluster.give("c", PeerLost(name))
    cluster.shares = dict.fromkeys(SHARES, "c")
    cluster.give("c", ClusterChanged("c", frozenset("c"), cluster.shares))
    for dpid in (1, 3, 5):
        cluster.at(dpid, SwitchUp(DatapathId(dpid), ports_of(cluster, DatapathId(dpid))))
    told(cluster, held, {DatapathId(3), DatapathId(5)})
    cluster.syn_ack(place.dpid, place.port, answer(opening, KEY))
    told(cluster, held, asked(told(cluster, held, {LTE})))
    (found,) = cluster.engines["c"].sessions.table
    assert found.token == read_token(TOKEN, "big")


def test_an_answer_is_forgotten_where_its_switch_is_given_up_before_it_was_read() -> None:
    """Otherwise a session that much later has the same flow would get this one's token."""
    cluster = Cluster()
    opening, held, place = half_open(cluster, "a")

    def decides(name: str) -> None:
        cluster.shares = {**SHARES, LTE: name}
        for one in "abc":
            cluster.give(one, ClusterChanged(one, frozenset(cluster.names), cluster.shares))
        if name == "a":
            cluster.at(LTE, SwitchUp(LTE, ports_of(cluster, LTE)))
        else:
            cluster.give("a", SwitchDown(LTE))
        cluster.later(3.0)

    decides("c")
    decides("a")
    cluster.syn_ack(place.dpid, place.port, answer(opening, KEY))
    decides("c")
    decides("a")
    told(cluster, held, asked(told(cluster, held, {LTE})))
    (found,) = cluster.engines["a"].sessions.table
    assert not cluster.engines["a"].sessions.readiness.recovering and found.token < 0


@pytest.mark.row("D-6.7.1")
def test_who_gets_back_a_switch_that_another_one_had_for_a_moment_finds_what_began_there_meanwhile() -> None:
    """It did not hear of the other one before: the switch told it that it is not its MASTER any more."""
    cluster, held = begun()
    table = cluster.engines["a"].sessions.table
    meanwhile = Cluster().session(UE_LTE, 40_500, b"another.")
    tokens = {one.token for one in table} | {meanwhile.token}
    held[LTE] += [ObservedEntry(one, 1) for one in meanwhile.entries(PortRole.GATEWAY) if one.dpid == LTE]
    for owners in ({dpid: name for dpid, name in SHARES.items() if dpid != LTE}, SHARES):
        cluster.give("a", ClusterChanged("a", frozenset("abc"), owners))
    assert not len(table)
    cluster.give("a", SwitchDown(LTE))
    cluster.at(LTE, SwitchUp(LTE, ports_of(cluster, LTE)))
    (fill,) = [output for output in told(cluster, held, {LTE}) if isinstance(output, FillSwitch)]
    assert not fill.stale and not fill.entries
    assert len(tokens) == 2 and {one.token for one in table} == tokens
    assert not cluster.engines["a"].sessions.readiness.recovering
