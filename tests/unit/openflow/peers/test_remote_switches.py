"""Writes to switches of another controller, with their barrier: two senders, and the messages between them."""

import pytest

from steering.core.counters import Counters
from steering.core.outputs import Release, Steer
from steering.model.ids import DatapathId, PortNumber
from steering.model.session import Entry, EntryKind, pack_cookie
from steering.openflow.messages.encode import barrier_request
from steering.openflow.peers.remote_switches import PATIENCE, PENDING, PIECE, PeerWrites, SwitchLines
from steering.openflow.switch_tables.sender import Sender
from steering.wire.peer_codec import decoded, encoded
from steering.wire.peer_messages import SwitchWrite, WriteResult
from steering.wire.peer_stream import cut

HOME, GATEWAY = DatapathId(1), DatapathId(4)
FLOW_MOD, PACKET_OUT, BARRIER_REQUEST = 14, 13, 20


class Wire:
    """A switch that keeps what it was sent."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def disconnect(self, reason: object) -> None: ...

    @property
    def kinds(self) -> list[int]:
        found, at = [], 0
        while at < len(self.data):
            found.append(self.data[at + 1])
            at += int.from_bytes(self.data[at + 2 : at + 4], "big")
        return found

    @property
    def last_xid(self) -> int:
        return int.from_bytes(self.data[-4:], "big")


class Pair:
    """Controller a has s1, controller b has s4."""

    def __init__(self, reached: bool = True) -> None:
        self.home, self.gateway = Wire(), Wire()
        self.lines = SwitchLines({HOME: self.home}, lambda to, message: self._post(self.to_b, message))
        self.lines.shared("a", {HOME: "a", GATEWAY: "b"}, frozenset({"b"} if reached else ()))
        self.counters = Counters()
        self.sender = Sender(self.lines, self.counters, lambda given: None)
        self.to_a: list[SwitchWrite | WriteResult] = []
        self.to_b: list[SwitchWrite | WriteResult] = []
        self.at_b: dict[DatapathId, Wire] = {GATEWAY: self.gateway}
        self.writes = PeerWrites(
            self.at_b, iter(range(500, 10_000)), lambda to, message: self._post(self.to_a, message)
        )

    @staticmethod
    def _post(box: list[SwitchWrite | WriteResult], message: SwitchWrite | WriteResult) -> None:
        ((kind, body),) = cut(encoded(message))[0]
        read = decoded(kind, body)
        assert isinstance(read, SwitchWrite | WriteResult) and read == message
        box.append(read)

    def turn(self, now: float = 1.0) -> None:
        self.sender.end_batch(now)
        self.lines.flush()
        for message in self.to_b:
            assert isinstance(message, SwitchWrite)
            self.writes.take("a", message, now)
        self.to_b.clear()

    def answers(self, now: float = 1.0) -> None:
        for message in self.to_a:
            assert isinstance(message, WriteResult)
            if message.done:
                self.sender.barrier_reply(GATEWAY, message.request, now)
        self.to_a.clear()
        self.lines.flush()


def entry(dpid: DatapathId, sport: int = 40_000) -> Entry:
    src, dst = b"\x0a\1\0\2", b"\x0a\x09\0\2"
    return Entry(dpid, 1, 4, src, dst, sport, 5201, 7, 0, pack_cookie(EntryKind.INITIAL, 0, 3, 9), 0)


def steer(*dpids: DatapathId, home: DatapathId = HOME) -> Steer:
    return Steer(tuple(map(entry, dpids)), Release(home, PortNumber(1), b"frame" * 20, 7, 0, 1))


def test_a_held_segment_goes_on_when_the_other_controllers_switch_has_its_entry() -> None:
    pair = Pair()
    pair.sender.execute([steer(GATEWAY, HOME)], 1.0)
    assert pair.sender.pending == 1
    pair.turn()
    assert pair.gateway.kinds == [FLOW_MOD, BARRIER_REQUEST] and not pair.home.data
    assert pair.writes.confirmed(GATEWAY, pair.gateway.last_xid)
    pair.answers()
    assert pair.home.kinds == [FLOW_MOD, PACKET_OUT] and pair.sender.pending == 0


def test_a_join_at_the_other_controllers_switch_goes_on_there() -> None:
    pair = Pair()
    pair.sender.execute([steer(GATEWAY, home=GATEWAY)], 1.0)
    pair.turn()
    assert pair.gateway.kinds == [FLOW_MOD, PACKET_OUT], "in order on one switch, without a barrier"


def test_without_the_barriers_answer_the_segment_stays_and_is_forgotten() -> None:
    pair = Pair()
    pair.sender.execute([steer(GATEWAY, HOME)], 1.0)
    pair.turn()
    pair.sender.expire(2.5)
    pair.writes.expire(1.0 + PATIENCE)
    assert not pair.home.data and pair.sender.pending == 0 and len(pair.writes) == 0


def test_a_switch_that_is_gone_is_told_and_one_whose_controller_is_lost_takes_nothing() -> None:
    pair = Pair()
    del pair.at_b[GATEWAY]
    pair.sender.execute([steer(GATEWAY, HOME)], 1.0)
    pair.turn()
    assert [message for message in pair.to_a if isinstance(message, WriteResult) and not message.done]
    lost = Pair(reached=False)
    lost.sender.execute([steer(GATEWAY, HOME)], 1.0)
    lost.turn()
    assert not lost.home.data and not lost.gateway.data and lost.sender.pending == 0
    assert GATEWAY not in lost.lines and GATEWAY in pair.lines and set(pair.lines) == {HOME, GATEWAY}


def test_a_switch_that_goes_while_it_is_asked_is_told() -> None:
    pair = Pair()
    pair.sender.execute([steer(GATEWAY, HOME)], 1.0)
    pair.turn()
    pair.writes.switch_down(GATEWAY)
    assert [message for message in pair.to_a if isinstance(message, WriteResult) and not message.done]
    assert len(pair.writes) == 0


def test_many_entries_go_in_pieces_that_fit_a_message() -> None:
    pair = Pair()
    entries = tuple(entry(GATEWAY, 1_000 + number) for number in range(400))
    pair.sender.execute([Steer(entries, None)], 1.0)
    pair.sender.end_batch(1.0)
    pair.lines.flush()
    sizes = [len(one.data) for one in pair.to_b if isinstance(one, SwitchWrite)]
    assert len(sizes) > 1 and max(sizes) <= PIECE
    pair.turn()
    assert pair.gateway.kinds == [FLOW_MOD] * 400


def test_what_waits_for_a_switch_is_bounded() -> None:
    pair = Pair()
    data = barrier_request(1)[:1] + bytes((FLOW_MOD,)) + barrier_request(1)[2:]
    for number in range(PENDING + 1):
        pair.writes.take("a", SwitchWrite(number, GATEWAY, True, data), 1.0)
    assert len(pair.writes) == PENDING
    assert pair.to_a == [WriteResult(PENDING, False)]


@pytest.mark.parametrize("xid", [1, 499])
def test_an_answer_that_nobody_waits_for_is_not_taken(xid: int) -> None:
    assert not Pair().writes.confirmed(GATEWAY, xid)


@pytest.mark.parametrize(
    "data",
    [
        barrier_request(7),
        bytes((4, 18)) + barrier_request(7)[2:],  # a request for statistics
        bytes((1, FLOW_MOD)) + barrier_request(7)[2:],  # of OpenFlow 1.0
        bytes((4, FLOW_MOD, 0, 7)) + barrier_request(7)[4:],
        bytes((4, FLOW_MOD, 0, 80)) + barrier_request(7)[4:],
        bytes((4, FLOW_MOD)) + barrier_request(7)[2:] + b"\4",
    ],
)
def test_what_asks_a_switch_or_is_no_message_is_refused_and_told(data: bytes) -> None:
    pair = Pair()
    pair.writes.take("a", SwitchWrite(7, GATEWAY, True, data), 1.0)
    assert pair.to_a == [WriteResult(7, False)] and pair.writes.refused == 1 and not pair.gateway.data


def test_a_request_is_answered_by_who_was_asked_and_once() -> None:
    pair = Pair()
    pair.sender.execute([steer(GATEWAY, HOME)], 1.0)
    pair.turn()
    request = next(iter(pair.writes._pending.values()))[1]
    assert pair.lines.answered("c", request) is None and pair.lines.answered("b", request + 1) is None
    assert pair.lines.answered("b", request) == GATEWAY
    assert pair.lines.answered("b", request) is None
