"""/metrics: every series from zero on, true to the counters, no address, token or session in it."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from webob import Request

from steering.core.counters import BUCKETS, Counters, JoinResult
from steering.core.sessions.transitions import Event
from steering.model.ofperror import error_name
from steering.model.rules import PacketClass
from steering.model.session import Refusal, SessionState
from steering.northbound.resources.metrics import WRITTEN_AT_ONCE
from tests.support.fixed_answers import HEAD
from tests.support.fixed_view import TOKEN, FixedView, served

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(counters: Counters, **more: object) -> Series:
    """What a Prometheus server would read, by name and labels."""
    return parsed(text(counters, **more))


def text(counters: Counters, **more: object) -> str:
    request = Request.blank("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    return str(request.get_response(served(counters=counters, **more)).text)


def parsed(exposition: str) -> Series:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


def labelled(series: Series, name: str) -> dict[str, float]:
    """Values of one metric with one label, by the label's value."""
    return {labels[0][1]: value for (found, labels), value in series.items() if found == name}


def test_all_is_there_before_anything_happened() -> None:
    series = scrape(Counters(), malformed=["truncated"], disconnects=["echo-timeout"])
    zeros: dict[str, set[str]] = {
        "steering_joins_total": set(map(str, JoinResult)),
        "steering_refusals_total": set(map(str, Refusal)),
        "steering_malformed_total": {"truncated", "other"},
        "steering_disconnects_total": {"echo-timeout", "other"},
    }
    for name, labels in zeros.items():
        assert labelled(series, name) == dict.fromkeys(labels, 0.0), name
    assert len(labelled(series, "steering_packet_ins_total")) == len(PacketClass)
    assert {"bad-match", "experimenter", "other"} <= set(labelled(series, "steering_openflow_errors_total"))
    for name in ("sessions_started", "sessions_ended", "fallbacks", "flow_mods", "natural_syns"):
        assert series[(f"steering_{name}_total", ())] == 0.0
    assert series[("steering_decision_seconds_count", ())] == 0.0


def test_counts_are_the_engines() -> None:
    counters = Counters()
    counters.packet_ins[PacketClass.SYN_ACK] = 5
    counters.joins[JoinResult.PINNED] = 7
    counters.refusals[Refusal.UNKNOWN_TOKEN] = 2
    counters.malformed["truncated"] = 3
    counters.malformed["from-another-version"] = 4
    counters.openflow_errors[error_name(4)] = 6
    counters.openflow_errors[error_name(99)] = 1
    counters.flow_mods, counters.fallbacks = 11, 12
    series = scrape(counters, malformed=["truncated"])
    assert labelled(series, "steering_packet_ins_total")["syn-ack"] == 5
    assert labelled(series, "steering_joins_total")["pinned"] == 7
    assert labelled(series, "steering_refusals_total")["unknown-token"] == 2
    assert labelled(series, "steering_malformed_total") == {"truncated": 3.0, "other": 4.0}
    errors = labelled(series, "steering_openflow_errors_total")
    assert (errors["bad-match"], errors["other"]) == (6.0, 1.0)
    assert series[("steering_flow_mods_total", ())] == 11
    assert series[("steering_fallbacks_total", ())] == 12


def test_what_cannot_happen_to_a_session_is_counted_by_its_state_and_the_event() -> None:
    counters = Counters()
    counters.session_events_refused[SessionState.LINGER, Event.NO_KEY] += 2
    series = scrape(counters)
    labels = (("event", "no key"), ("state", "linger"))
    assert series[("steering_session_events_refused_total", labels)] == 2.0


def test_gauges_are_the_views() -> None:
    series = scrape(Counters())
    states = labelled(series, "steering_sessions")
    assert states == dict.fromkeys(SessionState, 0.0) | {"established": 2.0, "syn-pinned": 1.0}
    assert series[("steering_subflows", ())] == 4
    assert series[("steering_switches_connected", ())] == 3
    assert labelled(series, "steering_mcp_sessions") == {"core": 2.0, "edge": 1.0}
    assert labelled(series, "steering_mcp_reachable") == {"core": 1.0, "edge": 0.0}


def test_the_histogram_is_cumulative() -> None:
    counters = Counters()
    for seconds in (5e-6, 20e-6, 20e-6, 1.0):
        counters.decision_seconds.observe(seconds)
    series = scrape(counters)
    buckets = {
        float(dict(labels)["le"]): value
        for (name, labels), value in series.items()
        if name == "steering_decision_seconds_bucket"
    }
    assert list(buckets) == [*BUCKETS, float("inf")]
    assert list(buckets.values()) == [1.0] + [3.0] * (len(BUCKETS) - 1) + [4.0]
    assert series[("steering_decision_seconds_count", ())] == 4
    assert series[("steering_decision_seconds_sum", ())] == pytest.approx(1.000045)


def test_the_northbound_counts_its_own_answers() -> None:
    app = served()
    for path, headers in (("/v1/health", {}), ("/v1/no", {"Authorization": f"Bearer {TOKEN}"})):
        Request.blank(path, headers=headers).get_response(app)
    request = Request.blank("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    codes = labelled(parsed(request.get_response(app).text), "steering_http_requests_total")
    assert (codes["200"], codes["401"], codes["404"]) == (0.0, 1.0, 1.0)


@pytest.mark.row("N-7.1")
def test_no_address_token_or_session_is_told() -> None:
    counters = Counters()
    counters.malformed["10.1.0.2"] = 1  # whatever is counted: only declared values are labels
    counters.openflow_errors[str(HEAD["token"])] = 1
    exposition = text(counters)
    assert not re.search(r"\d+\.\d+\.\d+\.\d+|fd00:|" + re.escape(str(HEAD["token"])), exposition)
    assert str(HEAD["id"]) not in exposition


def test_openmetrics_is_given_to_who_asks() -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/openmetrics-text; version=1.0.0"}
    response = Request.blank("/metrics", headers=headers).get_response(served(FixedView()))
    assert response.content_type == "application/openmetrics-text"
    assert response.text.endswith("# EOF\n")


def test_what_held_every_packet_up_is_told_by_what_was_done() -> None:
    counters = Counters()
    for seconds in (0.003, 0.3, 0.004):
        counters.stalled("Tick", seconds)
    counters.stalled("late-tick", 7.0)
    series = scrape(counters)
    assert labelled(series, "steering_longest_stall_seconds") == {"Tick": 0.3, "late-tick": 7.0}
    assert labelled(series, "steering_stall_seconds_count") == {"Tick": 3.0, "late-tick": 1.0}
    assert series[("steering_stall_seconds_bucket", (("le", "0.005"), ("task", "Tick")))] == 2.0
    assert series[("steering_stall_seconds_bucket", (("le", "5.0"), ("task", "late-tick")))] == 0.0


def test_a_scrape_lets_others_have_their_turn_every_few_families() -> None:
    pauses: list[None] = []
    families = text(Counters(), pause=lambda: pauses.append(None)).count("# TYPE")
    assert len(pauses) >= families // WRITTEN_AT_ONCE // 2 > 2
