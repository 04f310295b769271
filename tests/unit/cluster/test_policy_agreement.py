"""Members agree on a policy by an etcd in memory: the contract, and what only such an etcd does when it is told to."""

from collections.abc import Iterator

import pytest

from steering.cluster.policy_agreement import claim
from steering.cluster.policy_follower import PolicyFollower
from steering.cluster.policy_records import ACK, ACTIVE, PROPOSAL
from steering.model.cluster import ENDPOINT_TIMEOUT, WATCH_QUIET, PolicyEvent
from steering.model.control import PolicyDisagreement, PolicyText
from steering.store.etcd.watch import KeyChange
from steering.store.interface import StateError, StateRefusal
from tests.support.fakes.etcd import FakeEtcd
from tests.support.policy_contract import LONG_TEXT, TEXT, PolicyContract, Start
from tests.support.policy_members import FIRST, PolicyMember, PolicyUser, eventually


@pytest.fixture
def etcd() -> FakeEtcd:
    return FakeEtcd()


@pytest.fixture
def start(etcd: FakeEtcd) -> Iterator[Start]:
    started: list[PolicyMember] = []

    def starts(name: str, text: str = FIRST, refuses: str = "\0", waits: bool = False) -> PolicyMember:
        started.append(PolicyMember(etcd.gateway(), "cell", name, text, refuses, waits))
        return started[-1]

    yield starts
    for member in started:
        member.end()


class TestPolicyAgreement(PolicyContract):
    """On an etcd in memory."""


@pytest.fixture
def pair(start: Start) -> tuple[PolicyMember, PolicyMember]:
    first, second = start("a"), start("b")
    first.store.write("policies/1.json", "{}")
    claim(first.keys, 1, FIRST)
    eventually(lambda: first.follower.revision and second.follower.revision)
    return first, second


@pytest.mark.parametrize("lost", [2, 3], ids=["activation", "activation, and the one after it"])
def test_a_lost_answer_leaves_no_doubt_about_what_is_in_force(
    etcd: FakeEtcd, pair: tuple[PolicyMember, PolicyMember], lost: int
) -> None:
    first, second = pair

    def loses() -> None:
        etcd.loses_answers = lost  # that to the other member's word, and that to the activation

    second.user.meanwhile = loses
    assert first.put(TEXT) == 2
    eventually(lambda: second.user.began == [2])
    assert first.user.began == [2] and first.left() == []


def test_a_proposal_whose_answer_is_lost_is_taken_back(
    etcd: FakeEtcd, pair: tuple[PolicyMember, PolicyMember]
) -> None:
    first, second = pair
    etcd.loses_answers = 1
    with pytest.raises(StateError) as unsure:
        first.put(LONG_TEXT)
    assert unsure.value.refusal is StateRefusal.UNREACHABLE
    first.agreement.look()
    assert first.left() == [] and first.user.began == second.user.began == []
    assert first.put(TEXT) == 2
    eventually(lambda: second.user.began == [2])


def test_an_etcd_that_goes_away_leaves_the_policy_as_it_is_and_comes_back(
    etcd: FakeEtcd, pair: tuple[PolicyMember, PolicyMember]
) -> None:
    first, second = pair

    def goes() -> None:
        etcd.down = True

    second.user.meanwhile = goes
    with pytest.raises(PolicyDisagreement, match="etcd does not answer") as unknown:
        first.put(LONG_TEXT)
    assert not unknown.value.refused
    first.agreement.look()  # in vain
    second.user.meanwhile = lambda: None
    etcd.down = False
    first.agreement.look()
    eventually(lambda: first.left() == [])
    assert first.user.began == second.user.began == []
    assert first.put(TEXT) == 2
    eventually(lambda: second.user.began == [2])


def test_a_writer_whose_lease_ends_puts_nothing_in_force(
    etcd: FakeEtcd, pair: tuple[PolicyMember, PolicyMember]
) -> None:
    """Members may take it for gone: they count no longer on what it proposed."""
    first, second = pair
    second.user.meanwhile = lambda: etcd.end_lease(first.lease)
    with pytest.raises(PolicyDisagreement, match="took this controller for gone"):
        first.put(LONG_TEXT)
    eventually(lambda: first.left() == [])
    assert first.user.began == second.user.began == []


