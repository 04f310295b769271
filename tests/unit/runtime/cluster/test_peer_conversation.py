"""One stream with another controller, without a socket."""

import pytest

from steering.runtime.cluster.peer_conversation import (
    BEAT,
    GREETING,
    MISSED,
    PeerConversation,
    PeerError,
    PeerFault,
)
from steering.runtime.cluster.peer_streams import BACKLOG, PeerStream
from steering.wire.peer_codec import encoded
from steering.wire.peer_messages import Heartbeat, Hello, PeerMessage, ReplicaEnd, ReplicaStart

SITE = bytes(32)
ME, OTHER = Hello("a", 1, SITE), Hello("b", 2, SITE)


def talk(names: tuple[str, ...] = ("b",), members: tuple[str, ...] = ("b", "c")) -> PeerConversation:
    return PeerConversation(ME, frozenset(names), members.__contains__, 10.0)


def fault(conversation: PeerConversation, *messages: PeerMessage) -> PeerFault:
    with pytest.raises(PeerError) as ended:
        conversation.received(b"".join(map(encoded, messages)), 10.0)
    return ended.value.reason


def test_a_peer_says_who_it_is_and_then_what_it_has_to_say() -> None:
    conversation = talk()
    stream = encoded(OTHER) + encoded(Heartbeat(0)) + encoded(ReplicaStart()) + encoded(ReplicaEnd())
    found = [m for at in range(len(stream)) for m in conversation.received(stream[at : at + 1], 10.0)]
    assert conversation.peer == OTHER
    assert list(map(type, found)) == [ReplicaStart, ReplicaEnd]


@pytest.mark.parametrize(
    ("hello", "names", "reason"),
    [
        (OTHER, ("c",), PeerFault.WRONG_NAME),
        (Hello("a", 2, SITE), ("a",), PeerFault.MY_NAME),
        (Hello("x", 2, SITE), ("x",), PeerFault.NO_MEMBER),
        (Hello("b", 2, bytes(31) + b"\1"), ("b",), PeerFault.OTHER_SITE),
        (Hello("b", 2, SITE, 7, 7), ("b",), PeerFault.OLD_PROTOCOL),
    ],
)
def test_who_is_no_member_of_this_cluster_is_refused(
    hello: Hello, names: tuple[str, ...], reason: PeerFault
) -> None:
    assert fault(talk(names), hello, ReplicaStart()) is reason


def test_a_hello_comes_first_and_once() -> None:
    assert fault(talk(), Heartbeat(0)) is PeerFault.NO_HELLO
    assert fault(talk(), OTHER, OTHER) is PeerFault.SECOND_HELLO


def test_three_heartbeats_that_are_missing_end_it_and_a_stall_of_ones_own_does_not() -> None:
    conversation = talk()
    conversation.received(encoded(OTHER), 10.0)
    conversation.judge(10.0 + MISSED * BEAT)
    conversation.received(encoded(Heartbeat(0)), 10.3)
    conversation.judge(10.3 + MISSED * BEAT)
    conversation.stalled(11.0)
    conversation.judge(11.0 + 3 * BEAT)
    assert conversation.came == 10.3, "nothing came of it all the same"
    with pytest.raises(PeerError) as ended:
        conversation.judge(11.0 + 4 * BEAT)
    assert ended.value.reason is PeerFault.SILENT


def test_who_says_nothing_at_all_has_two_seconds() -> None:
    conversation = talk()
    conversation.judge(10.0 + GREETING)
    with pytest.raises(PeerError) as ended:
        conversation.judge(10.1 + GREETING)
    assert ended.value.reason is PeerFault.NO_HELLO


class Deaf:
    """A connection whose peer reads nothing."""

    def sendall(self, data: bytes) -> None:
        raise AssertionError("the writer has had no turn in this test")


def test_what_a_peer_leaves_unread_is_bounded() -> None:
    stream = PeerStream(Deaf(), talk())
    assert stream.tell(bytes(BACKLOG)) and stream.unread == BACKLOG
    assert not stream.tell(b"x")
