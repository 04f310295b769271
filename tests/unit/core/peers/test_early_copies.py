"""A switch obeys its new owner before all know of it: what the new owner tells of the switch's segments then is not lost."""

import pytest

from steering.core.handshakes import unknown_token_block
from steering.core.inputs import EntriesRead, FinSeen, ObservedEntry, SwitchUp
from steering.core.outputs import ReadEntries, SyncRules
from steering.core.peer_facts import ClusterChanged, PeerTold
from steering.core.peers import early_copies, segment_routes
from steering.core.peers.early_copies import EarlyCopies
from steering.core.peers.peer_events import PeerEvent
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.records import Session
from steering.model.ids import DatapathId
from steering.model.network import PortRole
from steering.model.session import SessionState
from steering.model.usual_segment import UsualSynAck
from steering.wire.craft import tcp_frame
from steering.wire.crypto import token
from steering.wire.handshake import Handshake
from steering.wire.peer_messages import ForwardedSegment, ReplicaDigest, SegmentKind, TokenEntries, TokenEntry
from tests.support.clustered import SHARES, Cluster
from tests.support.sites import KEY, TOKEN, UE_LTE, UE_WLAN, answer, capable, join

RESET = 0x14
LATER = b"later on"
NUMBER = int.from_bytes(TOKEN, "big")


def answered_too_soon() -> tuple[Cluster, Session]:
    """A session of a whose MCP's switch obeys c by now. Only c knows that, and passes the MCP's SYN/ACK on."""
    cluster = Cluster()
    opening = capable(UE_LTE, 40_000)
    cluster.syn(1, 1, opening)
    (session,) = cluster.engines["a"].sessions.table
    place = cluster.engines["a"].map.inside[session.mcp].port
    cluster.shares = {**SHARES, int(place.dpid): "c"}
    cluster.give("c", ClusterChanged("c", frozenset("abc"), cluster.shares))
    events = cluster.engines["a"].peers.events
    before = events[PeerEvent.FOREIGN_SWITCH]
    cluster.syn_ack(place.dpid, place.port, answer(opening, KEY))
    assert session.token < 0 and events[PeerEvent.FOREIGN_SWITCH] == before + 1
    return cluster, session


@pytest.mark.row("D-6.2c", "D-6.7.1")
def test_an_answer_that_a_switchs_new_owner_passes_on_too_soon_is_learnt_when_all_know_that_owner() -> None:
    cluster, session = answered_too_soon()
    cluster.now += segment_routes.SETTLED / 2
    cluster.give("a", ClusterChanged("a", frozenset("abc"), cluster.shares))
    assert session.token == NUMBER
    assert cluster.engines["b"].peers.replicas.holders(NUMBER) == ["a"], "so that joins find their owner"


@pytest.mark.parametrize("owner", ["a", "b"])
def test_an_answer_of_a_controller_that_does_not_become_the_owner_is_not_believed(owner: str) -> None:
    cluster, session = answered_too_soon()
    of = cluster.engines["a"].map.inside[session.mcp].port.dpid
    cluster.give("a", ClusterChanged("a", frozenset("abc"), {**SHARES, int(of): owner, 2: "b"}))
    assert session.token < 0
    cluster.give("a", ClusterChanged("a", frozenset("abc"), cluster.shares))
    assert session.token == NUMBER, "it becomes the owner by a later change"


def test_an_answer_is_kept_for_a_moment_only() -> None:
    cluster, session = answered_too_soon()
    cluster.now += segment_routes.SETTLED
    cluster.give("a", ClusterChanged("a", frozenset("abc"), cluster.shares))
    assert session.token < 0


@pytest.mark.parametrize("known", [False, True])
def test_a_reset_that_a_switchs_new_owner_passes_on_too_soon_is_seen(known: bool) -> None:
    cluster = Cluster()
    engine = cluster.engines["a"]
    session = cluster.session(UE_LTE, 40_000, KEY)
    place = engine.map.inside[session.mcp].port
    cluster.shares = {**SHARES, int(place.dpid): "c"}
    cluster.give("c", ClusterChanged("c", frozenset("abc"), cluster.shares))
    reset = answer(capable(UE_LTE, 40_000), KEY)._replace(flags=RESET)
    cluster.at(place.dpid, FinSeen(place.dpid, place.port, reset))
    if known:
        cluster.give("a", ClusterChanged("a", frozenset("abc"), cluster.shares))
    assert session.state is (SessionState.CLOSING if known else SessionState.ESTABLISHED)