def test_who_hears_by_the_next_endpoint_of_etcd_is_prepared_in_time(
    pair: tuple[PolicyMember, PolicyMember],
) -> None:
    """Its watch was at an endpoint that is silent, and so was the request for its answer."""
    first, second = pair
    second.user.wait()

    def tick(seconds: float) -> None:
        first.now[0] += seconds
        if first.now[0] >= WATCH_QUIET + ENDPOINT_TIMEOUT:
            second.user.go_on()
            eventually(lambda: first.keys.get(f"{ACK}b") is not None)

    first.sleep = tick
    assert first.put(TEXT) == 2
    eventually(lambda: second.user.began == [2])


def test_what_a_member_says_while_the_writers_own_question_is_slow_counts(
    pair: tuple[PolicyMember, PolicyMember],
) -> None:
    """An endpoint of etcd that is silent takes the writer all of its time too."""
    first, second = pair
    second.user.wait()
    members, asked = first.members, [0]

    def slow() -> dict[str, int]:
        found = members()
        asked[0] += 1
        if asked[0] == 2:  # after it has read that nobody is prepared
            second.user.go_on()
            eventually(lambda: first.keys.get(f"{ACK}b") is not None)
            first.now[0] += 100.0
        return found

    first.members = slow
    assert first.put(TEXT) == 2
    eventually(lambda: second.user.began == [2])


def test_what_could_not_be_read_when_it_came_into_force_is_read_later(
    etcd: FakeEtcd, pair: tuple[PolicyMember, PolicyMember]
) -> None:
    first, second = pair
    assert first.put(TEXT) == 2
    active = second.keys.get(ACTIVE)
    assert active is not None
    user = PolicyUser(FIRST)
    late = PolicyFollower(second.keys, second.store, "c", user, lambda: 0)
    etcd.down = True
    late.take([KeyChange(*active)])
    late.look()
    assert user.began == [] and late.revision == 0
    etcd.down = False
    late.look()
    assert user.now == PolicyText(2, TEXT) and late.revision == active.revision


def test_what_is_read_late_does_not_take_the_place_of_what_came_into_force_meanwhile(
    etcd: FakeEtcd, pair: tuple[PolicyMember, PolicyMember]
) -> None:
    first, second = pair
    assert first.put(TEXT) == 2
    old = second.keys.get(ACTIVE)
    assert first.put(FIRST) == 3
    new = second.keys.get(ACTIVE)
    assert old is not None and new is not None

    user = PolicyUser("policy: 1\n# of an earlier start\n")
    late = PolicyFollower(second.keys, second.store, "c", user, lambda: 0)

    def hear() -> None:
        """The newer one, while the older one is checked."""
        user.meanwhile = lambda: None
        late.take([KeyChange(*new)])

    user.meanwhile = hear
    late.take([KeyChange(*old)])
    assert user.now == PolicyText(3, FIRST) and late.revision == new.revision


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", "[" * 5_000, '{"id": "1"}'])
@pytest.mark.parametrize("key", [PROPOSAL, ACTIVE])
def test_records_that_are_none_of_ours_change_nothing_and_are_counted(
    pair: tuple[PolicyMember, PolicyMember], key: str, text: str
) -> None:
    first, second = pair
    first.keys.put(key, text)
    eventually(lambda: second.follower.events[PolicyEvent.DAMAGED] == 1)
    assert second.user.now == PolicyText(1, FIRST)


def test_an_answer_that_is_none_counts_as_none(pair: tuple[PolicyMember, PolicyMember]) -> None:
    first, second = pair

    def lies() -> None:
        first.keys.put("policy/ack/x", "[]")

    second.user.meanwhile = lies
    assert first.put(TEXT) == 2
    assert first.follower.events[PolicyEvent.DAMAGED] >= 1
