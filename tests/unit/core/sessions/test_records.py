"""How records are laid out: what is shared, what the collector sees, what a session weighs, and what is left of one."""

import gc
import sys
import tracemalloc
from dataclasses import replace

import pytest

from steering.core.outputs import RemoveEntries
from steering.core.packet_inputs import NeighbourSeen
from steering.core.sessions import shared_parts
from steering.core.sessions.garbage_collector import AT_ONCE
from steering.core.sessions.indexes import BITS, SPAN
from steering.core.sessions.records import Session
from steering.core.sessions.shared_parts import LoadLog, course_of
from steering.model.ids import DatapathId, PortNumber, WaypointId
from steering.model.network import PortRef
from steering.model.session import EntryKind
from steering.runtime import collector
from tests.support import sites
from tests.support.restarted import restarted, snapshot
from tests.support.sites import UE_LTE, UE_WLAN, Driver, join, off_path_site

HEAVIEST = 660  # bytes for a session of one subflow with its part of every index
HEAVIEST_JOIN = 480  # with hosts that move: all are of one host
MANY = 1_500


def key(number: int) -> bytes:
    return (1 << 40 | number).to_bytes(8, "big")


def sessions(driver: Driver, first: int, many: int) -> list[Session]:
    return [driver.session(sport=10_000 + n, key=key(n)) for n in range(first, first + many)]


def joins(driver: Driver, many: int) -> None:
    for n in range(many):
        driver.syn(2, 1, join(UE_WLAN, 10_000 + n, sites.token(1, key(n))))


def test_sessions_that_are_led_alike_share_what_is_alike() -> None:
    driver = Driver()
    one, other = sessions(driver, 0, 2)
    assert one.onset is other.onset and one.ruling is other.ruling
    assert one.subflows[0].course is other.subflows[0].course
    assert one.returns
    loads, others = map(driver.table.loads_of, (one, other))
    assert loads and others and loads != others, "the other one began when the first was there"


def test_what_happens_to_one_session_does_not_happen_to_others_that_shared_its_parts() -> None:
    one, other = sessions(Driver(), 0, 2)
    one.speaks(0)
    one.return_by(())
    one.subflows[0].enters_at(DatapathId(2), PortNumber(7), 1)
    one.subflows[0].lead_to(WaypointId(9))
    assert (one.version, one.returns, one.subflows[0].dpid, one.subflows[0].waypoint) == (0, (), 2, 9)
    assert other.version == 1 and other.returns
    assert other.subflows[0].dpid == 1 and other.subflows[0].waypoint != 9


def test_only_so_many_shared_parts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_parts, "MOST", 10)
    shared_parts.courses.clear()
    made = [
        course_of((DatapathId(1), PortNumber(port), 0, WaypointId(1), EntryKind.INITIAL, 0, False))
        for port in range(25)
    ]
    assert len(shared_parts.courses) <= 10 and [course.port for course in made] == list(range(25))


@pytest.mark.parametrize("mcps", [1, 4, 300])
def test_loads_of_every_session_come_back(mcps: int) -> None:
    """Also where the site gets other MCPs meanwhile, and where sessions without loads come between."""
    wanted = {n: tuple(n * n % 1_000 + mcp for mcp in range(mcps)) for n in range(1, 700)}
    wanted[77], wanted[100], wanted[200] = (), (2**32 - 1,) * mcps, (1,) * (mcps + 1)
    wanted |= dict.fromkeys(range(300, 600), ())
    log = LoadLog()
    windows = list(dict.fromkeys(filter(None, (log.kept(number, loads) for number, loads in wanted.items()))))
    found = {n: [row for row in (one.row(n) for one in windows) if row] for n in wanted}
    assert found == {n: [loads] if loads else [] for n, loads in wanted.items()}
    assert not any(map(gc.is_tracked, windows))
    assert all(one.first >> BITS == one.last >> BITS for one in windows), "beside one block each"


@pytest.mark.parametrize(
    "wrong", [SPAN - 1, 5], ids=["as its window is complete", "as the site gets other MCPs"]
)
def test_loads_that_cannot_be_packed_fail_one_session(wrong: int) -> None:
    log, failed, windows = LoadLog(), [], []
    for number in range(1, 3 * SPAN):
        mcps = 2 if number <= wrong else 3
        try:
            opened = log.kept(number, (-1,) * mcps if number == wrong else (number,) * mcps)
        except OverflowError:
            failed.append(number)
        else:
            windows += [] if opened is None else [opened]
            assert number == wrong or windows[-1].row(number) == (number,) * mcps
    assert len(failed) == 1