@pytest.mark.row("D-6.2c", "D-6.7.1")
@pytest.mark.parametrize("knows_in_time", [False, True])
def test_an_answer_follows_its_session_to_the_new_owner_of_the_switch_where_it_began(
    knows_in_time: bool,
) -> None:
    """The session's owner knows that it is that, the one of the MCP's switch does not yet."""
    cluster = Cluster()
    cluster.shares = {**SHARES, 1: "c"}
    cluster.give("c", ClusterChanged("c", frozenset("abc"), cluster.shares))
    cluster.up(1)
    cluster.later(0.05)
    opening = capable(UE_LTE, 40_000)
    cluster.syn(1, 1, opening)
    (session,) = cluster.engines["c"].sessions.table
    place = cluster.engines["a"].map.inside[session.mcp].port
    assert cluster.shares[place.dpid] == "b"
    cluster.syn_ack(place.dpid, place.port, answer(opening, KEY))
    assert session.token < 0
    cluster.now += 0.0 if knows_in_time else segment_routes.SETTLED
    before = len([one for _, _, one in cluster.sent if isinstance(one, ForwardedSegment)])
    cluster.give("b", ClusterChanged("b", frozenset("abc"), {**SHARES, 2: "a"}))
    assert session.token < 0, "another switch changed hands"
    cluster.give("b", ClusterChanged("b", frozenset("abc"), cluster.shares))
    assert (session.token == NUMBER) is knows_in_time
    after = [one for _, _, one in cluster.sent if isinstance(one, ForwardedSegment)]
    assert len(after) == before + knows_in_time, "to the new owner alone"


def reset_of(session: Session, opening: Handshake) -> FinSeen:
    """A reset by a session's MCP."""
    place = Cluster().engines["a"].map.inside[session.mcp].port
    return FinSeen(place.dpid, place.port, answer(opening, KEY)._replace(flags=RESET))


@pytest.mark.row("D-6.2c")
def test_a_reset_that_came_too_soon_does_not_end_the_next_session_on_its_flow() -> None:
    cluster, opening = Cluster(), capable(UE_LTE, 40_000)
    engine = cluster.engines["a"]
    session = cluster.session(UE_LTE, 40_000, KEY)
    reset = reset_of(session, opening)
    cluster.shares = {**SHARES, int(reset.dpid): "c"}
    cluster.give("c", ClusterChanged("c", frozenset("abc"), cluster.shares))
    cluster.at(reset.dpid, reset)
    engine.sessions.teardown.end(session)
    later = cluster.session(UE_LTE, 40_000, LATER)
    cluster.give("a", ClusterChanged("a", frozenset("abc"), cluster.shares))
    assert later is not session and later.state is not SessionState.CLOSING
    assert later.token == int.from_bytes(token(1, LATER), "big"), "its own answer counts"


@pytest.mark.row("D-6.2c")
@pytest.mark.parametrize("is_used_again", [False, True])
def test_the_end_of_a_session_is_not_passed_on_to_the_next_owner_for_the_next_session_on_its_flow(
    is_used_again: bool,
) -> None:
    cluster, opening = Cluster(), capable(UE_LTE, 40_000)
    session = cluster.session(UE_LTE, 40_000, KEY)
    reset = reset_of(session, opening)
    assert cluster.shares[reset.dpid] == "b"
    cluster.now += 0.1
    cluster.at(reset.dpid, reset)
    if is_used_again:
        cluster.now += 0.1
        cluster.engines["a"].sessions.teardown.end(session)
        cluster.syn(1, 1, opening)
        cluster.syn_ack(reset.dpid, reset.port, answer(opening, LATER))
    cluster.sent.clear()
    cluster.give("b", ClusterChanged("b", frozenset("abc"), {**SHARES, 1: "c"}))
    told = [one.kind for _, to, one in cluster.sent if to == "c" and isinstance(one, ForwardedSegment)]
    assert told.count(SegmentKind.FIN) == (not is_used_again) and SegmentKind.SYN_ACK in told


