"""From when on: spans of time, and times with their zone."""

import pytest

from steering.model.period_begin import read_since

NOW = 1_796_040_000.0  # 2026-11-30T12:00:00Z


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("0s", 0.0),
        ("90s", 90.0),
        ("10m", 600.0),
        ("2h", 7_200.0),
        ("1d", 86_400.0),
        ("999999999d", 999_999_999 * 86_400.0),
        ("2026-11-30T11:50:00Z", 600.0),
        ("2026-11-30T12:50:00+01:00", 600.0),
        ("2026-11-30T11:59:59.500+00:00", 0.5),
        ("2026-11-30 12:00:00Z", 0.0),
    ],
)
def test_a_span_ends_now_and_a_time_has_its_zone(text: str, before: float) -> None:
    assert read_since(text).moment(NOW) == NOW - before


@pytest.mark.parametrize(
    "text",
    ["", "10", "m", "-10m", "1.5h", "10 m", "1w", "9999999999s", "\u0661m", "2026-11-30", "2026-11-30T12:00:00", "2026-11-30T12:00:00 01:00",
     "yesterday", "2026-13-30T12:00:00Z", "2026-11-30T12:00:00\uff3a", "2026-11-30T12:00:00Z" + " " * 40, "\0", "0001-01-01T00:00:00+23:59",
     "9999-12-31T23:59:59-23:59"],
)  # fmt: skip
def test_anything_else_is_refused_with_what_is_wanted(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a span of time .* or a time with its zone"):
        read_since(text)


@pytest.mark.parametrize(
    "text",
    [
        "0s",
        "90s",
        "999999999h",
        "999999999d",
        "2026-11-30T11:50:00.250Z",
        "2026-11-30T12:50:00+01:00",
        "1970-01-01T00:00:00Z",
    ],
)
def test_it_is_written_as_it_is_read(text: str) -> None:
    assert read_since(str(read_since(text))) == read_since(text)


def test_what_is_still_to_come_is_no_since() -> None:
    with pytest.raises(ValueError, match="still to come"):
        read_since("2026-11-30T12:01:01Z").moment(NOW)


@pytest.mark.parametrize("text", ["2026-11-30T12:00:01Z", "2026-11-30T12:01:00Z"])
def test_a_clock_that_is_a_little_ahead_means_now(text: str) -> None:
    assert read_since(text).moment(NOW) == NOW
