"""Spans on their way to a collector: what leaves, what is dropped when the collector is slow, hostile or away."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from steering.core.counters import Counters, SpanDrop
from steering.core.inputs import SynSeen
from steering.openflow.traced_feed import TracedFeed
from steering.runtime.traces.otlp import BATCH, ExportedTraces, SpanMaker, SpanQueue, exporter, traces_url
from tests.support.otlp_collector import TraceCollector
from tests.support.sites import UE_LTE, Driver, capable
from tests.support.waiting import wait_for


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def opened() -> Iterator[threading.Event]:
    """What a slow collector waits for; it never stays shut when a test is over."""
    door = threading.Event()
    yield door
    door.set()


def test_what_is_put_is_exported_in_batches(counters: Counters) -> None:
    batches: list[list[Any]] = []

    def export(spans: list[Any]) -> bool:
        batches.append(spans)
        return True

    queue = SpanQueue(export, counters)
    for number in range(BATCH + 10):
        queue.put(number)
    queue.start()
    assert queue.stop(30)
    assert [len(batch) for batch in batches] == [BATCH, 10]
    assert [n for batch in batches for n in batch] == list(range(BATCH + 10))
    assert counters.spans_sent == BATCH + 10 and not counters.spans_dropped


def test_a_collector_that_does_not_answer_costs_spans_and_nothing_else(
    counters: Counters, opened: threading.Event
) -> None:
    batches: list[list[Any]] = []

    def export(spans: list[Any]) -> bool:
        batches.append(spans)
        return opened.wait(600)

    queue = SpanQueue(export, counters, most=BATCH)
    queue.start()
    for number in range(BATCH):
        queue.put(number)
    wait_for(lambda: batches)
    for number in range(BATCH + 5):
        queue.put(number)  # returns, though nobody takes anything
    assert counters.spans_dropped == {SpanDrop.QUEUE_FULL: 5}
    assert not queue.stop(0.05), "a stop does not wait for it"
    opened.set()
    wait_for(lambda: counters.spans_sent == 2 * BATCH)


@pytest.mark.parametrize("is_raised", [False, True])
def test_what_the_collector_does_not_take_is_counted(counters: Counters, is_raised: bool) -> None:
    def export(spans: list[Any]) -> bool:
        if is_raised:
            raise RuntimeError("a defect of the library")
        return False

    queue = SpanQueue(export, counters)
    queue.put(1)
    queue.start()
    assert queue.stop(30)
    assert counters.spans_dropped == {SpanDrop.NOT_TAKEN: 1} and counters.spans_sent == 0


def test_an_operator_is_told_of_a_collector_that_takes_nothing(
    counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    queue = SpanQueue(lambda spans: False, counters, why=lambda: "status 400")
    queue.put(1)
    queue.start()
    wait_for(lambda: counters.spans_dropped[SpanDrop.NOT_TAKEN] == 1)
    for _ in range(3):
        queue.put(1)
    lines = [line for line in caplog.messages if "did not take 1 spans (status 400)" in line]
    assert len(lines) == 1
    assert queue.stop(30)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        ("https://c.example/otlp", "https://c.example/otlp/v1/traces"),
        ("https://c.example/v1/traces", "https://c.example/v1/traces"),
        ("", ""),
    ],
)
def test_spans_go_below_the_collectors_url(url: str, place: str) -> None:
    assert traces_url(url) == place


def sent(url: str) -> bool:
    """Whether the collector took one trace: a root, a phase, an event, a link to another trace."""
    spans: list[Any] = []
    maker = SpanMaker(spans.append, "c2")
    other = maker.begin("session set-up", 1.0, {})
    root = maker.begin("join", 2.0, {"client.port": 4000})
    root.child("decide", 2.0, 2.5, {"steering.switches": ["s1", "s4"]})
    root.note("SYN repeated", 2.6)
    root.add({"steering.mcp": "core"})
    root.link(other.context)
    root.end(3.0, {"steering.outcome": "refused"}, True)
    other.end(4.0, {}, False)
    return exporter(url).send(spans)


def test_a_collector_gets_what_was_told() -> None:
    with TraceCollector() as collector:
        assert sent(collector.url)
        (root,), (other,) = collector.named("join"), collector.named("session set-up")
        (child,) = collector.children(root)
        assert (child.name, child.trace, other.trace == root.trace) == ("decide", root.trace, False)
        assert child.attributes == {"steering.switches": ["s1", "s4"]}
        assert root.attributes == {
            "client.port": 4000, "steering.mcp": "core", "steering.outcome": "refused",
        }  # fmt: skip
        assert root.links == [other.id] and root.is_failed and not other.is_failed
        assert child.begun == root.begun and child.ended - child.begun == 500_000_000
        about = root.about
        assert about["service.name"] == "steering" and about["service.instance.id"] == "c2"
        ((path, headers),) = collector.requests
        assert path == "/v1/traces" and headers["content-type"] == "application/x-protobuf"


def test_the_environment_says_what_the_option_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with TraceCollector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=field")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "north")
        assert sent("")
        assert collector.requests[0][1]["x-tenant"] == "field"


def test_an_answer_that_does_not_end_is_not_read() -> None:
    with TraceCollector("endless") as collector:
        assert sent(collector.url) and sent(collector.url)


@pytest.mark.parametrize("answer", ["302", "endless 302"])
def test_a_redirect_is_neither_followed_nor_taken(answer: str) -> None:
    with TraceCollector(answer) as collector:
        assert not sent(collector.url)
        assert [path for path, _ in collector.requests] == ["/v1/traces"]


def test_a_collectors_cookies_are_not_kept() -> None:
    with TraceCollector() as collector:
        to, spans = exporter(collector.url), list[Any]()
        SpanMaker(spans.append).begin("join", 1.0, {}).end(2.0, {}, False)
        assert to.send(spans) and to.send(spans)
        assert ["cookie" in headers for _, headers in collector.requests] == [False, False]


def test_a_stop_ends_what_is_under_way_and_sends_it(counters: Counters) -> None:
    taken: list[Any] = []

    def export(spans: list[Any]) -> bool:
        taken.extend(spans)
        return True

    queue = SpanQueue(export, counters)
    driver = Driver()
    traces = ExportedTraces(driver.engine, driver.counters, SpanMaker(queue.put), 10, queue)
    feed = TracedFeed(driver.engine, driver.counters, lambda outputs, now: None, traces)
    traces.start()
    seen = capable(UE_LTE, 40_000)
    feed.give(SynSeen(1, 1, seen, Driver.frame(seen)), driver.now)
    traces.stop(30)
    (root,) = [span for span in taken if span.name == "session set-up"]
    assert root.attributes["steering.outcome"] == "unfinished"


def test_a_collector_that_refuses_takes_nothing() -> None:
    with TraceCollector("400") as collector:
        spans: list[Any] = []
        SpanMaker(spans.append).begin("join", 1.0, {}).end(2.0, {}, False)
        to = exporter(collector.url)
        assert not to.send(spans) and to.why() == "status 400"