@pytest.mark.row("D-6.2c", "D-6.7.1")
@pytest.mark.parametrize("is_answer", [False, True])
def test_what_was_passed_on_to_who_decided_before_counts_for_who_passed_it_on_and_decides_now(
    is_answer: bool,
) -> None:
    """The owner of before is killed as it gets the only copy. Its switch's new owner is that of the MCP's switch."""
    cluster, opening = Cluster(), capable(UE_LTE, 40_000)
    if is_answer:
        cluster.syn(1, 1, opening)
        (session,) = cluster.engines["a"].sessions.table
    else:
        session = cluster.session(UE_LTE, 40_000, KEY)
    held = [ObservedEntry(one, 9, 9_000) for one in session.entries(PortRole.GATEWAY) if one.dpid == 1]
    reset = reset_of(session, opening)
    assert held and cluster.shares[reset.dpid] == "b"
    cluster.dead.add("a")
    if is_answer:
        cluster.syn_ack(reset.dpid, reset.port, answer(opening, KEY))
    else:
        cluster.at(reset.dpid, reset)
    cluster.shares = {**SHARES, 1: "b"}
    cluster.give("b", ClusterChanged("b", frozenset("abc"), cluster.shares))
    engine = cluster.engines["b"]
    outputs = cluster.at(1, SwitchUp(DatapathId(1), cluster.ports(1)))
    while again := [output.dpid for output in outputs if isinstance(output, ReadEntries)]:
        outputs = [
            o for dpid in again for o in cluster.at(dpid, EntriesRead(dpid, held if dpid == 1 else [], []))
        ]
    (found,) = engine.sessions.table
    assert found.token == NUMBER and not engine.sessions.readiness.recovering
    assert (found.state is SessionState.CLOSING) is not is_answer


def begun_too_late(is_usual: bool, is_known: bool) -> tuple[Cluster, Session, list[ObservedEntry], FinSeen]:
    """A session of a, whose MCP's switch is a's too. The switch where it began obeys c by now, so what a writes there is refused; a does not
    know that yet, and handles the MCP's answer. Also what that switch holds, and a reset by the MCP. `is_known`: the answer came before."""
    cluster, opening = Cluster({**SHARES, 3: "a", 5: "a"}), capable(UE_LTE, 40_000)
    cluster.syn(1, 1, opening)
    (session,) = cluster.engines["a"].sessions.table
    held = [ObservedEntry(one, 1) for one in session.entries(PortRole.GATEWAY) if one.dpid == 1]
    place = cluster.engines["a"].map.inside[session.mcp].port
    cluster.shares = {**cluster.shares, 1: "c"}
    if not is_known:
        cluster.give("c", ClusterChanged("c", frozenset("ac"), cluster.shares))
    answered = answer(opening, KEY)
    if is_usual:
        key = flow_key(opening.src, opening.dst, opening.sport, opening.dport)
        frame = tcp_frame(
            answered.src, answered.dst, answered.sport, answered.dport, seq=answered.seq, ack=answered.ack,
            flags=answered.flags, options=bytes((30, 12, 0x01, 0x01)) + KEY,
        )  # fmt: skip
        seen = UsualSynAck(place.dpid, place.port, key, answered.ack, 1, KEY, frame)
        cluster.give("a", seen)
    else:
        cluster.syn_ack(place.dpid, place.port, answered)
    assert session.token == NUMBER and held
    if is_known:
        held = [ObservedEntry(one, 1) for one in session.entries(PortRole.GATEWAY) if one.dpid == 1]
        cluster.give("c", ClusterChanged("c", frozenset("ac"), cluster.shares))
    return cluster, session, held, FinSeen(place.dpid, place.port, answered._replace(flags=RESET))


def taken_over(cluster: Cluster, held: list[ObservedEntry]) -> Session:
    """c reads the switch where the session began, and its own ones once more. The session that it finds."""
    engine = cluster.engines["c"]
    ports = {one.port: True for one in engine.map.attachments if one.dpid == 1}
    outputs = cluster.at(1, SwitchUp(DatapathId(1), ports))
    while again := [output.dpid for output in outputs if isinstance(output, ReadEntries)]:
        outputs = [
            o for dpid in again for o in cluster.at(dpid, EntriesRead(dpid, held if dpid == 1 else [], []))
        ]
    (found,) = engine.sessions.table
    return found


@pytest.mark.row("D-6.2c", "D-6.7.1")
@pytest.mark.parametrize("is_usual", [False, True])
@pytest.mark.parametrize("is_read_first", [False, True])
def test_what_an_owner_learnt_that_could_not_write_it_down_any_more_is_learnt_by_the_next_one(
    is_read_first: bool, is_usual: bool
) -> None:
    cluster, _, held, _ = begun_too_late(is_usual, is_known=False)
    if is_read_first:
        assert taken_over(cluster, held).token < 0
    cluster.give("a", ClusterChanged("a", frozenset("ac"), cluster.shares))
    found = cluster.engines["c"].sessions.table
    session = next(iter(found)) if is_read_first else taken_over(cluster, held)
    assert session.token == NUMBER
    cluster.later(0.05)
    assert cluster.engines["a"].peers.replicas.holders(NUMBER) == ["c"], "so that joins find their owner"


