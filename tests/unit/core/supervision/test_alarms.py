"""When alarms are raised and cleared."""

import pytest

from steering.core.inputs import CopiesLost, McpReport, PolicyReplaced, PortStatus, SwitchDown
from steering.core.snapshots.view import EngineView
from steering.core.supervision import alarms as under_test
from steering.core.supervision.alarms import LOST_AFTER, NEVER_AFTER
from steering.core.supervision.fallbacks import AnswerTotals, FallbackWatch
from steering.core.supervision.long_links import MOST
from steering.model.ids import DatapathId, PortNumber
from steering.model.limit import FullLimit, Limit
from steering.model.link_trip import LinkTrip
from steering.model.network import PortRef
from steering.model.policy import AlarmTerms, Limits, Policy
from steering.model.rules import Meter
from steering.model.standing_work import StandingWork
from tests.support.sites import UE_LTE, UE_WLAN, Driver

TERMS = AlarmTerms(fallback_ratio=0.5, fallback_count=4, window=10, clear=0.5, table=0.5, steady=5)


@pytest.fixture
def driver() -> Driver:
    found = Driver(policy=Policy(alarms=TERMS, max_stretch=10.0))
    found.later(1)
    return found


def raised(driver: Driver) -> list[str]:
    return [f"{alarm.kind} {alarm.name}" for alarm in driver.engine.alarms.raised.values()]


def told(driver: Driver) -> list[str]:
    view = EngineView(driver.engine, lambda: driver.now, "0")
    return [f"{change.change} {change.alarm} {change.name}" for change in view.alarm_changes(0)]


def passes(driver: Driver, seconds: int) -> None:
    for _ in range(seconds):
        driver.later(1)


def answers(
    driver: Driver, first: int, with_key: int, without: int, src: str = UE_LTE, dpid: int = 1
) -> None:
    for number in range(with_key + without):
        key = (first + number).to_bytes(8, "big") if number < with_key else b""
        driver.session(src, first + number, key, dpid)


# ---- what is lost --------------------------------------------------------------------------------


def test_a_lost_link_is_an_alarm_after_a_moment_until_it_was_there_for_a_while(driver: Driver) -> None:
    driver.give(PortStatus(1, 2, False))
    passes(driver, 1)
    assert raised(driver) == []
    passes(driver, int(LOST_AFTER))
    assert raised(driver) == ["link-lost s1:2-s3:2"]
    driver.give(PortStatus(1, 2, True))
    passes(driver, int(TERMS.steady))
    assert raised(driver) == ["link-lost s1:2-s3:2"]
    passes(driver, 2)
    assert raised(driver) == []
    assert told(driver) == ["raised link-lost s1:2-s3:2", "cleared link-lost s1:2-s3:2"]


def test_a_link_that_flaps_is_told_once(driver: Driver) -> None:
    for _ in range(6):
        driver.give(PortStatus(1, 2, False))
        passes(driver, 4)
        driver.give(PortStatus(1, 2, True))
        passes(driver, 3)
    assert told(driver) == ["raised link-lost s1:2-s3:2"]


def test_lost_switches_ports_and_mcps_are_alarms_by_the_site_files_names(driver: Driver) -> None:
    driver.give(SwitchDown(2))
    driver.give(PortStatus(1, 1, False))
    driver.give(McpReport(driver.site.mcps[1].id, False, None))
    passes(driver, 4)
    assert sorted(raised(driver)) == ["attachment-lost lte s1:1", "mcp-down edge", "switch-lost s2"]


def test_what_was_never_there_has_longer_to_come() -> None:
    driver = Driver()
    driver.engine.switches[4].ports[1] = False
    passes(driver, int(NEVER_AFTER))
    assert raised(driver) == []
    passes(driver, 2)
    assert raised(driver) == ["attachment-lost internet s4:1"]


# ---- fallbacks -----------------------------------------------------------------------------------


def test_sessions_that_fall_back_are_an_alarm_for_their_access_and_their_mcp(driver: Driver) -> None:
    answers(driver, 41_000, 0, 3)
    passes(driver, 1)
    assert raised(driver) == []  # too few to say anything
    answers(driver, 42_000, 1, 0)
    answers(driver, 43_000, 8, 0, UE_WLAN, 2)
    passes(driver, 1)
    assert "fallbacks-access lte" in raised(driver) and "fallbacks-access wlan" not in raised(driver)
    (text,) = (a.text for a in driver.engine.alarms.raised.values() if a.name == "lte")
    assert text == "3 of 4 sessions fell back to plain TCP"


def test_an_access_with_few_fallbacks_is_none(driver: Driver) -> None:
    answers(driver, 41_000, 5, 3)
    passes(driver, 30)
    assert raised(driver) == []


def test_fallbacks_clear_when_a_whole_window_has_fewer_by_the_hysteresis() -> None:
    watch = FallbackWatch()
    seen, fell = 0, 0

    def window(answers: int, fallbacks: int, now: float) -> bool:
        nonlocal seen, fell
        seen, fell = seen + answers, fell + fallbacks
        watch.look({"lte": AnswerTotals(seen, fell)}, TERMS, now)
        return "lte" in watch.bad

    assert window(10, 5, 0.0)
    assert window(10, 3, 5.0)  # well below the level, in the middle of a window
    assert window(0, 0, 10.0)  # at its end, but not below half of the level
    assert window(3, 0, 30.0)  # too few answers
    assert not window(10, 1, 40.0)
    assert not window(10, 4, 60.0)  # above the lower level, below the upper
    watch.look({}, TERMS, 61.0)
    assert not watch.bad


