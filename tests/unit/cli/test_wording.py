"""Durations, addresses and numbers as people read them."""

import pytest

from steering.cli.wording import counted, duration, endpoint, number, size_of, when


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0s"), (0.9, "0s"), (59.9, "59s"), (60, "1m00s"), (3599, "59m59s"),
        (3600, "1h00m"), (86399, "23h59m"), (86400, "1d00h"), (200_000, "2d07h"),
    ],
)  # fmt: skip
def test_duration(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_the_rest() -> None:
    assert endpoint("10.0.0.1", 80) == "10.0.0.1:80"
    assert endpoint("fd00::1", 80) == "[fd00::1]:80"
    assert [number(value) for value in (None, 4.0, 1.23456, 0.0)] == [None, "4", "1.235", "0"]
    assert [counted(n, "link") for n in (0, 1, 2)] == ["0 links", "1 link", "2 links"]
    assert (size_of([1, 2]), size_of(7)) == (2, 7)


def test_a_time_that_no_calendar_has_stays_a_number() -> None:
    assert when(0) == "1970-01-01T00:00:00+00:00"
    assert [when(seconds) for seconds in (1e13, -1e13)] == ["1e+13 s after 1970", "-1e+13 s after 1970"]
    assert when(float("inf")) == "inf s after 1970"
