"""Pages and filters look at sessions some at a time, and let others have their turn."""

from steering.core.sessions.session_order import MOST_BLOCKS, SIZE
from steering.core.sessions.transitions import Event
from steering.core.snapshots.session_search import LOOKED_AT_ONCE
from steering.core.snapshots.sessions import TOLD_AT_ONCE
from steering.core.snapshots.view import EngineView
from steering.model.policy import Limits, Policy
from steering.model.view import SessionFilter
from steering.northbound.schema.representation import JsonView
from tests.support.sites import UE_LTE, Driver, capable, packed

OTHER = "10.1.0.9"
MANY = 2 * SIZE + 100


def crowd() -> tuple[Driver, EngineView]:
    driver = Driver(policy=Policy(limits=Limits(sessions=5_000, half_open=5_000, half_open_per_source=5_000)))
    for number in range(MANY):
        here = number % 100 == 7
        driver.syn(1, 1, capable(OTHER if here else UE_LTE, 20_000 + number))
    assert len(driver.table) == MANY
    return driver, EngineView(driver.engine, lambda: driver.now, "0.1.0")


def test_pages_in_order_give_every_session_once() -> None:
    _, view = crowd()
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = view.sessions(after, 150, SessionFilter())
        assert page.total == MANY
        seen += [int(one.id) for one in page.sessions]
        after = page.following
    assert seen == sorted(set(seen)) and len(seen) == MANY


def test_a_filter_looks_at_all_with_pauses_in_which_sessions_may_end() -> None:
    driver, view = crowd()
    wanted = SessionFilter(client=packed(OTHER))
    mine = [session.id for session in driver.table if session.id % 100 == 8]
    pauses = 0

    def pause() -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 2:
            driver.life.happened(driver.table.by_id[mine[0]], Event.OVER)

    first = view.sessions(0, 10, wanted, pause)
    assert first.total == len(mine) == 22 and pauses >= MANY / LOOKED_AT_ONCE
    assert [int(one.id) for one in first.sessions] == mine[1:10], "the one that ended is left out"
    assert first.following == mine[9]
    rest = view.sessions(mine[9], 100, wanted)
    assert [int(one.id) for one in rest.sessions] == mine[10:] and rest.following is None
    assert view.sessions(0, 10, SessionFilter(mcp="nobody")).total == 0


def test_cursors_lead_through_all_that_live_though_a_page_loses_some_before_it_is_told() -> None:
    driver, view = crowd()
    mine = [session.id for session in driver.table if session.id % 100 == 8]
    ending = iter(mine[:4])

    def pause() -> None:
        for number in ending:
            driver.life.happened(driver.table.by_id[number], Event.OVER)

    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = view.sessions(after, 5, SessionFilter(client=packed(OTHER)), pause)
        seen += [int(one.id) for one in page.sessions]
        assert len(seen) < MANY
        after = page.following
    assert seen == mine[4:]


def test_a_page_behind_many_that_ended_looks_for_its_sessions_with_pauses() -> None:
    driver, view = crowd()
    order = driver.table.order
    order._blocks = [*range(30), 40]  # as if all before had ended
    driver.table.by_id[40 * SIZE] = last = driver.table.by_id[MANY]
    last._page.number[last._place] = 40 * SIZE
    pauses: list[None] = []
    page = view.sessions(MANY, 10, SessionFilter(), lambda: pauses.append(None))
    assert [one.id for one in page.sessions] == [str(40 * SIZE)] and page.following is None
    assert len(pauses) >= (30 - 3) // MOST_BLOCKS


def test_a_large_page_is_told_with_pauses_too() -> None:
    driver, view = crowd()
    pauses = 0

    def pause() -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 1:
            driver.life.happened(driver.table.by_id[900], Event.OVER)

    page = view.sessions(0, 1_000, SessionFilter(), pause)
    assert pauses == 1_000 / TOLD_AT_ONCE - 1
    as_json, _, _ = JsonView(view).sessions(0, 1_000, SessionFilter(), pause)
    assert len(as_json) == 1_000 and pauses == 3 * (1_000 / TOLD_AT_ONCE - 1), "made into JSON so, too"
    assert [int(one.id) for one in page.sessions] == [n for n in range(1, 1_001) if n != 900]
    assert page.following == 1_000