# ---- limits --------------------------------------------------------------------------------------


def test_a_quota_that_was_reached_is_an_alarm_until_nothing_was_refused_for_a_window(driver: Driver) -> None:
    driver.engine.counters.full(FullLimit("subscriber", "imsi-001", Limit(1, "policy")))
    passes(driver, 1)
    assert raised(driver) == ["quota-reached subscriber"]  # and not whose
    passes(driver, 8)
    driver.engine.counters.full(FullLimit("subscriber", "imsi-002", Limit(1, "policy")))
    passes(driver, 9)
    assert raised(driver) == ["quota-reached subscriber"]
    (alarm,) = driver.engine.alarms.raised.values()
    assert "2 times in all" in alarm.text and told(driver) == ["raised quota-reached subscriber"]
    passes(driver, 2)
    assert raised(driver) == []


@pytest.mark.row("N-7.2c")
def test_copies_that_ran_out_are_an_alarm_by_access_network_and_counted(driver: Driver) -> None:
    meters = (Meter.SYN_ACK_BASE + 1, 30), (Meter.FIN_BASE, 4), (Meter.FIN, 2), (Meter.FIN_PORT_BASE + 1, 1)
    driver.give(CopiesLost(1, (*meters, (Meter.LLDP, 9), (Meter.SYN_ACK_BASE + 99, 9))))
    assert driver.counters.copies_lost == {
        ("syn-ack", "wlan"): 30, ("fin", "lte"): 5, ("fin", "others"): 2,
    }  # fmt: skip
    passes(driver, 1)
    assert sorted(raised(driver)) == [
        "copies-lost fin lte",
        "copies-lost fin others",
        "copies-lost syn-ack wlan",
    ]
    passes(driver, 11)
    assert raised(driver) == []


@pytest.mark.row("N-7.2c")
def test_syns_that_a_ports_meter_dropped_are_counted_by_attachment_and_are_no_copies(driver: Driver) -> None:
    ports = {ref: one.name for ref, one in driver.engine.map.attachments.items()}
    told = {name: (ref, 10 + number) for number, (ref, name) in enumerate(ports.items())}
    for ref, dropped in told.values():
        driver.give(CopiesLost(ref.dpid, ((Meter.SYN_BASE + ref.port, dropped), (Meter.SYN_BASE + 999, 5))))
    assert driver.counters.syns_dropped == {name: dropped for name, (_, dropped) in told.items()}
    assert not driver.counters.copies_lost


def test_a_table_near_its_bound_is_an_alarm_with_two_levels() -> None:
    driver = Driver(policy=Policy(alarms=TERMS, limits=Limits(sessions=8)))
    driver.session(sport=1, key=b"1" * 8)
    passes(driver, 1)
    assert raised(driver) == []
    for port in (2, 3, 4):
        driver.session(sport=port, key=str(port).encode() * 8)
    passes(driver, 1)
    assert raised(driver) == ["table-near-bound sessions"]
    driver.give(PolicyReplaced(Policy(alarms=TERMS, limits=Limits(sessions=12))))
    passes(driver, 1)
    assert raised(driver) == ["table-near-bound sessions"]  # 4 of 12: above the lower level
    driver.give(PolicyReplaced(Policy(alarms=TERMS, limits=Limits(sessions=20))))
    passes(driver, 1)
    assert raised(driver) == []


# ---- bounds --------------------------------------------------------------------------------------


def test_alarms_and_their_changes_are_bounded(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "MOST", 2)
    for dpid in range(1, 6):
        driver.give(SwitchDown(dpid))
    passes(driver, 4)
    assert len(raised(driver)) == 2
    alarms = driver.engine.alarms
    assert alarms.changes.maxlen == under_test.CHANGES
    assert [change.number for change in alarms.changes] == [1, 2] and alarms.told == 2


def test_a_link_that_takes_longer_is_an_alarm_and_counted(driver: Driver) -> None:
    ends = PortRef(DatapathId(1), PortNumber(2)), PortRef(DatapathId(3), PortNumber(2))
    driver.give(LinkTrip(*ends, 0.02, 0.002, True))
    passes(driver, 1)
    assert raised(driver) == ["link-longer s1:2-s3:2"] and driver.counters.link_trip_outliers == 1
    (alarm,) = driver.engine.alarms.raised.values()
    assert alarm.text == "announcements take 20.0 ms, where they took 2.0 ms"
    driver.give(LinkTrip(*ends, 0.002, 0.002, False))
    passes(driver, 1)
    assert raised(driver) == [] and driver.counters.link_trip_outliers == 1


def test_so_many_links_that_take_longer_are_known(driver: Driver) -> None:
    for number in range(MOST + 5):
        port = PortNumber(number + 1)
        driver.give(LinkTrip(PortRef(DatapathId(1), port), PortRef(DatapathId(3), port), 0.02, 0.002, True))
    assert len(driver.engine.alarms._longer()) == MOST and driver.counters.link_trip_outliers == MOST + 5


def test_an_exception_that_nobody_expected_is_an_alarm_for_a_window(driver: Driver) -> None:
    with driver.engine.counters.work_faults.turn(StandingWork.STATE_KEEPING):
        raise KeyError("what it holds is not told")
    passes(driver, 1)
    assert raised(driver) == ["work-fault state-keeping"]
    (alarm,) = driver.engine.alarms.raised.values()
    assert alarm.text == "an unexpected KeyError ended a turn, 1 times in all; the log says where"
    passes(driver, int(TERMS.window) + 1)
    assert raised(driver) == []
