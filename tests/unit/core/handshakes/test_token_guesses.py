"""Guessed tokens: bounded by source, told, and who guesses learns nothing by a right one."""

import pytest

from steering.core.handshakes.token_guesses import FREE, MOST, SECONDS, TokenGuesses
from steering.core.sessions.flow_key import flow_key
from steering.model.mechanism import Mechanism
from steering.model.policy import Limits, Policy
from steering.model.session import Refusal
from tests.support.sites import TOKEN, UE_LTE, UE_WLAN, Driver, join


def guesses(driver: Driver, src: str, count: int, dpid: int = 2, family: int = 4) -> None:
    """So many joins of one source with tokens that nobody has."""
    dst = "10.9.0.2" if family == 4 else "fd00:9::2"
    for number in range(count):
        driver.syn(dpid, 1, join(src, 20_000 + number, (number + 1).to_bytes(4, "big"), dst))
        if number % 64 == 63:
            driver.later(0.21)
    driver.later(0.21)


@pytest.mark.row("D-6.4h")
def test_who_guesses_gets_no_answer_to_a_right_token_either() -> None:
    driver = Driver()
    session = driver.session()
    guesses(driver, UE_WLAN, FREE)
    assert driver.counters.refusals[Refusal.UNKNOWN_TOKEN] == FREE
    right, wrong = join(UE_WLAN, 40_001, TOKEN), join(UE_WLAN, 40_002, b"\1\2\3\4")
    assert driver.syn(2, 1, right) == driver.syn(2, 1, wrong) == [], "silence to both"
    assert len(session.subflows) == 1 and driver.counters.refusals[Refusal.TOKEN_GUESSES] == 2
    assert driver.syn(2, 1, join("10.2.0.3", 40_001, TOKEN)), "another host's join passes"
    driver.later(SECONDS)
    assert driver.syn(2, 1, right) and len(session.subflows) == 3


def test_with_the_mechanism_off_a_right_one_shows() -> None:
    driver = Driver(disabled=(Mechanism.TOKEN_GUESSES,))
    session = driver.session()
    guesses(driver, UE_WLAN, 2 * FREE)
    assert driver.syn(2, 1, join(UE_WLAN, 40_001, TOKEN)) and len(session.subflows) == 2


def test_a_host_whose_joins_are_early_now_and_then_is_not_barred() -> None:
    driver = Driver()
    driver.session()
    for _ in range(3):
        guesses(driver, UE_WLAN, FREE - 1)
        driver.later(SECONDS)
    assert driver.syn(2, 1, join(UE_WLAN, 40_001, TOKEN))


def test_as_many_sources_as_are_remembered_are_bounded() -> None:
    made = TokenGuesses(lambda address: address[:8] if len(address) == 16 else address)
    for number in range(FREE):
        made.wrong(flow_key(b"\xfd" + bytes(14) + bytes([number]), bytes(16), 1, 2), 0.0)
    assert made.bars(flow_key(b"\xfd" + bytes(14) + b"\xee", bytes(16), 1, 2), 1.0) and len(made) == 1
    assert not made.bars(flow_key(b"\xfd" + bytes(6) + b"\1" + bytes(8), bytes(16), 1, 2), 1.0)
    for number in range(MOST + 9):
        made.wrong(flow_key(number.to_bytes(4, "big"), bytes(4), 1, 2), 1.0)
    assert len(made) == MOST
    made.expire(1.0 + SECONDS)
    assert not len(made)


def test_held_joins_of_one_port_leave_room_to_the_others() -> None:
    driver = Driver(policy=Policy(limits=Limits(held_joins=20)))
    for number in range(30):
        driver.syn(1, 1, join(f"10.1.0.{number + 2}", 1, b"\1\2\3\4"))
    assert len(driver.engine.sessions.waiting) == 10
    driver.syn(2, 1, join(UE_WLAN, 1, b"\1\2\3\4"))
    assert len(driver.engine.sessions.waiting) == 11
    driver.later(0.3)
    assert len(driver.engine.sessions.waiting) == 0 and not driver.engine.sessions.waiting._at
    assert driver.syn(1, 1, join(UE_LTE, 5, b"\1\2\3\4")) == [] and len(driver.engine.sessions.waiting) == 1
