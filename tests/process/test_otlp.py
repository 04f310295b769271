"""`steering run --otlp`: traces of set-ups at a collector, and a controller that no collector holds up."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.process.network import WLAN_HOST, Network
from tests.support.controller_process import LINKS, SITE, Running, free_port, refused
from tests.support.otlp_collector import CollectedSpan, TraceCollector
from tests.support.waiting import wait_for


class TracedNetwork(Network):
    """Its controller gets more environment, and traces to a collector."""

    def __init__(self, folder: Path, *more: str, **environment: str) -> None:
        super().__init__(folder, SITE + LINKS, *more)
        self.running.environment |= environment


def joined(network: Network) -> None:
    """A session is set up, and a later subflow joins it."""
    network.establish()
    network.wait_for_release(2, network.join())


def ended(collector: TraceCollector, name: str, outcome: str) -> list[CollectedSpan]:
    """Traces that ended so. A busy machine may refuse a SYN, as its barrier is late: its host sends it again."""
    return [one for one in collector.named(name) if one.attributes.get("steering.outcome") == outcome]


@pytest.mark.parametrize("way", ["option", "environment", "no fast path"])
def test_a_set_up_and_its_join_come_as_traces(tmp_path: Path, way: str) -> None:
    with TraceCollector() as collector:
        if way == "environment":
            network = TracedNetwork(tmp_path, "--otlp", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        else:
            more = ["--no-fast-path"] if way == "no fast path" else []
            network = TracedNetwork(tmp_path, "--otlp", collector.url, *more)
        with network:
            joined(network)
            wait_for(
                lambda: (
                    ended(collector, "join", "pinned") and ended(collector, "session set-up", "established")
                )
            )
            (root,) = ended(collector, "session set-up", "established")
            (join,) = ended(collector, "join", "pinned")
            wait_for(lambda: len(collector.children(root)) == 5 and len(collector.children(join)) == 3)
            sent = network.running.metric("steering_spans_sent_total")
            assert "failed" not in network.running.log()
        phases = [span.name for span in collector.children(root)]
        assert phases == ["decide", "write rules", "release SYN", "await SYN/ACK", "await host"]
        assert {span.trace for span in collector.children(root)} == {root.trace} != {join.trace}
        told = root.attributes
        assert (told["client.address"], told["client.port"]) == ("10.1.0.2", 40_000)
        assert (told["server.address"], told["server.port"]) == ("10.9.0.2", 443)
        assert (told["steering.access"], told["steering.mcp"]) == ("lte", "core")
        assert join.links == [root.id]
        assert join.attributes["steering.access"] == "wlan"
        assert join.attributes["client.address"] == ".".join(map(str, WLAN_HOST))
        assert root.about["service.name"] == "steering"
        assert 0 <= root.ended - root.begun and root.begun <= join.begun
        assert sent <= len(collector.spans)


def test_a_collector_that_never_answers_holds_nothing_up(tmp_path: Path) -> None:
    """Neither a set-up nor the end: the exporter itself would wait for an hour."""
    with (
        TraceCollector("never") as collector,
        TracedNetwork(tmp_path, "--otlp", collector.url, OTEL_EXPORTER_OTLP_TIMEOUT="3600") as network,
    ):
        joined(network)
        wait_for(lambda: collector.requests)
        for sport in range(40_001, 40_006):
            network.establish(sport)
        assert network.running.metric("steering_spans_sent_total") == 0
        status, _ = network.running.end()
        assert status == 0, network.running.log()
        assert "the collector of traces did not take what was left" in network.running.log()
        assert "Traceback" not in network.running.log()


@pytest.mark.parametrize("there", [True, False])
def test_a_collector_that_takes_nothing_is_counted(tmp_path: Path, there: bool) -> None:
    with TraceCollector("400") as collector:
        url = collector.url if there else f"http://127.0.0.1:{free_port()}"
        with TracedNetwork(tmp_path, "--otlp", url, OTEL_EXPORTER_OTLP_TIMEOUT="1") as network:
            joined(network)
            network.running.wait_for_metric("steering_spans_dropped_total", 1, reason="not-taken")
            network.establish(40_001)
            status, _ = network.running.end()
            assert status == 0 and "Traceback" not in network.running.log()


def test_more_than_the_rate_are_counted_and_not_traced(tmp_path: Path) -> None:
    with (
        TraceCollector() as collector,
        TracedNetwork(tmp_path, "--otlp", collector.url, "--otlp-rate", "1") as network,
    ):
        frames = [network.syn(sport) for sport in range(42_000, 42_020)]
        for frame in frames:
            network.wait_for_release(1, frame)
        skipped = network.running.metric("steering_traces_skipped_total", reason="rate")
        again = network.running.metric("steering_refusals_total", reason="barrier-timeout")  # and sent again
        assert 1 <= skipped < len(frames) + again


def hide_library(running: Running) -> None:
    """To this controller OpenTelemetry is not installed."""
    folder = running.folder / "hidden"
    (folder / "opentelemetry").mkdir(parents=True)
    (folder / "opentelemetry" / "__init__.py").write_text("raise ModuleNotFoundError('opentelemetry')\n")
    running.environment["PYTHONPATH"] = f"{folder}{os.pathsep}{running.environment['PYTHONPATH']}"


def test_without_the_library_it_says_in_one_line_what_to_install(tmp_path: Path) -> None:
    running = Running(tmp_path)
    hide_library(running)
    said = refused(running, "--otlp", "http://127.0.0.1:4318")
    assert said == "steering: --otlp: OpenTelemetry is not installed: pip install 'steering[otel]'\n"


def test_without_the_option_the_library_is_not_wanted(tmp_path: Path) -> None:
    running = Running(tmp_path)
    hide_library(running)
    with running:
        assert running.metric("steering_traces_skipped_total", reason="rate") == 0
        assert not maps(running, lambda path: "opentelemetry" in path or "google/_upb" in path)


def maps(running: Running, wanted: Callable[[str], bool]) -> list[str]:
    """Files that are mapped into its process (proc(5))."""
    assert running.process is not None
    lines = Path(f"/proc/{running.process.pid}/maps").read_text().splitlines()
    return [line for line in lines if wanted(line)]
