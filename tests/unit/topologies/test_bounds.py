"""Bounds in seconds that are promised to users, on made-up times: what the machine was late is left aside, and nothing more."""

import socket
import threading
import time
from typing import Any

import pytest

from tests.process.network import HELD_UP as MACHINE_LATE_S
from tests.process.network import MOST_REPEATED, LateBarriers
from topologies.kit.captures import JOIN, Segment
from topologies.kit.kernel_counters import FiveTuple
from topologies.kit.report import Report
from topologies.measures.home_lines import LineExperience, check_noticed
from topologies.measures.link_cuts import silence_at
from topologies.programs.lateness import STEP_S, Lateness, Silence
from topologies.programs.streams import empty_seconds, steady
from topologies.programs.traffic import Agent
from topologies.scenarios.path_mtu import WAYS, _judge
from topologies.scenarios.rogue_nat import UNKNOWN, _judge_packet_ins
from topologies.scenarios.slow_server import SLOW_S, Trials


def ran_at(*times: float) -> Lateness:
    late = Lateness()
    for at in times:
        late.ran(at)
    return late


# In time until 12, but for half a second after 10.01; then not until 15.
HELD_UP = ran_at(10.0, 10.01, 10.52, *(10.52 + STEP_S * n for n in range(1, 149)), 15.0)


# Late for 0.6 s in the first second, in time for the second one, then not until 15.
BUSY = ran_at(10.0, 10.61, *(10.61 + STEP_S * n for n in range(1, 140)), 15.0)


def test_lateness_is_what_a_thread_slept_longer_than_it_wanted() -> None:
    assert HELD_UP.during(10.0, 15.0) == pytest.approx(0.5 + 2.99)
    assert HELD_UP.during(10.0, 11.0) == pytest.approx(0.5) and HELD_UP.during(10.6, 11.9) == pytest.approx(0)
    assert HELD_UP.during(13.0, 13.5) == pytest.approx(0.5), "no more than the time itself"
    assert ran_at(1.0, 1.0 + STEP_S / 2).during(1.0, 1.005) == 0 == ran_at().during(1.0, 2.0)


def test_who_is_let_run_before_the_thread_is_knows_that_it_is_late() -> None:
    assert ran_at(10.0).during(10.0, 11.0) == pytest.approx(1.0 - STEP_S)


def test_a_silence_is_judged_without_what_the_machine_was_late_in_it_alone() -> None:
    silence = Silence(HELD_UP, 10.0)
    assert silence.ends(10.9) == pytest.approx(0.4)
    assert (silence.longest_s, silence.own_s) == (pytest.approx(0.9), pytest.approx(0.4))
    assert silence.ends(11.8) == pytest.approx(0.9), "the lateness of before is no excuse"
    assert silence.ends(15.0) == pytest.approx(0.21)
    assert (silence.longest_s, silence.own_s) == (pytest.approx(3.2), pytest.approx(0.9))


def test_of_a_streams_silences_those_count_that_a_loss_may_have_brought_about() -> None:
    seen = {"silences": [[10.0, 0.6], [12.05, 0.04], [12.4, 0.02], [14.0, 0.5]]}
    assert silence_at(seen, 12.02, 0.5) == 0.04 and silence_at(seen, 9.5, 0.1) == 0.6
    assert silence_at(seen, 13.2, 0.5) == 0.5, "it began soon enough after it"
    assert silence_at(seen, 14.0, 0.5) == 0.0


def test_the_real_clock_is_asked_by_a_thread_that_ends() -> None:
    with Lateness() as late:
        begun = time.monotonic()
        threading.Event().wait(0.05)
        assert 0 <= late.during(begun, now := time.monotonic()) <= now - begun
    assert not late._thread.is_alive()


def test_a_steady_stream_tells_its_silences() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def echo() -> None:
        with listener, listener.accept()[0] as made:
            made.recv(1)
            while data := made.recv(1 << 16):
                made.sendall(data)

    threading.Thread(target=echo, daemon=True).start()
    task: dict[str, Any] = {"end": False}
    port = listener.getsockname()[1]
    steady({"dst": "127.0.0.1", "port": port, "mbit": 1.0, "seconds": 0.3, "wait": 60.0}, task)
    assert task["received"] == task["sent"] > 0 and not task["wrong"]
    assert 0 <= task["own_gap_s"] <= task["longest_gap_s"] and task["empty_seconds"] == 0


def test_an_agent_tells_its_longest_echo_without_what_the_machine_was_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def echo() -> None:
        with listener, listener.accept()[0] as made:
            made.recv(1)
            while data := made.recv(1 << 16):
                made.sendall(data)

    threading.Thread(target=echo, daemon=True).start()
    agent = Agent()
    group = {"group": "it", "wait": 60.0}
    agent._open({**group, "dst": "127.0.0.1", "ports": [listener.getsockname()[1]]})
    monkeypatch.setattr(Lateness, "during", lambda *_: 0.0)
    assert agent._echo(group)["longest_own_s"] > 0
    monkeypatch.setattr(Lateness, "during", lambda _, begin, end: end - begin)
    told = agent._echo(group)
    assert told == {"asked": 1, "failed": [], "longest_own_s": 0.0}
    agent._close(group)