def test_windows_of_loads_are_compressed() -> None:
    wanted = {n: tuple(10_000 + n // 4 + (n % 4 == mcp) for mcp in range(4)) for n in range(1, 6_401)}
    tracemalloc.start()
    log = LoadLog()
    windows = list(dict.fromkeys(filter(None, (log.kept(number, loads) for number, loads in wanted.items()))))
    taken = tracemalloc.get_traced_memory()[0] - sys.getsizeof(windows)
    tracemalloc.stop()
    assert taken / len(wanted) < 6, "bytes per session. Its four numbers alone take 16"


def test_loads_are_kept_as_long_as_sessions_of_their_block() -> None:
    driver = Driver()
    made = sessions(driver, 0, SPAN + 10)
    wanted = [driver.table.loads_of(one) for one in made]
    assert all(wanted) and len(set(wanted)) > SPAN
    for one in made[5:-1]:
        driver.engine.sessions.teardown.end(one)
    for one, loads in zip(made, wanted, strict=True):
        lives = one.id in driver.table.by_id
        assert driver.table.loads_of(one) == loads or not lives
    for one in made[:5]:
        driver.engine.sessions.teardown.end(one)
    (new,) = sessions(driver, SPAN + 10, 1)  # in a block that has sessions
    driver.engine.sessions.teardown.end(made[-1])
    driver.engine.sessions.teardown.end(new)
    (again,) = sessions(driver, SPAN + 11, 1)  # in one that had none left
    assert driver.table.loads_of(again)
    assert [driver.table.loads_of(one) for one in made[:SPAN]].count(()) >= SPAN - 10
    assert driver.table.loads_of(made[-1]) == wanted[-1]


def test_the_first_flow_of_a_session_is_known_whatever_subflows_it_has() -> None:
    driver = Driver()
    (session,) = sessions(driver, 0, 1)
    first = session.first
    joins(driver, 1)
    initial, other = session.subflows
    assert first == initial.key == session.first != other.key
    driver.table.drop_subflow(initial)
    assert session.first == first and session.subflows == (other,)
    driver.table.drop_subflow(other)
    assert session.first == first and not session.subflows and not session.subflow_count
    joins(driver, 1)
    assert session.first == first and [one.key for one in session.subflows] == [other.key]
    driver.engine.sessions.teardown.end(session)
    assert session.first == first and not session.subflows and session.id not in driver.table.by_id


def test_the_collector_looks_at_no_record() -> None:
    driver = Driver()
    sessions(driver, 0, 5)
    joins(driver, 3)
    fresh = restarted(driver, snapshot(driver))
    for table in (driver.table, fresh.table):
        table.settle()  # as each tick does
        assert len(table) == 5 and len(table.flows) == 8
        seen = [record for record in (*table, *table.flows.values()) if gc.is_tracked(record)]
        assert not seen


def test_nor_at_an_index_once_a_controller_has_started() -> None:
    """A full collection before and after tells the same: what refers to records was frozen while it was empty."""
    driver, usual = Driver(), gc.get_threshold()
    gc.collect()
    collector.settle()
    try:
        sessions(driver, 0, 5)
        joins(driver, 3)
        records = {id(record) for record in (*driver.table, *driver.table.flows.values())}
        gc.collect()
        indexes = [
            one for one in gc.get_objects()
            if isinstance(one, dict) and records & {id(value) for value in list(one.values())}
        ]  # fmt: skip
        assert not indexes
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)


def test_a_record_that_is_over_needs_no_collector_to_be_freed() -> None:
    driver = Driver()
    (session,) = sessions(driver, 0, 1)
    joins(driver, 1)
    driver.later(1.0)  # after which nobody waits for the join's answer any more
    subflow, other = session.subflows
    assert sys.getrefcount(session) > 5 and sys.getrefcount(subflow) > 3
    driver.engine.sessions.teardown.end(session)
    driver.engine.sessions.table.changed.clear()
    assert not len(driver.table) and not driver.table.flows
    # The argument and the name here; of the session its two subflows, of the other the one before it.
    assert (sys.getrefcount(session), sys.getrefcount(subflow), sys.getrefcount(other)) == (4, 2, 3)


def weight(driver: Driver, what) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        what()
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / MANY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("moving", [False, True], ids=["hosts stay", "hosts move"])
def test_what_a_session_and_a_further_subflow_weigh(moving: bool) -> None:
    driver = Driver(two_cells() if moving else None)
    assert driver.engine.map.hosts_move is moving
    sessions(driver, MANY, 10)
    assert weight(driver, lambda: sessions(driver, 0, MANY)) < HEAVIEST
    assert weight(driver, lambda: joins(driver, MANY)) < HEAVIEST_JOIN


# ---- flows by host ----------------------------------------------------------------------------------


def two_cells():
    """The LTE network has a second port, at s2, where the WLAN is too."""
    site = off_path_site()
    lte = replace(site.access_networks[0], ports=(PortRef(1, 1), PortRef(2, 7)))
    return replace(site, access_networks=(lte, site.access_networks[1]))


def test_a_hosts_subflows_are_found_however_many_it_has() -> None:
    driver = Driver(two_cells())
    address = sites.packed(UE_LTE)
    here = sessions(driver, 0, 1)
    assert driver.table.subflows_of(address) == [here[0].subflows[0]]
    here += sessions(driver, 1, 2)
    assert driver.table.subflows_of(address) == [session.subflows[0] for session in here]
    while here:
        driver.engine.sessions.teardown.end(here.pop(0))
        assert driver.table.subflows_of(address) == [session.subflows[0] for session in here]
    assert not driver.table.hosts and driver.table.subflows_of(sites.packed("10.1.0.9")) == []


def test_each_session_of_a_host_that_moves_follows_it() -> None:
    driver = Driver(two_cells())
    sessions(driver, 0, 3)
    outputs = driver.give(NeighbourSeen(2, 7, sites.packed(UE_LTE), bytes.fromhex("020000000001")))
    (gone,) = [output.entries for output in outputs if isinstance(output, RemoveEntries)]
    assert len(gone) == 3 and {s.dpid for s in driver.table.flows.values()} == {2}


def test_new_records_are_taken_from_the_collector_by_a_tick_and_when_they_are_many() -> None:
    driver = Driver()
    sessions(driver, 0, 5)
    driver.later(0.05)
    assert not any(map(gc.is_tracked, driver.table))
    sessions(driver, 5, AT_ONCE)
    assert sum(map(gc.is_tracked, (*driver.table, *driver.table.flows.values()))) < AT_ONCE
