"""The judges of lab compare, on made-up figures: what a way must be holds, every kind of something else is seen."""

from typing import Any

import pytest

from topologies.campaign.comparison import document
from topologies.kit.captures import Segment
from topologies.kit.kernel_counters import FiveTuple
from topologies.kit.report import Report
from topologies.measures.socks_client import round_trips
from topologies.scenarios.compare import check_curl, check_native, check_outside

UP = FiveTuple("192.168.1.11", 40000, "10.8.0.2", 1081)


def failed(check: Any, *found: Any) -> int:
    report = Report("compare", "", ())
    check(report, *found)
    return len(report.failed)


def data(flow: FiveTuple, length: int) -> Segment:
    return Segment(0.0, flow, 0x18, length, (), "", "", "", 0, "")


def test_round_trips_of_socks_are_those_before_the_request() -> None:
    back = UP.reversed()
    greeting = [data(UP, 4), data(back, 2)]
    asking = [data(UP, 10), data(back, 10)]
    request = [data(UP, 80), data(UP, 20), data(back, 1400), data(back, 700), data(UP, 0)]
    assert round_trips([*greeting, *asking, *request], UP.dst) == 2
    assert round_trips(request, UP.dst) == round_trips([], UP.dst) == 0


STEERED = {"error": "", "by_mcp": 1, "subflows": 2, "sessions": 1, "second_access": 0.5}
NATURAL = {"error": "", "by_mcp": 0, "subflows": 0, "sessions": 0, "second_access": 0.0}


@pytest.mark.row("S-20")
def test_a_servers_session_is_led_to_the_mcp_by_routing_alone() -> None:
    assert failed(check_outside, "routing", STEERED) == failed(check_outside, "convert", NATURAL) == 0
    assert failed(check_outside, "routing", NATURAL) == failed(check_outside, "socks", STEERED) == 2
    assert failed(check_outside, "routing", STEERED | {"error": "refused"}) == 1
    assert failed(check_outside, "routing", STEERED | {"second_access": 0.0}) == 1


LEFT = {"error": "", "mptcp": True, "end_to_end": True, "by_mcp": 0}
TAKEN = {"error": "", "mptcp": True, "end_to_end": False, "by_mcp": 1}


@pytest.mark.row("S-23")
def test_native_mptcp_is_left_alone_by_address_and_with_the_mark() -> None:
    apart = LEFT | {"served": True}
    assert failed(check_native, "convert", {"native": LEFT}) == 0
    assert failed(check_native, "convert", {"native": TAKEN}) == 1
    assert failed(check_native, "routing", {"native": TAKEN, "told_apart": apart}) == 0
    assert failed(check_native, "routing", {"native": TAKEN, "told_apart": TAKEN | {"served": False}}) == 2


CURL = {
    "direct_ms": {"p50": 5.0, "failed": 0},
    "socks_ms": {"p50": 9.0, "failed": 0},
    "round_trips": 2,
    "times": 20,
    "large": True,
    "sources": 2,
}


@pytest.mark.row("S-F5")
@pytest.mark.parametrize(
    "wrong", [{"round_trips": 1}, {"sources": 1}, {"large": False}, {"socks_ms": {"p50": 9.0, "failed": 1}}]
)
def test_curl_gets_its_files_over_both_accesses_after_two_round_trips(wrong: dict[str, Any]) -> None:
    assert failed(check_curl, CURL) == 0
    assert failed(check_curl, CURL | wrong) == 1


def test_the_page_tells_each_criterion_from_the_run() -> None:
    flow = {"bytes": 100_000_000, "mbit": 37.0, "option_bytes": 40, "cpu_s_per_gb": {"cpe": 15.0, "mcp": 2.0}}
    ended = {"error": "", "seconds": 0.1}
    way = {
        "title": "#3 routing", "connections": 200, "failed": 0, "first_byte_ms": {"p50": 8.0, "p95": 13.0},
        "added_bytes": 0.0, "segments": 22.0, "entries": {"s1": 1.0}, "sockets": {"cpe": 3.0, "mcp": 3.0},
        "cpe_options": 6, "short": flow, "long": flow, "native": TAKEN, "told_apart": LEFT,
        "outside": STEERED | {"mbit": 33.0}, "death": {"open": ended, "new": ended, "new_later": ended}, "curl": CURL,
    }  # fmt: skip
    where = {"kernel": "6", "open_vswitch": "3", "datapath": "userspace", "load_average": 1.5}
    page = document(
        {"figures": {"none": NONE | {"short": flow, "long": flow}, "routing": way}, "environment": where}
    )
    for said in (
        "8 / 13 ms", "s1 1", "Goodput, 100 MB", "by the MCP, 2 subflows, 50% by the second access, 33 Mbit/s",
        "with CPEs' mark end to end", "2 further round trips", "9 ms in place of 5 ms", "served after 0.1 s",
    ):  # fmt: skip
        assert said in page, said


NONE: dict[str, Any] = {
    "title": "no MCP", "connections": 200, "failed": 0, "first_byte_ms": {"p50": 2.0, "p95": 4.0},
    "added_bytes": 0.0, "segments": 10.0, "entries": {}, "sockets": {"cpe": 0.0, "mcp": 0.0}, "cpe_options": 6,
}  # fmt: skip
