"""Notes how long the client's commands wait for an answer."""

from http.client import HTTPConnection
from typing import Any

import pytest

TimedRequests = list[tuple[str, float | None]]


def timed_requests(monkeypatch: pytest.MonkeyPatch) -> TimedRequests:
    """Each request that is sent from now on: its method, and for how many seconds its answer is waited for."""
    found: TimedRequests = []

    class TimedConnection(HTTPConnection):
        def request(self, method: str, *args: Any, **kwargs: Any) -> None:
            found.append((method, self.sock.gettimeout()))
            super().request(method, *args, **kwargs)

    monkeypatch.setattr("http.client.HTTPConnection", TimedConnection)
    return found
