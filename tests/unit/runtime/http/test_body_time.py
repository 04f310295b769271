"""A request's body comes in its time, or not at all."""

from io import BytesIO
from typing import Any

import eventlet
import pytest

from steering.runtime.http import protocol
from steering.runtime.http.protocol import TimedInput


class Slow(BytesIO):
    """Each read takes a while."""

    def read(self, size: int | None = -1) -> bytes:
        eventlet.sleep(0.05)
        return super().read(size)


def body(of: Any, length: int = 100) -> TimedInput:
    return TimedInput(of, length, None)


def test_what_comes_in_time_is_read() -> None:
    assert body(BytesIO(b"x" * 100)).read(100) == b"x" * 100


def test_a_body_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "BODY_TIME", 0.01)
    with pytest.raises(TimeoutError):
        body(Slow(b"x" * 100)).read(100)


def test_the_rest_of_a_body_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "DISCARD_TIME", 0.12)
    with pytest.raises(TimeoutError):
        body(Slow(b"x" * 100)).discard(10)
