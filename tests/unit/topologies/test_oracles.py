"""Checks that no longer saw what they were written for, on made-up evidence: the fault fails them, a busy machine does not."""

import time

import pytest

from topologies import catalogue
from topologies.campaign.verdicts import rates
from topologies.kit.captures import Segment
from topologies.kit.kernel_counters import FiveTuple
from topologies.kit.report import Report
from topologies.measures.priorities import LATE_S, PROMPT_S, WatchedTransfer, expect_little_before
from topologies.programs.lateness import Lateness
from topologies.scenarios import blind_attack, restart, syn_meter
from topologies.scenarios.authorisation import REFERENCES, SLOWEST, judge_in_time, registered
from topologies.scenarios.flood import (
    FLOODED,
    LET_THROUGH,
    SECONDS,
    SESSIONS,
    PortReadings,
    judge_flood,
    judge_seen,
    most_seen,
    pauses,
)  # fmt: skip

WLAN = FiveTuple("10.2.0.2", 40_002, "10.9.0.2", 5001)
MBIT = 8.0  # a million bytes a second


def failed(report: Report) -> list[str]:
    return [check.name for check in report.failed]


class Seen(WatchedTransfer):
    """No lab: a megabyte a second from 1.0 on for eight seconds, and an MP_PRIO 'backup' at `told`, or never."""

    def __init__(self, told: float | None, each: int = 100_000) -> None:
        self.addresses, self._told, self._each = {"wlan": WLAN.src}, told, each

    def segments(self, access: str, port: int) -> list[Segment]:
        sent = [
            Segment(1.0 + n / 10, WLAN, 0x18, self._each, ("2",), "", "", "", n * self._each, "")
            for n in range(80)
        ]
        if self._told is None:
            return sent
        prio = Segment(self._told, WLAN.reversed(), 0x10, 0, ("5",), "", "", "", 0, "1e0351")
        return sorted([*sent, prio], key=lambda one: one.time)


