"""A switch obeys its new owner before all know of it: what the new owner tells of the switch's segments then is not lost."""

import pytest

from steering.core.handshakes import unknown_token_block
from steering.core.inputs import FinSeen
from steering.core.outputs import SyncRules
from steering.core.peer_facts import ClusterChanged, PeerTold
from steering.core.peers import early_copies, segment_routes
from steering.core.peers.early_copies import EarlyCopies
from steering.core.peers.peer_events import PeerEvent
from steering.core.sessions.records import Session
from steering.model.session import SessionState
from steering.wire.crypto import token
from steering.wire.peer_messages import ForwardedSegment, ReplicaDigest, SegmentKind, TokenEntries, TokenEntry
from tests.support.clustered import SHARES, Cluster
from tests.support.sites import KEY, TOKEN, UE_LTE, UE_WLAN, answer, capable, join

RESET = 0x14
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
