"""Commands that take long say so on a terminal's stderr, and take the line away again."""

import io
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from steering.cli import progress
from steering.cli.main import main
from steering.cli.progress import ProgressLine
from tests.support.fixed_view import TOKEN, FixedView, north
from tests.support.rest_server import serve

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "pcaps"
LIMIT = 30.0  # seconds after which a test gives up


class Screen(io.StringIO):
    """A terminal, as far as lines go. `until`: waits until a text was written to it."""

    def isatty(self) -> bool:
        return True

    def until(self, text: str) -> bool:
        end = time.monotonic() + LIMIT
        while text not in self.getvalue():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def left(self) -> str:
        """What stands on the last line at the end."""
        cells: list[str] = []
        at = 0
        for character in self.getvalue():
            if character == "\r":
                at = 0
                continue
            cells[at : at + 1] = character
            at += 1
        return "".join(cells).rstrip()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    found = Screen()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=found))  # pytest sets sys.stderr itself
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: 0.0))  # no second passes
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.01)
    return found


def test_it_tells_what_is_done_and_goes_away(screen: Screen) -> None:
    line = ProgressLine("a long word of beginning")
    with line:
        assert screen.until("a long word of beginning (0 s)")
        line.text = "then"
        assert screen.until("then (0 s)")
        assert screen.left() == "then (0 s)", "nothing is left of the longer text"
    assert screen.left() == "" and screen.getvalue().endswith("\r")
    assert "\n" not in screen.getvalue()
    with line:
        line.text = "again"
        assert screen.until("again")
    assert screen.left() == ""
    assert not [one for one in threading.enumerate() if one.name == "steering-progress"]


def test_what_is_quick_says_nothing(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 3_600.0)
    with ProgressLine("quick"):
        pass
    assert screen.getvalue() == ""


def test_patience_is_that_of_the_whole_command(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(progress, "PATIENCE", 2.0)
    line = ProgressLine("pages")
    with line:
        assert screen.getvalue() == ""
    now[0] = 3.0  # each page is quick; all of them are not
    with line:
        for _ in range(2_000):
            if "pages (3 s)" in screen.getvalue():
                break
            time.sleep(0.01)
    assert "pages (3 s)" in screen.getvalue()


def test_what_is_no_terminal_is_told_nothing(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=file))
    with ProgressLine("long"):
        assert not [one for one in threading.enumerate() if one.name == "steering-progress"]
    assert file.getvalue() == ""


def test_a_long_line_stays_within_the_terminal(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    with ProgressLine("x" * 200):
        assert screen.until("x" * 39)
    assert "x" * 40 not in screen.getvalue()


# ---- commands -----------------------------------------------------------------------------------


class Slow:
    """A northbound of 2,500 sessions whose second page comes when `has_told`: forever slow to the command."""

    def __init__(self, app: Any, has_told: Callable[[], bool]) -> None:
        self._app, self._has_told = app, has_told
        self.told: list[bool] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if "cursor=" in environ["QUERY_STRING"] and not self.told:
            self.told.append(self._has_told())
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer


@pytest.fixture
def paged(screen: Screen, tmp_path: Path) -> Iterator[tuple[str, Path, Slow]]:
    (tmp_path / "token").write_text(TOKEN + "\n")
    slow = Slow(north(FixedView(2_500)).application, lambda: screen.until("1,000 of 2,500 sessions"))
    for url in serve(slow):
        yield url, tmp_path / "token", slow


def test_pages_of_sessions_are_counted(
    paged: tuple[str, Path, Slow], screen: Screen, capsys: pytest.CaptureFixture[str]
) -> None:
    url, token, slow = paged
    assert main(["sessions", "--url", url, "--token-file", str(token), "--limit", "2500"]) == 0
    assert slow.told == [True]
    assert screen.left() == ""
    assert capsys.readouterr().out.count("m-") == 2_500


def test_a_policy_that_takes_long_is_waited_for_with_a_word(
    screen: Screen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "policy.yaml").write_text("policy: 1\n")
    app, told = north(FixedView()).application, []

    def slow(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "PUT":
            told.append(screen.until("waiting until the policy is checked and agreed on"))
        answer: Iterable[bytes] = app(environ, start_response)
        return answer

    for url in serve(slow):
        main(
            [
                "policy",
                "apply",
                str(tmp_path / "policy.yaml"),
                "--url",
                url,
                "--token-file",
                str(tmp_path / "token"),
            ]
        )
    assert told == [True] and screen.left() == ""
    capsys.readouterr()


def test_frames_of_a_capture_are_counted(
    screen: Screen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = (GOLDEN / "plain_tcp.pcap").read_bytes()
    pipe = tmp_path / "capture"
    os.mkfifo(pipe)
    told: list[bool] = []

    def feed() -> None:
        with pipe.open("wb", buffering=0) as file:
            file.write(capture[:24])
            told.append(screen.until("reading /"))
            file.write(capture[24:])

    feeder = threading.Thread(target=feed)
    feeder.start()
    status = main(["decode", str(pipe)])
    feeder.join()
    assert (status, told, screen.left()) == (0, [True], "")
    assert "plain TCP" in capsys.readouterr().out


def test_a_long_log_of_mappings_is_read_with_a_word(
    screen: Screen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "mappings"
    os.mkfifo(pipe)
    told: list[bool] = []

    def feed() -> None:
        with pipe.open("wb", buffering=0):
            told.append(screen.until("reading /"))

    feeder = threading.Thread(target=feed)
    feeder.start()
    status = main(["mappings", "find", "192.0.2.1", "40000", "--log", str(pipe)])
    feeder.join()
    assert (status, told, screen.left()) == (1, [True], "")
    assert "nobody had 192.0.2.1" in capsys.readouterr().err
