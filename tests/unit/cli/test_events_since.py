"""`steering events --since` and `steering sessions --since`: a span of time, or a time with its zone."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from steering.cli.events import ReceivedEvent, _line
from steering.cli.main import main
from steering.client import SteeringClient
from steering.northbound.composition import Northbound
from steering.store import credentials
from tests.support.commands import failing
from tests.support.fixed_view import TOKEN, WALL, north
from tests.support.rest_server import serve


@pytest.fixture
def time() -> list[float]:
    return [WALL]


@pytest.fixture
def made(time: list[float]) -> Northbound:
    return north(wall=lambda: time[0], heartbeat=0.05)


@pytest.fixture
def state_dir(tmp_path: Path, made: Northbound) -> Iterator[Path]:
    (tmp_path / "token").write_text(TOKEN + "\n")
    for url in serve(made.application):
        credentials.write_rest_url(tmp_path, url)
        yield tmp_path


def told(
    capsys: pytest.CaptureFixture[str], state_dir: Path, *words: str
) -> tuple[list[tuple[str, str | None]], str]:
    """Kind and time of the events, and what was said beside them."""
    assert main(["events", "--json", "--state-dir", str(state_dir), *words]) == 0
    out, err = capsys.readouterr()
    found = [json.loads(line) for line in out.splitlines()]
    return [(event["kind"], event["time"]) for event in found], err


def test_what_is_kept_since_then_is_told_first(
    capsys: pytest.CaptureFixture[str], made: Northbound, time: list[float], state_dir: Path
) -> None:
    made.hub.begin_to_be_heard()
    made.hub.heard_for(1e9)
    made.watcher.look()
    for kind in ("policy", "alarm", "drain"):
        time[0] += 60.0
        made.hub.publish(kind, {"name": "x"})
    times = [f"2026-11-30T12:0{minute}:00.000Z" for minute in (1, 2, 3)]
    assert told(capsys, state_dir, "--since", "2m", "--count", "3") == (
        [("policy", times[0]), ("alarm", times[1]), ("drain", times[2])],
        "",
    )
    quoted = ("--since", "2026-11-30T13:02:00+01:00", "--count", "1")
    assert told(capsys, state_dir, *quoted) == ([("alarm", times[1])], "")
    chosen = ("--since", "2m", "--kind", "drain", "--count", "1")
    assert told(capsys, state_dir, *chosen) == ([("drain", times[2])], "")
    with closing(SteeringClient.at(state_dir=str(state_dir)).events(since="1m")) as events:
        assert next(events).time == times[1]


def test_it_says_on_the_other_output_that_some_is_missing(
    capsys: pytest.CaptureFixture[str], made: Northbound, state_dir: Path
) -> None:
    made.hub.publish("alarm", {"name": "lte"})
    found, said = told(capsys, state_dir, "--since", "1h", "--kind", "alarm", "--count", "1")
    assert found == [("alarm", "2026-11-30T12:00:00.000Z")]
    assert said.count("\n") == 1 and "not all since then is known" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["events", "--since", "yesterday"], "a time with its zone"),
        (["events", "--since", "2026-11-30T12:00:00"], "a time with its zone"),
        (["events", "--since", "2026-11-30T12:00:01Z"], "still to come"),
        (["events", "--since", "1m", "--mcp", "core"], "--mcp begins with how things stand"),
        (["sessions", "--since", "2026-11-30"], "a time with its zone"),
        (["sessions", "--since", "2200-01-01T00:00:00Z"], "still to come"),
    ],
)
def test_a_time_that_cannot_be_is_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    status, line = failing(capsys, *words, "--state-dir", str(state_dir))
    assert status == 2 and said in line


def test_sessions_are_listed_since_a_time_too(capsys: pytest.CaptureFixture[str], state_dir: Path) -> None:
    assert main(["sessions", "--since", "1970-01-01T00:00:00Z", "--json", "--state-dir", str(state_dir)]) == 0
    assert len(json.loads(capsys.readouterr().out)["sessions"]) == 3


def test_an_event_of_another_day_is_printed_with_it() -> None:
    event = ReceivedEvent("a-1", "alarm", {"name": "lte"}, "2020-02-29T23:59:59.999Z")
    assert _line(event) == "2020-02-29T23:59:59Z  alarm     name=lte"
    for time in (None, "rubbish"):
        assert _line(event._replace(time=time))[8:] == "Z  alarm     name=lte"
