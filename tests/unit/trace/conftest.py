"""A tracker of connections, and one connection that it is told of."""

import pytest

from steering.trace.connections import ConnectionTracker
from tests.support.tcp_talk import Talk


@pytest.fixture
def tracker() -> ConnectionTracker:
    return ConnectionTracker()


@pytest.fixture
def first(tracker: ConnectionTracker) -> Talk:
    return Talk(tracker)
