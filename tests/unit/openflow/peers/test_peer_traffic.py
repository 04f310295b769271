"""What other controllers answer to writes: done, or not."""

from steering.core.peer_facts import ClusterChanged, PeerTold, TellPeer, WriteRefused
from steering.model.ids import DatapathId
from steering.openflow.messages.encode import barrier_request
from steering.openflow.peers.peer_traffic import PeerTraffic
from steering.wire.peer_messages import SwitchWrite, WriteResult

GATEWAY = DatapathId(4)
FLOW_MOD = bytes((4, 14, 0, 8, 0, 0, 0, 1))  # as far as this room looks


class Traffic:
    """Controller a, which writes to s4 of controller b."""

    def __init__(self) -> None:
        self.told: list[TellPeer] = []
        self.confirmed: list[tuple[DatapathId, int]] = []
        self.unwritten: list[WriteRefused] = []
        self.traffic = PeerTraffic(
            {}, self.told.append, lambda: None, lambda dpid, xid, now: self.confirmed.append((dpid, xid)),
            iter(range(500, 600)), self.unwritten.append,
        )  # fmt: skip
        self.traffic.shared(ClusterChanged("a", frozenset("b"), {GATEWAY: "b"}), frozenset("b"))

    def writes(self) -> int:
        """An entry whose confirmation is waited for; the request's number."""
        self.traffic.lines[GATEWAY].write(FLOW_MOD)
        self.traffic.lines[GATEWAY].write(barrier_request(77))
        self.traffic.flush()
        (message,) = [one.message for one in self.told if isinstance(one.message, SwitchWrite)]
        assert message.confirm
        return message.request

    def answers(self, by: str, request: int, done: bool) -> None:
        assert self.traffic.takes(PeerTold(by, WriteResult(request, done)), 1.0)


def test_a_write_that_was_not_done_is_told_once_and_one_that_was_done_is_confirmed() -> None:
    made = Traffic()
    request = made.writes()
    for _ in range(2):
        made.answers("b", request, False)
    assert made.unwritten == [WriteRefused("b", GATEWAY)] and not made.confirmed
    made = Traffic()
    made.answers("b", made.writes(), True)
    assert len(made.confirmed) == 1 and not made.unwritten


def test_what_nobody_asked_for_and_what_another_one_answers_is_passed_over() -> None:
    made = Traffic()
    request = made.writes()
    made.answers("c", request, False)
    made.answers("b", request + 1, False)
    assert not made.unwritten and not made.confirmed
