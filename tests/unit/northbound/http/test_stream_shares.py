"""Event streams of relays and of those who watch: neither takes streams or time from the other."""

import threading

import pytest

from steering.model.identity import Identity, Role
from steering.northbound.http.events import (
    MAX_STREAMS,
    MAX_STREAMS_OF_MCPS,
    EventHub,
    TooManyStreams,
    share_of,
)
from tests.support.heard_events import EPOCH, everything


def test_mcps_and_those_who_watch_take_no_stream_from_each_other() -> None:
    """A relay has two streams, so 64 of all were enough for 32 relays that nobody watches."""
    hub = EventHub(EPOCH)
    relays = [share_of(Identity(f"{number:08x}", Role.MCP, mcp="core")) for number in range(256)]
    streams = [hub.open(everything, "", [], share=relay) for relay in relays for _ in range(2)]
    assert len(streams) == MAX_STREAMS_OF_MCPS
    with pytest.raises(TooManyStreams, match="of MCPs"):
        hub.open(everything, "", [], share=relays[0])
    readers = [share_of(Identity(f"r{number}", Role.READER)) for number in range(MAX_STREAMS)]
    watched = [hub.open(everything, "", [], share=reader) for reader in readers]
    with pytest.raises(TooManyStreams):
        hub.open(everything, "", [])
    hub.leave(streams[0])
    with pytest.raises(TooManyStreams):
        hub.open(everything, "", [])
    hub.open(everything, "", [], share=relays[7])
    hub.leave(watched[0])
    hub.open(everything, "", [])


class NotedCondition(threading.Condition):
    """Counts how often whoever waits was woken."""

    woken = 0

    def notify_all(self) -> None:
        self.woken += 1
        super().notify_all()


def test_who_gets_nothing_of_an_event_is_not_woken_by_it() -> None:
    """Each stream has a thread of its own: with hundreds of relays each event of a session would have run them all."""
    hub = EventHub(EPOCH)
    watches = hub.open(everything, "", [])
    relay = hub.open(lambda event: event.kind in ("drain", "session"), "", [], hears_sessions=False)
    watches.changed, relay.changed = NotedCondition(hub._lock), NotedCondition(hub._lock)
    for kind in ("session", "subflow", "policy"):
        hub.publish(kind, {})
    assert (watches.changed.woken, relay.changed.woken) == (3, 0) and not relay.queue
    hub.publish("drain", {})
    assert (watches.changed.woken, relay.changed.woken) == (4, 1)