class Late(Lateness):
    """So many seconds late, whenever that was."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def during_wall(self, begin: float, end: float) -> float:
        return min(self._seconds, end - begin)


IN_TIME = Late(0.0)


@pytest.mark.parametrize(("told", "late"), [(1.05, 0.0), (1.9, 0.0), (3.0, 1.0), (5.5, 3.6)])
def test_what_a_host_sends_until_it_is_told_is_no_fault_as_late_as_the_machine_is(
    told: float, late: float
) -> None:
    report = Report("lab", "", ())
    sent = expect_little_before(report, "it", Seen(told), "wlan", 5001, 1.0, MBIT, 150_000, Late(late))
    assert failed(report) == [] and sent == pytest.approx((told - 1.0) * 1e6, abs=100_000)


@pytest.mark.parametrize(("told", "late"), [(2.3, 0.0), (3.0, 0.5), (5.5, 3.0)])
def test_a_host_that_is_told_late_sends_too_much_though_the_access_carries_no_more(
    told: float, late: float
) -> None:
    report = Report("lab", "", ())
    expect_little_before(report, "it", Seen(told), "wlan", 5001, 1.0, MBIT, 150_000, Late(late))
    assert failed(report) == ["it"]


def test_what_was_late_between_two_times_of_a_capture() -> None:
    late, now = Lateness(), time.monotonic()
    late.ran(now - 10.0)
    late.ran(now - 9.5)
    wall = time.time() - time.monotonic() + now
    assert late.during_wall(wall - 10.0, wall - 9.5) == pytest.approx(0.49, abs=0.005)


@pytest.mark.parametrize("told", [None, 1.0 + LATE_S + 0.1])
def test_a_host_that_is_never_told_sends_too_much(told: float | None) -> None:
    report = Report("lab", "", ())
    assert (
        expect_little_before(report, "it", Seen(told), "wlan", 5001, 1.0, MBIT, 150_000, IN_TIME) == 8_000_000
    )
    assert failed(report) == ["it"]
    quiet = Report("lab", "", ())
    expect_little_before(quiet, "it", Seen(None, 10_000), "wlan", 5001, 1.0, MBIT, 150_000, IN_TIME)
    assert failed(quiet) == [] and 800_000 <= PROMPT_S * 1e6 + 150_000, "who hardly sends need not be told"


def test_more_than_the_access_carries_is_too_much_though_the_host_was_told() -> None:
    report = Report("lab", "", ())
    expect_little_before(report, "it", Seen(2.0, 400_000), "wlan", 5001, 1.0, MBIT, 150_000, IN_TIME)
    assert failed(report) == ["it"]


@pytest.mark.parametrize(
    ("took", "held"), [(0.1, True), (SLOWEST * 0.3, True), (SLOWEST * 0.31, False), (None, False)]
)
def test_a_change_of_the_registry_that_is_late_or_never_acts_fails(took: float | None, held: bool) -> None:
    report = Report("lab", "", ())
    judge_in_time(report, "it acts", took, 0.3)
    assert (failed(report) == []) == held


def test_a_busy_machine_has_as_much_more_time_for_a_change() -> None:
    report = Report("lab", "", ())
    judge_in_time(report, "it acts", 9.0, 1.0)
    assert failed(report) == []


class Registry:
    """In place of a lab: a registry that takes what it is given, and pings of which the first `lost` have no answer."""

    def __init__(self, lost: int) -> None:
        self.lost = lost
        self.controller, self.agents = self, {"client": self}

    def request(self, _method: str, _path: str, _body: object) -> dict[str, str]:
        return {"id": "made-up"}

    def ask(self, _do: str, **_order: object) -> dict[str, int]:
        self.lost -= 1
        return {"answered": int(self.lost < 0)}


@pytest.mark.parametrize(("lost", "held"), [(0, True), (REFERENCES - 1, True), (REFERENCES, False)])
def test_a_ping_without_an_answer_is_no_reference_of_how_soon_a_change_acts(lost: int, held: bool) -> None:
    report, lab = Report("lab", "", ()), Registry(lost)
    registered(lab, report, "yes", {})  # type: ignore[arg-type]
    assert (failed(report) == []) == held


@pytest.mark.parametrize(
    ("first", "second", "held"),
    [(0, 0, True), (6, 0, True), (7, 0, False), (1, 1, False), (60, 60, False)],
)
def test_pings_that_are_lost_at_first_are_counted_though_the_second_comes(
    first: int, second: int, held: bool
) -> None:
    report = Report("lab", "", ())
    asked = {"server pings": 60, "plain echoes": 600}
    restart.judge_natural(report, asked, {"server pings": first}, {"server pings": second, "plain echoes": 0})
    assert (failed(report) == []) == held


@pytest.mark.parametrize(("came", "held"), [(0, False), (4_000, False), (25_000, True), (600_000, True)])
def test_a_lab_without_a_flood_has_shown_nothing_of_floods(came: int, held: bool) -> None:
    assert 4_000 < FLOODED * LET_THROUGH * SECONDS <= 25_000
    report = Report("lab", "", ())
    judge_flood(report, came)
    assert (failed(report) == []) == held
    assert rates(report.document()) == [], "or it would be left out where a control is judged"


def flood(*gaps: tuple[float, float], seconds: float = 20.0) -> list[tuple[float, int]]:
    """Readings of a port each tenth of a second: 30,000 packets a second but in the gaps."""
    found, packets = [], 0
    for n in range(round(seconds * 10)):
        found.append((100 + n / 10, packets))
        packets += 0 if any(begin <= n / 10 < end for begin, end in gaps) else 3_000
    return found


@pytest.mark.parametrize(
    ("readings", "found"),
    [
        (flood(), 0),
        (flood((3.0, 4.0)), 1),
        (flood((3.0, 4.0), (5.0, 9.0), (15.0, 15.8)), 3),
        (flood((3.0, 3.2), (3.3, 3.5)), 0),  # the controller does not see that between two of its readings
        ([], 0),
        ([(100.0, 0)], 0),
        ([(100.0, 0), (101.5, 0), (102.0, 15_000)], 1),  # who reads was late, too
    ],
)
def test_a_flood_pauses_where_its_port_says_so(readings: list[tuple[float, int]], found: int) -> None:
    assert pauses(readings) == found


@pytest.mark.parametrize(
    ("floods", "readings", "seen", "held"),
    [
        (1, flood(), most_seen(2.0, 0), True),
        (6, flood(), most_seen(2.0, 0), True),
        (6, flood(), most_seen(2.0, 0) + 1, False),  # a meter that flaps under a steady flood
        (2, flood((3.0, 4.0)), most_seen(2.0, 1), True),
        (2, flood((3.0, 4.0)), most_seen(2.0, 1) + 1, False),
        (1, flood((3.0, 4.0)), most_seen(2.0, 0) + 1, False),
    ],
)
def test_a_meter_is_whole_again_after_a_pause_of_its_flood_alone(
    floods: int, readings: list[tuple[float, int]], seen: int, held: bool
) -> None:
    assert most_seen(2.0, 0) < most_seen(2.0, 1) < LET_THROUGH * SECONDS + 2 * SESSIONS
    report = Report("lab", "", ())
    judge_seen(report, 2.0, floods, readings, seen)
    assert (failed(report) == []) == held


def test_a_port_is_read_by_a_thread_that_ends() -> None:
    with PortReadings(lambda: 7) as port:
        limit = time.monotonic() + 60
        while len(port.readings) < 2 and time.monotonic() < limit:
            time.sleep(0.01)
    assert [packets for _, packets in port.readings[:2]] == [7, 7]
    assert not port._thread.is_alive()


@pytest.mark.parametrize(("longest", "held"), [(0.1, True), (2.9, True), (3.0, False)])
def test_an_echo_may_be_as_late_as_the_machine_and_no_later(longest: float, held: bool) -> None:
    report = Report("lab", "", ())
    blind_attack.judge_echoes(report, "a fin", longest)
    assert (failed(report) == []) == held
    assert rates(report.document()) == []


@pytest.mark.parametrize("has_one", [True, False])
def test_a_host_behind_a_flood_has_to_have_a_meter_of_its_own(has_one: bool) -> None:
    report = Report("lab", "", ())
    syn_meter.judge_own_meter(report, has_one)
    assert (failed(report) == []) == has_one
    assert set(failed(report)) <= catalogue.load("syn-meter").breaks["host-meters"].must
