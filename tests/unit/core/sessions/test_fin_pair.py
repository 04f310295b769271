"""FINs close what they belong to: a forged one closes nothing, with or without a half-close."""

import pytest

from steering.core.inputs import FinSeen
from steering.core.sessions.fin_pair import CLOSE, MCP_FIN, Fin, belong_together, fin
from steering.core.sessions.records import Session, Subflow
from steering.model.mechanism import Mechanism
from steering.model.session import SessionState
from tests.support.sites import FIN, UE_LTE, Driver, answer, capable

WRAP = 1 << 32


@pytest.mark.parametrize(
    "one, other, together",
    [
        (fin(1_000, 0, 5), Fin(90, 1_001), True),  # the later acknowledges the earlier
        (fin(1_000, 10, 1 << 24), Fin(90, 1_001), False),  # not all of it, and the other not at all
        (fin(1_000, 10, 90), Fin(90, 7), True),
        (fin(WRAP - 1, 0, 5), Fin(90, 0), True),  # sequence numbers wrap
        (fin(1_000, 0, 80), Fin(90, 1_000), True),  # both at once
        (fin(1_000, 0, 90 - CLOSE - 1), Fin(90, 1_000), False),
        (fin(1_000, 0, 80), Fin(90, 1_002), False),
    ],
)
def test_two_fins_belong_together_if_their_numbers_say_so(one: Fin, other: Fin, together: bool) -> None:
    assert belong_together(one, other) is together and belong_together(other, one) is together


def given(disabled: frozenset[Mechanism] = frozenset()) -> tuple[Driver, Session, Subflow]:
    driver = Driver(disabled=disabled)
    session = driver.session()
    return driver, session, session.subflows[0]


def of_host(driver: Driver, seq: int, ack: int, payload: int = 0) -> None:
    driver.give(FinSeen(1, 1, capable(UE_LTE, 40_000, seq=seq, ack=ack, flags=FIN), payload))


def of_mcp(driver: Driver, seq: int, ack: int) -> None:
    back = answer(capable(UE_LTE, 40_000), b"")._replace(seq=seq, ack=ack, flags=FIN)
    driver.give(FinSeen(3, 1, back))


FORGED = [(0, 0), (1_001, 0), (77_000, 9_000_000), (WRAP - 1, WRAP - 1)]


@pytest.mark.parametrize("seq, ack", FORGED)
def test_a_forged_fin_and_a_half_close_leave_an_uploads_pin(seq: int, ack: int) -> None:
    driver, session, subflow = given()
    of_host(driver, seq, ack)
    of_mcp(driver, 50_000, 600_000_000)  # the server has no more to say; the host sends on
    of_host(driver, seq, ack)
    driver.later(60.0)
    assert session.subflows == (subflow,) and session.state is SessionState.ESTABLISHED
    of_host(driver, 700_000_000, 50_001, 1_000)  # and is done now
    assert session.state is SessionState.CLOSING
    driver.later(10.0)
    assert not session.subflows


@pytest.mark.parametrize("seq, ack", FORGED)
def test_with_the_mechanism_off_a_forged_fin_and_a_half_close_take_it(seq: int, ack: int) -> None:
    driver, session, _ = given(frozenset({Mechanism.LIVE_PINS}))
    of_mcp(driver, 50_000, 600_000_000)
    of_host(driver, seq, ack)
    driver.later(10.0)
    assert not session.subflows


def test_a_fin_with_data_is_acknowledged_behind_its_data() -> None:
    driver, session, _ = given()
    of_host(driver, 10_000, 50_000, 1_000)
    of_mcp(driver, 80_000_000, 11_001)
    assert session.state is SessionState.CLOSING


def test_forged_fins_of_a_server_close_no_server_leg() -> None:
    driver, session, _ = given()
    there = capable(UE_LTE, 40_000, seq=10_000, ack=5, flags=FIN)
    driver.give(FinSeen(3, 1, there))  # the MCP to the server: the host has no more to say
    driver.give(FinSeen(4, 1, answer(there, b"")._replace(flags=FIN, seq=900_000_000, ack=3)))
    assert session.server_closed == MCP_FIN
    driver.give(FinSeen(4, 1, answer(there, b"")._replace(flags=FIN, seq=600_000_000)))
    assert session.server_closed == 3
