"""Numbers in pages: each record has its own, and keeps them as long as somebody holds it."""

import gc
import weakref

from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.record_pages import HEARD, PLACES, SessionPlaces, SubflowPlaces, more_places
from steering.core.sessions.records import Session, Subflow
from steering.model.ids import NO_TOKEN, DatapathId, McpId, Token, WaypointId
from steering.model.session import EntryKind, SessionState, Watch
from tests.support.sites import Driver

SESSIONS: SessionPlaces = []
SUBFLOWS: SubflowPlaces = []
MOST = 2**64 - 1  # what a counter of a switch can tell (OpenFlow 1.3.5 A.3.5.2)


def session(number: int, now: float = 0.0, places: SessionPlaces | None = None) -> Session:
    return Session(
        SESSIONS if places is None else places, number, SessionState.ESTABLISHED, McpId(1), None, now
    )


def subflow(of: Session, isn: int, now: float) -> Subflow:
    return Subflow(
        SUBFLOWS, of, EntryKind.JOIN, FlowKey(bytes(12)), DatapathId(1), 0, WaypointId(1), isn, now
    )


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


def test_a_new_record_begins_with_nothing_of_another() -> None:
    for n in range(2 * PLACES):
        one = session(n + 1)
        flow = subflow(one, -1, 0.0)
        assert (one.token, one.ruling, one.loads) == (NO_TOKEN, None, ())
        assert (flow.isn, flow.packets, flow.bytes, flow.watch, flow.closed) == (-1, 0, 0, Watch.NOTHING, 0)
        one.token = Token(7)
        flow.found(9, 9, Watch.PUNT)
        flow.close(3)


def test_a_page_goes_with_the_last_of_its_records() -> None:
    places: SessionPlaces = []
    made = [session(n + 1, places=places) for n in range(2 * PLACES)]
    kept = made[PLACES]
    assert made[-1]._page is kept._page is not made[0]._page
    gone, stays = weakref.ref(made[0]._page.created), weakref.ref(kept._page.created)
    del made
    assert gone() is None and stays() is not None, "by its references alone"
    assert kept.created == 0.0
    del kept
    assert stays() is None


def test_what_a_subflow_had_beside_its_numbers_goes_with_it_and_the_numbers_stay() -> None:
    driver = Driver()
    one, other = driver.session(sport=10_000), driver.session(sport=10_001, key=bytes(7) + b"2")
    (flow,), (neighbour,) = one.subflows, other.subflows
    flow.close(1)
    neighbour.close(2)
    page, active = flow._page, flow.active
    assert page.extras and flow._place in page.extras
    driver.engine.sessions.teardown.end(one)
    assert page.extras is not None and flow._place not in page.extras
    assert (flow.active, flow.closed, neighbour.closed) == (active, 0, 2)
    assert one.id and one.token >= 0, "whoever holds a record that is over can still read it"


def test_the_collector_looks_at_no_page() -> None:
    one = session(1)
    flow = subflow(one, 1, 0.0)
    for page in (one._page, flow._page):
        columns = [getattr(page, name) for name in page.__slots__ if name != "extras"]
        assert not any(map(gc.is_tracked, (page, *columns)))


def test_places_are_given_in_order_and_each_once() -> None:
    free: list[tuple[object, int]] = []
    more_places(free, object)
    given = [free.pop()[1] for _ in range(PLACES)]
    assert given == list(range(PLACES)) and not free


def test_tables_share_no_page() -> None:
    one, other = Driver().session(), Driver().session()
    assert one._page is not other._page
    assert one.subflows[0]._page is not other.subflows[0]._page