@pytest.mark.row("D-6.2c")
@pytest.mark.parametrize("is_late", [False, True])
def test_an_end_that_its_owner_saw_as_it_lost_the_session_is_seen_by_the_next_one(is_late: bool) -> None:
    cluster, _, held, reset = begun_too_late(is_usual=False, is_known=True)
    cluster.at(reset.dpid, reset)
    cluster.now += segment_routes.SETTLED if is_late else 0.0
    cluster.give("a", ClusterChanged("a", frozenset("ac"), cluster.shares))
    assert (taken_over(cluster, held).state is SessionState.CLOSING) is not is_late


def test_what_an_owner_has_handled_itself_is_not_passed_on_where_its_session_stays() -> None:
    """The join came in at another owner's switch, and a third switch changes hands."""
    cluster, joining = Cluster({**SHARES, 3: "a", 5: "a"}), join(UE_WLAN, 40_001, TOKEN)
    session = cluster.session(UE_LTE, 40_000, KEY)
    cluster.syn(2, 1, joining)
    place = cluster.engines["a"].map.inside[session.mcp].port
    cluster.at(place.dpid, FinSeen(place.dpid, place.port, answer(joining, b"")._replace(flags=RESET)))
    cluster.sent.clear()
    cluster.give("a", ClusterChanged("a", frozenset("ac"), {**cluster.shares, 4: "a"}))
    assert not [one for _, _, one in cluster.sent if isinstance(one, ForwardedSegment)]


@pytest.mark.row("D-6.4h")
def test_no_flow_is_blocked_while_owners_change() -> None:
    """A token that nobody knows may be of a session whose answer is under way. Its host's next try is let in."""
    cluster = Cluster()
    hold = cluster.engines["a"].policy.timers.hold
    stray = join("10.1.0.9", 40_001, token(1, b"another."))
    cluster.give("a", ClusterChanged("a", frozenset("abc"), {**SHARES, 3: "c"}))
    cluster.give("a", PeerTold("c", ReplicaDigest(0, 0)))
    assert cluster.engines["a"].peers.is_whole
    cluster.syn(1, 1, stray)
    assert not [o for o in cluster.later(hold) if isinstance(o, SyncRules)]
    cluster.now += segment_routes.SETTLED
    cluster.syn(1, 1, stray)
    assert [o for o in cluster.later(hold) if isinstance(o, SyncRules)]


@pytest.mark.row("D-6.4h")
def test_a_block_ends_when_another_controller_tells_of_the_token() -> None:
    cluster = Cluster()
    hold = cluster.engines["a"].policy.timers.hold
    stray = join("10.1.0.9", 40_001, TOKEN)
    cluster.syn(1, 1, stray)
    (block,) = [o for o in cluster.later(hold) if isinstance(o, SyncRules)]
    other = TokenEntry(1, 1, b"\1\2\3\4", 5)
    assert not cluster.give("a", PeerTold("b", TokenEntries((other,)))), "another token"
    (freed,) = cluster.give("a", PeerTold("b", TokenEntries((other._replace(token=NUMBER),))))
    assert freed == SyncRules(block.dpid, (), block.add)
    later = cluster.later(unknown_token_block.SECONDS)
    assert not [o for o in later if isinstance(o, SyncRules)], "it ended already"


def test_copies_are_bounded_by_controller_and_by_time() -> None:
    message = ForwardedSegment(SegmentKind.FIN, 1, 1, 0, join(UE_WLAN, 1, TOKEN), b"")
    copies: EarlyCopies[ForwardedSegment] = EarlyCopies()
    copies.keep("b", message, 2.0)
    for port in range(2 * early_copies.MOST):
        copies.keep("c", message._replace(port=port), 2.1)
    assert len(copies) == early_copies.MOST + 1
    for number in range(early_copies.MOST_CONTROLLERS - 2):
        copies.keep(f"x{number}", message, 2.2)
    assert len(copies.take(2.0)) == early_copies.MOST + early_copies.MOST_CONTROLLERS - 2
    assert len(copies) == 0
