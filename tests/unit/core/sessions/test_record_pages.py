"""Numbers in pages: each record has its own as long as somebody holds it. Then a new record gets its place."""

import gc
import weakref
from random import Random

from steering.core.sessions.flow_key import NO_FLOW, FlowKey
from steering.core.sessions.record_pages import (
    ANSWERED,
    HEARD,
    PLACES,
    UNANSWERED,
    pages_of_sessions,
    pages_of_subflows,
)
from steering.core.sessions.records import Session, Subflow
from steering.model.ids import NO_TOKEN, DatapathId, McpId, Token, WaypointId
from steering.model.session import EntryKind, SessionState, Watch
from tests.support.sites import Driver

MOST = 2**64 - 1  # what a counter of a switch can tell (OpenFlow 1.3.5 A.3.5.2)


def session(number: int, now: float = 0.0) -> Session:
    return Session(number, SessionState.ESTABLISHED, McpId(1), None, now)


def subflow(of: Session, isn: int, now: float) -> Subflow:
    return Subflow(of, EntryKind.JOIN, FlowKey(bytes(12)), DatapathId(1), 0, WaypointId(1), isn, now)


def test_each_record_has_numbers_of_its_own() -> None:
    many = 3 * PLACES
    made = [session(1 << 40 | n, n / 3) for n in range(many)]
    subflows = [subflow(one, 0xFFFF_FFFF - n, n / 7) for n, one in enumerate(made)]
    for n, one in enumerate(made):
        one.token = Token(0xFFFF_FFFF - n)
        one.touch(n / 5)
        subflows[n].found(MOST - n, MOST - 2 * n, Watch(n % 3))
    for n, (one, flow) in enumerate(zip(made, subflows, strict=True)):
        assert (one.id, one.token) == (1 << 40 | n, 0xFFFF_FFFF - n)
        assert (one.created, one.active) == (n / 3, n / 5)
        assert (flow.isn, flow.packets, flow.bytes) == (0xFFFF_FFFF - n, MOST - n, MOST - 2 * n)
        assert (flow.active, flow.watch, flow.progress) == (n / 7, n % 3, HEARD)


def test_a_new_record_begins_with_nothing_of_the_one_that_had_its_place() -> None:
    for n in range(2 * PLACES):
        one = session(n + 1)
        flow = subflow(one, -1, 0.0)
        assert (one.token, one.ruling, one.first) == (NO_TOKEN, None, NO_FLOW)
        assert (one.host_token, one.ending, one.deadline, one.extras) == (NO_TOKEN, False, 0.0, None)
        assert (flow.isn, flow.packets, flow.bytes, flow.watch, flow.closed) == (-1, 0, 0, Watch.NOTHING, 0)
        assert flow.progress == HEARD
        one.token = Token(7)
        one.known_by_host(Token(8))
        one.begin_ending()
        flow.found(9, 9, Watch.PUNT)
        flow.came_as_join()
        assert (flow.isn, flow.progress, flow.watch) == (-1, UNANSWERED, Watch.PUNT)
        flow.renumber(2**32 - 1)
        flow.was_answered()
        assert (flow.isn, flow.progress, flow.watch) == (2**32 - 1, ANSWERED, Watch.PUNT)
        flow.close(3)


def test_a_free_place_is_used_again_before_a_page_is_made() -> None:
    """Where sessions are: one in a hundred outlives all that began beside it."""
    gc.collect()
    rng, before = Random(5), pages_of_sessions.count
    made = [session(n + 1) for n in range(40 * PLACES)]
    full = pages_of_sessions.count
    for _ in range(5):
        kept = [one for one in made if rng.random() < 0.01]
        made.clear()
        made += kept
        kept.clear()
        made += [session(n + 1) for n in range(40 * PLACES - len(made))]
        assert pages_of_sessions.count <= full
    assert len({(id(one._page), one._place) for one in made}) == len(made)
    made.clear()
    assert pages_of_sessions.count <= before + 1, "but for the one that is used next"


def test_a_page_goes_with_the_last_of_its_records() -> None:
    shared = pages_of_sessions.free  # places in pages that have other records, too
    made = [session(n + 1) for n in range(shared + 2 * PLACES)]
    kept, other = made[shared], made[shared + PLACES]
    gone, stays = weakref.ref(other._page.created), weakref.ref(kept._page.created)
    assert gone() is not stays()
    made.clear()
    del other
    assert gone() is None and stays() is not None, "by its references alone"
    assert kept.created == 0.0


def test_whoever_holds_a_record_that_is_over_can_still_read_it() -> None:
    driver = Driver()
    one, other = driver.session(sport=10_000), driver.session(sport=10_001, key=bytes(7) + b"2")
    (flow,), (neighbour,) = one.subflows, other.subflows
    flow.close(1)
    neighbour.close(2)
    told = (one.id, one.created, one.active, one.token, flow.isn, flow.active, flow.closed)
    driver.engine.sessions.teardown.end(one)
    for n in range(2 * PLACES):
        driver.session(sport=11_000 + n, key=(1 << 40 | n).to_bytes(8, "big"))
    assert told == (one.id, one.created, one.active, one.token, flow.isn, flow.active, flow.closed)
    assert neighbour.closed == 2


def test_what_few_have_goes_with_its_record() -> None:
    one = session(1)
    flow = subflow(one, 1, 0.0)
    one.known_by_host(Token(7))
    flow.close(1)
    of_session, of_subflow = one._page.extras, flow._page.extras
    sizes = len(of_session), len(of_subflow)
    del flow, one
    assert (len(of_session), len(of_subflow)) == (sizes[0] - 1, sizes[1] - 1)


def test_the_collector_looks_at_no_page() -> None:
    one = session(1)
    flow = subflow(one, 1, 0.0)
    for page, columns in (
        (one._page, ("number", "created", "active")),
        (flow._page, ("isn", "packets", "bytes", "active")),
    ):
        assert not any(map(gc.is_tracked, (page, *(getattr(page, name) for name in columns))))


def test_free_places_are_counted() -> None:
    gc.collect()
    free, count = pages_of_subflows.free, pages_of_subflows.count
    owner = session(1)
    made = [subflow(owner, n, 0.0) for n in range(2 * PLACES)]
    assert pages_of_subflows.count * PLACES - pages_of_subflows.free == count * PLACES - free + len(made)
