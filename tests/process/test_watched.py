"""What people watch with: alerts and dashboards name metrics that a real controller has, and Prometheus takes all of it."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.controller_process import LINKS, SITE, Running, free_port

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "ops" / "prometheus"
NAMES = re.compile(r"\bsteering_[a-z_]+\b")
CHOSEN = re.compile(r'\b(steering_[a-z_]+)\{(\w+)="([^"$]+)"')
WIDTH_OF_LABELS = 64  # series of one metric of a site with two accesses and one MCP


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("watched"), SITE + LINKS) as one:
        yield one


def expressions() -> list[str]:
    """Every expression of alerts and dashboards."""
    rules = (PROMETHEUS / "alerts.yml").read_text()
    found = re.findall(r"expr: >-\n((?: {10}.+\n)+)|expr: (.+)", rules)
    alerts = [folded or plain for folded, plain in found]
    boards = [json.loads(path.read_text()) for path in (ROOT / "ops" / "grafana").glob("*.json")]
    assert len(alerts) > 10 and len(boards) == 4
    targets = [target["expr"] for board in boards for panel in board["panels"] for target in panel["targets"]]
    queries = [
        one["query"] for board in boards for one in board["templating"]["list"] if "steering" in one["query"]
    ]
    return [*alerts, *targets, *queries]


def test_every_metric_of_an_expression_is_one_that_a_controller_has(running: Running) -> None:
    text = running.text("/metrics")
    declared = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    there = declared | {f"{name}_{part}" for name in declared for part in ("bucket", "count", "sum")}
    named = {name for one in expressions() for name in NAMES.findall(one)}
    assert len(named) > 30
    assert sorted(named - there) == []


def test_values_that_an_expression_chooses_are_values_of_that_label(running: Running) -> None:
    text = running.text("/metrics")
    chosen = {found for one in expressions() for found in CHOSEN.findall(one)}
    assert len(chosen) > 4
    # An alarm shows its series while it is raised; its kinds are those of the metric that counts them from zero on.
    shown = {
        (name.replace("steering_alarm", "steering_alarms") if name == "steering_alarm" else name, *rest)
        for name, *rest in chosen
    }
    lacking = [one for one in shown if not re.search(rf'^{one[0]}\{{[^}}]*{one[1]}="{one[2]}"', text, re.M)]
    assert lacking == []


def test_series_are_few_and_each_access_has_its_fallbacks_from_zero_on(running: Running) -> None:
    text = running.text("/metrics")
    series: dict[str, int] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name = re.split(r"[{ ]", line, maxsplit=1)[0]
            series[name] = series.get(name, 0) + 1
    assert max(series.values()) <= WIDTH_OF_LABELS, sorted(series.items(), key=lambda item: -item[1])[:3]
    for access in ("lte", "wlan"):
        assert running.metric("steering_access_fallbacks_total", access=access) == 0
        assert running.metric("steering_access_first_answers_total", access=access) == 0
    assert running.metric("steering_mcp_fallbacks_total", mcp="core") == 0


def test_promtool_takes_the_rules_and_they_fire_when_they_should() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "apt-get install prometheus"
    for words in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]):
        done = subprocess.run([promtool, *words], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_scrapes_a_controller_by_the_example(running: Running, tmp_path: Path) -> None:
    """With a token of role reader, which may change nothing."""
    added = subprocess.run(
        [sys.executable, "-m", "steering", "token", "add", "--role", "reader", "--json", "--state-dir", str(running.state)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (tmp_path / "token").write_text(json.loads(added.stdout)["token"])
    where = (running.state / "rest").read_text().strip().removeprefix("http://")
    text = (PROMETHEUS / "scrape.yml").read_text()
    text = text.replace("127.0.0.1:8080", where).replace(
        "/etc/prometheus/steering.token", str(tmp_path / "token")
    )
    (tmp_path / "prometheus.yml").write_text(text.replace("15s", "1s"))
    shutil.copy(PROMETHEUS / "alerts.yml", tmp_path)
    port = free_port()
    command = [
        shutil.which("prometheus") or "prometheus", "--config.file", str(tmp_path / "prometheus.yml"),
        "--storage.tsdb.path", str(tmp_path / "data"), "--web.listen-address", f"127.0.0.1:{port}",
    ]  # fmt: skip
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while not (found := _scraped(port)) and time.monotonic() < until:
            time.sleep(0.2)
        assert found, (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait(30)


def _scraped(port: int) -> bool:
    """Whether Prometheus has a metric of the controller, and has got an answer of it the last time."""
    return bool(_asked(port, "steering_switches_known")) and _asked(port, 'up{job="steering"}') == ["1"]


def _asked(port: int, query: str) -> list[str]:
    """The values of an instant query; none where Prometheus does not answer yet."""
    url = f"http://127.0.0.1:{port}/api/v1/query?query={quote(query)}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return [one["value"][1] for one in json.load(answer)["data"]["result"]]
    except OSError:
        return []


def test_the_dashboards_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "packaging/dashboards.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
