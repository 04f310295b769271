"""`steering events --since` and `steering sessions --since`: a span of time, or a time with its zone."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from steering.cli.commands.events import ReceivedEvent, _line
from steering.cli.main import main
from steering.client import BadInput, SteeringClient
from steering.model.event_kind import EventKind
from steering.northbound.composition import Northbound
from steering.northbound.http.events import KEPT
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
    assert all(kind.value.rstrip("y") in said for kind in FOLLOWED), (
        "what is told only while somebody follows"
    )


def test_all_that_a_busy_controller_keeps_is_told(
    capsys: pytest.CaptureFixture[str], made: Northbound, state_dir: Path
) -> None:
    for _ in range(KEPT):
        made.hub.publish("alarm", {"name": "lte"})
    found, _ = told(capsys, state_dir, "--since", "1h", "--kind", "alarm", "--count", str(KEPT))
    assert len(found) == KEPT


# What the watcher tells, which looks only while somebody follows.
FOLLOWED = (
    EventKind.SESSION,
    EventKind.SUBFLOW,
    EventKind.REFUSAL,
    EventKind.TOPOLOGY,
    EventKind.POLICY,
    EventKind.RESERVATION,
)


class Ending:
    """A northbound whose streams the controller ends once they have told what they begin with."""

    def __init__(self, made: Northbound) -> None:
        self._made = made

    def __call__(self, environ: Any, start_response: Any) -> Iterator[bytes]:
        for piece in self._made.application(environ, start_response):
            yield piece
            if piece == b":\n\n":
                self._made.hub.close()


@pytest.mark.parametrize("words", [[], ["--count", "3"]])
def test_a_stream_that_the_controller_ends_is_a_failure(
    words: list[str], capsys: pytest.CaptureFixture[str], made: Northbound, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    made.hub.publish("alarm", {"name": "lte"})
    for url in serve(Ending(made)):
        credentials.write_rest_url(tmp_path, url)
        assert main(["events", "--since", "1h", *words, "--state-dir", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "name=lte" in out, "what came until then is told"
    assert err.splitlines()[-1].startswith("steering: the controller has ended the stream")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["events", "--since", "yesterday"], "a time with its zone"),
        (["events", "--since", "2026-11-30T12:00:00"], "a time with its zone"),
        (["events", "--since", "2026-11-30T12:02:00Z"], "still to come"),
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
    for time in (None, "rubbish", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"):
        assert _line(event._replace(time=time))[8:] == "Z  alarm     name=lte"


def test_an_mcps_events_have_no_since_for_a_program_either(state_dir: Path) -> None:
    client = SteeringClient.at(state_dir=str(state_dir))
    with pytest.raises(BadInput, match="begin with how things stand"):
        next(client.events(mcp="core", since="1m"))
