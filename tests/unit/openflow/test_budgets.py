"""What one connection may take: places before it is a switch, unread bytes, answers, changes of ports."""

from steering.openflow.budgets import Budgets, Newcomers, UnreadBytes, source_of
from steering.openflow.messages.reader import Disconnect, PortState
from steering.openflow.polls.statistics_requests import LARGEST, PATIENCE, StatisticsRequests
from steering.openflow.ports.known_ports import MAX_PORTS
from steering.openflow.ports.port_changes import PortChanges


def test_the_oldest_newcomer_of_a_source_goes_when_that_has_too_many() -> None:
    places: Newcomers[str] = Newcomers(10, 2)
    assert places.enter("a1", "a") is None
    assert places.enter("a2", "a") is None
    assert places.enter("a3", "a") == "a1"
    assert len(places) == 2


def test_when_all_places_are_taken_the_source_with_most_gives_one() -> None:
    places: Newcomers[str] = Newcomers(5, 4)
    for one in ("good", "b1", "b2", "b3", "b4"):
        places.enter(one, one[0])
    assert [places.enter(f"{n}", f"{n}") for n in range(2)] == ["b1", "b2"]
    assert len(places) == 5


def test_who_became_a_switch_takes_no_place_any_more() -> None:
    places: Newcomers[int] = Newcomers(2, 2)
    for number in range(10):
        assert places.enter(number, "a") is None
        places.leave(number)
        places.leave(number)
    assert not places._sources


def test_a_source_is_an_ipv4_address_or_a_64_of_ipv6() -> None:
    assert source_of("10.0.0.1") == source_of("::ffff:10.0.0.1") != source_of("10.0.0.2")
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff:1") != source_of("2001:db8:0:1::1")
    assert source_of("fe80::1%eth0") == source_of("fe80::2")


class Debtor:
    def __init__(self, unread: UnreadBytes) -> None:
        self._all = unread
        self.unread = 0
        self.reason: Disconnect | None = None

    def owes(self, count: int) -> None:
        self.unread = count
        self._all.changed(self)

    def disconnect(self, reason: Disconnect) -> None:
        self.reason = reason
        self.owes(0)


def test_who_leaves_most_unread_goes_when_all_together_leave_too_much() -> None:
    unread = UnreadBytes(100)
    one, other, third = (Debtor(unread) for _ in range(3))
    one.owes(40)
    other.owes(60)
    third.owes(1)
    assert (one.reason, other.reason, third.reason) == (None, Disconnect.BACKLOG, None)
    one.owes(99)
    assert one.reason is None
    one.owes(101)
    assert one.reason is Disconnect.BACKLOG


def test_only_the_open_question_is_answered_and_once() -> None:
    asked = StatisticsRequests()
    assert not asked.answers(1, 7, 100, False)
    asked.ask(1, 7, 0.0)
    assert not asked.may(1, PATIENCE) and asked.may(2, 0.0) and asked.may(1, PATIENCE + 1)
    assert not asked.answers(1, 8, 100, False)
    assert asked.answers(1, 7, 100, True)
    assert asked.answers(1, 7, 100, False)
    assert not asked.answers(1, 7, 100, False)


def test_an_answer_without_end_ends_at_its_bound() -> None:
    asked = StatisticsRequests()
    asked.ask(1, 7, 0.0)
    taken = 0
    while asked.answers(1, 7, 60_000, True):
        taken += 60_000
    assert LARGEST - 60_000 < taken <= LARGEST


def test_a_port_that_flaps_beyond_the_rate_is_told_by_its_last_state() -> None:
    changes = PortChanges(Budgets(port_change_rate=1.0, port_change_burst=2.0), 0.0)
    states = [PortState(5, up) for up in (False, True, False, True, False)]
    assert [changes.take(state, 0.0) for state in states] == [True, True, False, False, False]
    assert list(changes.due(0.5)) == []
    assert list(changes.due(1.0)) == [PortState(5, False)]
    assert list(changes.due(9.0)) == []


def test_held_changes_keep_their_order_and_later_ones_wait_behind_them() -> None:
    changes = PortChanges(Budgets(port_change_rate=1.0, port_change_burst=1.0), 0.0)
    for port in (1, 2, 3):
        changes.take(PortState(port, False), 0.0)
    assert not changes.take(PortState(4, False), 1.0)
    assert [state.port for state in changes.due(1.0)] == [2]
    assert [state.port for state in changes.due(3.0)] == [3]


def test_ports_without_end_are_not_held() -> None:
    changes = PortChanges(Budgets(port_change_rate=1.0, port_change_burst=0.0), 0.0)
    for port in range(MAX_PORTS):
        changes.take(PortState(port, False), 0.0)
    assert not changes.is_full
    changes.take(PortState(MAX_PORTS, False), 0.0)
    assert changes.is_full
