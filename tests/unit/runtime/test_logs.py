"""Lines of the log: their time is UTC, and under the journal they carry a priority instead."""

import logging
import os
from pathlib import Path

import pytest

from steering.runtime.logs import JournalFormatter, PlainFormatter, goes_to_journal


def record(level: int, text: str) -> logging.LogRecord:
    made = logging.LogRecord("steering.x", level, "x.py", 1, text, (), None)
    made.created, made.msecs = 1_764_441_000.25, 250.0
    return made


def test_times_are_utc_whatever_the_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    line = PlainFormatter().format(record(logging.WARNING, "hello"))
    assert line == "2025-11-29T18:30:00.250Z WARNING steering.x: hello"


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 3), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_every_line_for_the_journal_begins_with_its_priority(level: int, priority: int) -> None:
    lines = JournalFormatter().format(record(level, "one\ntwo")).split("\n")
    assert lines == [f"<{priority}>steering.x: one", f"<{priority}>two"]


def test_the_journal_is_known_by_the_stream_and_not_by_the_variable_alone(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        assert goes_to_journal(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        # A child whose output was redirected inherits the variable, and writes to a file all the same.
        assert not goes_to_journal(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"})
        assert not goes_to_journal(stream, {})
