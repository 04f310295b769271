"""What a controller has beyond its part of a limit: the others are told, some at a time, and give it that when it asks."""

import pytest

from steering.core.peers.limit_parts import SharedLedger
from steering.core.selection.quotas import QuotaKeys
from steering.model.ids import McpId
from steering.wire.peer_messages import LimitExcess, LimitGift, LimitWish

SUBSCRIBER, SERVER = 0, 1
LIMITS = frozenset({(SUBSCRIBER, 10)})


def keys(who: str) -> QuotaKeys:
    return QuotaKeys(who, b"\1\2\3\4\0\x50", "", McpId(1))


def shared(**held: int) -> SharedLedger:
    """The ledger of a, beside b, with so many sessions of each subscriber, of whom each may have ten."""
    ledger = SharedLedger(1_000)
    ledger.keep(LIMITS)
    for who, sessions in held.items():
        for _ in range(sessions):
            ledger.take(keys(who))
    ledger.begin("ab", "a")
    return ledger


def told(ledger: SharedLedger) -> dict[str | bytes | int, int]:
    return {one.key: one.sessions for one in ledger.excess_to_tell()}


def test_all_that_is_beyond_parts_is_told_once_and_what_changes_again() -> None:
    ledger = shared(anna=7, bert=5)
    assert not told(ledger) and not ledger.is_told
    ledger.tell_all_excess()
    assert told(ledger) == {"anna": 2} and ledger.is_told and not told(ledger)
    ledger.give_back(keys("anna"))
    assert told(ledger) == {"anna": 1}
    ledger.give_back(keys("anna"))
    assert told(ledger) == {"anna": 0} and not told(ledger)


def test_sessions_that_are_read_when_all_was_told_are_told_too() -> None:
    ledger = shared(anna=5)
    ledger.tell_all_excess()
    assert not told(ledger)
    ledger.found(keys("anna"))
    ledger.found(keys("bert"))
    assert told(ledger) == {"anna": 1}


def test_sessions_that_are_given_up_count_on() -> None:
    ledger = shared(anna=8)
    with ledger.giving_up():
        for _ in range(8):
            ledger.give_back(keys("anna"))
    ledger.tell_all_excess()
    assert told(ledger) == {"anna": 3}
    ledger.complete("ab", "a")
    assert told(ledger) == {"anna": 0}, "b counts them now"


def test_much_is_told_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steering.core.peers.limit_parts.PORTION", 4)
    monkeypatch.setattr("steering.core.peers.limit_parts.SCANNED", 3)
    names = [f"host{n}" for n in range(10)]
    ledger = shared(**dict.fromkeys(names, 6))
    ledger.tell_all_excess()
    portions = []
    while not ledger.is_told:
        portions.append(told(ledger))
    assert [len(portion) for portion in portions] == [4, 4, 2]
    assert {name for portion in portions for name in portion} == set(names)
    for name in names:
        ledger.give_back(keys(name))
    again = [told(ledger) for _ in range(3)]
    assert sum(map(len, again)) == len(names), "what is less is told late, and all of it"


def test_more_than_others_remember_is_never_told_whole_until_it_is_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steering.core.peers.limit_parts.SHIFTED", 2)
    ledger = shared(anna=6, bert=6, carl=6)
    ledger.tell_all_excess()
    assert len(told(ledger)) == 2
    for _ in range(5):
        assert not told(ledger) and not ledger.is_told
    ledger.give_back(keys("anna"))
    found = [told(ledger) for _ in range(4)]
    assert {"anna": 0} in found and {"carl": 1} in found and ledger.is_told


def test_a_limit_that_a_policy_brings_is_told_and_one_that_it_takes_away_counts_no_more() -> None:
    ledger = shared(anna=6)
    ledger.tell_all_excess()
    assert told(ledger) == {"anna": 1}
    ledger.keep(LIMITS | {(SERVER, 8)})
    assert ledger.excess_to_tell() == [LimitExcess(SERVER, b"\1\2\3\4\0\x50", 8, 2)]
    ledger.keep({(SERVER, 8)})
    assert ledger.excess_to_tell() == [LimitExcess(SUBSCRIBER, "anna", 10, 0)]


def test_who_has_more_than_its_part_asks_at_once_and_is_given_all_of_it() -> None:
    """Its subscriber could begin nothing for seconds, while half of the limit is free."""
    one, other = shared(anna=8), shared()
    other.begin("ab", "b")
    one.tell_all_excess()
    for excess in one.excess_to_tell():
        other.told_excess("a", excess)
    one.complete("ab", "a")
    other.complete("ab", "b")
    assert other.part(SUBSCRIBER, "anna", 10) == 2
    wish = LimitWish(SUBSCRIBER, "anna", 10)
    assert one.wishes(1.0) == [wish]
    gift = other.asked(wish, "a")
    assert gift == LimitGift(SUBSCRIBER, "anna", 10, 3 + 1)
    one.given(gift)
    assert one.part(SUBSCRIBER, "anna", 10) == 9 and told(one) == {"anna": 0}
    other.told_excess("a", LimitExcess(SUBSCRIBER, "anna", 10, 0))
    assert other.part(SUBSCRIBER, "anna", 10) == 1


def test_no_more_is_given_than_is_free() -> None:
    ledger = shared(anna=4)
    ledger.complete("ab", "a")
    ledger.told_excess("b", LimitExcess(SUBSCRIBER, "anna", 10, 3))
    assert ledger.asked(LimitWish(SUBSCRIBER, "anna", 10), "c") is None, "what is free is b's"
    assert ledger.asked(LimitWish(SUBSCRIBER, "anna", 10), "b") == LimitGift(SUBSCRIBER, "anna", 10, 1)
    assert ledger.asked(LimitWish(SUBSCRIBER, "anna", 10), "b") is None


def test_of_keys_that_no_limit_is_for_nothing_is_kept() -> None:
    """With a share go hundreds of thousands of sessions, and each has a server of its own."""
    ledger = shared(anna=8)
    ledger.tell_all_excess()
    assert told(ledger) == {"anna": 3}
    ledger.found(keys("anna"))
    assert list(ledger._read) == [(SUBSCRIBER, "anna")]
    with ledger.giving_up():
        ledger.give_back(keys("anna"))
    assert list(ledger._leaving) == [(SUBSCRIBER, "anna")]


def test_what_was_given_up_is_told_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steering.core.peers.limit_parts.PORTION", 4)
    names = [f"host{n}" for n in range(10)]
    ledger = shared(**dict.fromkeys(names, 6))
    with ledger.giving_up():
        for name in names * 6:
            ledger.give_back(keys(name))
    ledger.tell_all_excess()
    assert [len(told(ledger)) for _ in range(3)] == [4, 4, 2] and ledger.is_told


def test_what_one_began_to_tell_that_is_gone_is_forgotten() -> None:
    ledger = shared()
    for name in "bc":
        ledger.forget_excess(name)
    ledger.complete("ab", "a")
    assert list(ledger._new) == ["b"]