@pytest.mark.parametrize(
    ("heard", "over", "empty"),
    [
        ([0, 0, 0, 0, 0], 15.0, 1),  # late for 0.6 s of the first, and all of the last three but a moment
        ([], 15.0, 1),
        ([0, 9, 0, 0, 0], 15.0, 0),
        ([0, 0], 11.9, 0),  # what is no whole second is none
        ([9, 9, 9, 9, 9, 0], 15.9, 0),
    ],
)
def test_a_second_without_a_byte_is_empty_where_the_machine_was_in_time(
    heard: list[int], over: float, empty: int
) -> None:
    assert empty_seconds(heard, 10.0, over, BUSY) == empty


def failed(report: Report) -> set[str]:
    return {check.name.partition(": ")[2] for check in report.failed}


@pytest.mark.parametrize(("own", "raw", "held"), [(0.3, 0.3, True), (0.9, 2.4, True), (1.1, 2.4, False)])
def test_a_stream_may_be_silent_for_a_second_of_its_own(own: float, raw: float, held: bool) -> None:
    report = Report("lab", "", ())
    _judge(report, WAYS[0], {"wrong": False, "longest_gap_s": raw, "own_gap_s": own})
    assert failed(report) == (set() if held else {"the stream's longest silence"})
    assert report.figures[WAYS[0].name]["longest_silence_s"] == raw, "the page of silences has all of it"


def test_a_stream_that_tells_nothing_was_silent_for_too_long() -> None:
    report = Report("lab", "", ())
    _judge(report, WAYS[0], {"error": "timed out"})
    assert "the stream's longest silence" in failed(report)


@pytest.mark.parametrize(
    ("silent", "waited", "wrong"),
    [
        (0.9, 0.9, set()),
        (1.1, 0.1, {"the stream's longest silence"}),
        (0.1, 1.1, {"a new connection's first answer"}),
    ],
)
def test_a_home_notices_what_took_a_second_of_its_own(silent: float, waited: float, wrong: set[str]) -> None:
    report = Report("lab", "", ())
    check_noticed(report, "cable", LineExperience(3.0, silent, "", False, 4.0, waited, ""))
    assert failed(report) == wrong


@pytest.mark.parametrize(("took", "soon"), [(0.05, True), (1.4, True), (SLOW_S, False), (7.2, False)])
def test_who_had_to_wait_for_a_kernels_trial_of_mptcp_is_told_from_who_had_not(
    took: float, soon: bool
) -> None:
    class Opened(Trials):
        def __init__(self, report: Report) -> None:
            """No lab: a connection that took so long."""
            self._report = report

        def open(self, what: str, name: str) -> tuple[float, list[Segment]]:
            return took, [segment(0.0, FLOW, "", ())]

    report = Report("lab", "", ())
    Opened(report).plain("listed", "server")
    assert (report.failed == []) == soon
    report = Report("lab", "", ())
    Opened(report).slow("first")
    assert (report.failed == []) == (took == SLOW_S)


FLOW = FiveTuple("10.2.0.9", 40_001, "10.9.0.2", 5001)


def segment(at: float, flow: FiveTuple, token: str, options: tuple[str, ...] = (JOIN,)) -> Segment:
    return Segment(at, flow, 0x02, 0, options, token, "", "", flow.sport, "")


def join(at: float, sport: int) -> Segment:
    return segment(at, FiveTuple("10.2.0.9", sport, "10.9.0.2", 5001), "0badcafe")


@pytest.mark.parametrize(
    ("segments", "seen", "held"),
    [
        ([join(1.0, 1), join(1.1, 2)], 3, True),
        ([join(1.0, 1), join(1.1, 2)], 4, False),  # one of the rogue's repetitions came to the controller
        ([join(1.0, 1), join(1.1, 2)], 2, False),
        (
            [join(1.0, 1), join(2.0, 1), join(2.1, 2)],
            4,
            True,
        ),  # the host sent one again before it was answered
        ([join(1.0, 1), join(2.0, 1), join(2.1, 2)], 5, False),
        ([join(1.0, 1), join(1.1, 2), segment(12.0, FLOW, UNKNOWN)], 4, True),  # after the end of its block
    ],
)
def test_of_a_rogues_joins_one_comes_to_the_controller(
    segments: list[Segment], seen: int, held: bool
) -> None:
    report = Report("lab", "", ())
    _judge_packet_ins(report, [segment(0.0, FLOW, UNKNOWN), segment(8.0, FLOW, UNKNOWN), *segments], seen)
    assert (report.failed == []) == held


def test_a_barrier_is_late_as_often_as_the_machine_is_and_seldom_without_it() -> None:
    late = LateBarriers()
    for _ in range(10 * MOST_REPEATED):
        assert "as this machine was" in late.one_more(MACHINE_LATE_S * 2)
    for _ in range(MOST_REPEATED):
        late.one_more(MACHINE_LATE_S / 2)
    with pytest.raises(AssertionError, match=f"SYN {MOST_REPEATED + 1} was sent again"):
        late.one_more(0.0)
