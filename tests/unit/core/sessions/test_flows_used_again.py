"""A batch of an MCP may tell of several sessions on one flow, one after the other: whatever of them was seen here, and when,
the one that lives goes on, and ends when its MCP says so."""

from collections.abc import Callable

import pytest

from steering.core.counters import SessionReport
from steering.core.inputs import SessionBegan, SessionOver
from steering.core.sessions.early_reports import used_again
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.records import Session
from steering.model.network import PortRole
from steering.model.session import SessionState
from tests.support.relay_word import RelayWord, fins, removed
from tests.support.sites import SERVER, UE_LTE, Driver, answer, capable, packed

PORT = 40_000
FLOW = flow_key(packed(UE_LTE), packed(SERVER), PORT, 5201)
FIRST, SECOND, THIRD = 1_000, 77_000, 155_000
"""Initial sequence numbers of the sessions."""


class Churn:
    """A host that opens one plain connection after the other on the same flow, its MCP, and what comes out."""

    def __init__(self) -> None:
        self.driver = Driver()
        self.relay, other = RelayWord(self.driver, "core"), RelayWord(self.driver, "edge")
        self.relay.tell()
        other.tell()

    def opens(self, seq: int, key: bytes = b"") -> None:
        """A SYN is handled, and the MCP's answer to it; then some time goes by."""
        opening = capable(UE_LTE, PORT, seq=seq)
        self.driver.syn(1, 1, opening)
        place = self.driver.engine.map.inside[self.relay.mcp].port
        self.driver.syn_ack(place.dpid, place.port, answer(opening, key))
        self.driver.later(0.05)

    def tells(self, how: str, times: int = 1) -> int:
        """One batch: sessions that began and ended on this flow, then one that lives there; its number."""
        for _ in range(times):
            self.relay.end(self.relay.begin(None, PORT), how)
        number = self.relay.begin(None, PORT)
        self.relay.tell()
        return number

    def session(self) -> Session | None:
        """The session of the flow now."""
        known = self.driver.table.flows.get(FLOW)
        return None if known is None else known.session

    def count(self, what: SessionReport) -> int:
        return self.driver.counters.session_reports[what]


def a_syn(seq: int) -> Callable[[Churn], None]:
    return lambda churn: churn.opens(seq)


SYN_A, SYN_B = a_syn(FIRST), a_syn(SECOND)
ORDERS = {
    "both SYNs, the batch": (SYN_A, SYN_B, None),
    "one SYN, the batch, the other": (SYN_A, None, SYN_B),
    "the batch, both SYNs": (None, SYN_A, SYN_B),
    "the second SYN alone, the batch": (SYN_B, None),
    "the batch, the second SYN alone": (None, SYN_B),
    "the first SYN alone, the batch": (SYN_A, None),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("how", ["orderly", "reset"])
def test_the_last_session_of_a_flow_lives_until_its_mcp_says_that_it_ended(
    order: tuple[Callable[[Churn], None] | None, ...], how: str
) -> None:
    churn, number = Churn(), 0
    for step in order:
        if step is None:
            number = churn.tells(how)
        else:
            step(churn)
    churn.relay.later(15.0)
    session = churn.session()
    assert session is not None and session.state is SessionState.PLAIN and len(churn.driver.table) == 1
    held = set(session.entries(PortRole.GATEWAY))
    churn.relay.end(number, "reset")
    assert removed(churn.relay.tell() + churn.relay.later(3.0)) == held and not len(churn.driver.table)
    assert churn.count(SessionReport.ABSENT) == 0


@pytest.mark.parametrize("times", [1, 2, 5])
def test_of_any_number_of_sessions_of_a_flow_the_last_one_lives(times: int) -> None:
    churn = Churn()
    churn.opens(FIRST)
    churn.opens(SECOND)
    churn.tells("reset", times)
    churn.relay.later(15.0)
    assert len(churn.driver.table) == 1


@pytest.mark.parametrize(
    "order",
    [(SYN_A, SYN_B, None), (None, SYN_A, SYN_B), (SYN_A, None, SYN_B)],
    ids=["both SYNs, the batch", "the batch, both SYNs", "one SYN, the batch, the other"],
)
def test_where_the_last_session_of_a_flow_has_ended_too_nothing_stays(
    order: tuple[Callable[[Churn], None] | None, ...],
) -> None:
    churn = Churn()
    for step in order:
        if step is None:
            churn.relay.end(churn.tells("reset"), "reset")
            churn.relay.tell()
        else:
            step(churn)
    churn.relay.later(6.0)
    assert not len(churn.driver.table) and churn.count(SessionReport.ABSENT) == 0


def test_a_session_that_follows_on_the_flow_before_its_mcp_tells_lives_too() -> None:
    """The report of the second one's life was taken to be about the third: its end is not the third one's."""
    churn = Churn()
    churn.opens(FIRST)
    number = churn.tells("reset")
    churn.opens(SECOND)
    churn.opens(THIRD)
    third = churn.session()
    churn.relay.end(number, "reset")
    churn.relay.begin(None, PORT)
    churn.relay.tell()
    churn.relay.later(15.0)
    assert third is not None and churn.session() is third and third.state is SessionState.PLAIN


def test_the_record_of_a_session_whose_ends_both_closed_ends_with_it() -> None:
    churn = Churn()
    churn.opens(FIRST)
    old = churn.session()
    assert old is not None
    fins(churn.driver, old)
    churn.tells("reset")
    assert old.id not in churn.driver.table.by_id
    churn.opens(SECOND)
    churn.relay.later(15.0)
    assert len(churn.driver.table) == 1


def test_a_session_with_a_token_ends_by_it_though_another_follows_on_its_flow() -> None:
    churn = Churn()
    churn.opens(FIRST, bytes(8))
    old = churn.session()
    assert old is not None and old.token >= 0
    churn.relay.end(churn.relay.begin(old.token, PORT), "reset")
    churn.relay.begin(None, PORT)
    churn.relay.tell()
    assert old.id not in churn.driver.table.by_id
    churn.opens(SECOND)
    churn.relay.later(15.0)
    assert len(churn.driver.table) == 1 and churn.count(SessionReport.ABSENT) == 0


def test_sessions_that_are_alone_on_their_flow_are_told_from_others() -> None:
    def began(number: int, sport: int) -> SessionBegan:
        return SessionBegan(number, -1, packed(UE_LTE), sport, packed(SERVER), 5201)

    over = SessionOver(1, -1, True)
    assert used_again([began(1, 1), over, began(2, 2)]) == {}
    assert used_again([began(1, 1), over, began(2, 2), began(3, 1), began(4, 1)]) == {
        1: False,
        3: False,
        4: True,
    }
