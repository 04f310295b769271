"""Events of another controller as they go over the stream between two: as bytes, in parts, and bounded."""

from collections import Counter
from collections.abc import Callable

import eventlet

from steering.core.peer_facts import PeerTold
from steering.model.cluster import PeerFailure
from steering.northbound.http.events import KEPT
from steering.runtime.cluster.peer_rest import LONGEST_REPLY, PeerRest
from steering.wire.peer_codec import decoded, encoded
from steering.wire.peer_messages import PeerMessage, RestAnswer
from steering.wire.peer_stream import HEAD
from tests.support.fixed_view import FixedView, north
from tests.support.member_listener import Listener
from tests.support.waiting import wait_for

NAMES = ("a", "b")


class Pair:
    """Two controllers' northbounds, each asking the other by messages. `answers`: bytes, by question."""

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()
        self.rest = {
            name: PeerRest(name, self._others(name), self._say(name), lambda name: 2) for name in NAMES
        }
        self.north = {
            name: north(FixedView(0), peers=rest, heartbeat=0.001, pause=lambda: eventlet.sleep(0))
            for name, rest in self.rest.items()
        }
        for name in NAMES:
            self.rest[name].answer = self.north[name].application.for_peer

    def _others(self, name: str) -> Callable[[], tuple[str, ...]]:
        return lambda: tuple(other for other in NAMES if other != name)

    def _say(self, name: str) -> Callable[[str, PeerMessage], bool]:
        def say(to: str, message: PeerMessage) -> bool:
            data = encoded(message)
            if isinstance(message, RestAnswer):
                self.answers[message.request] += len(message.data)
            eventlet.spawn_n(self.rest[to].takes, PeerTold(name, decoded(data[2], data[HEAD:])))
            return True

        return say


def test_all_that_a_controller_keeps_comes_over_the_stream_whole_and_in_bounded_answers() -> None:
    pair = Pair()
    listener = Listener(pair.north["a"].application, "a:0badcafe0-0,b:0badcafe0-0")
    text = "x" * 700
    for version in range(KEPT):
        pair.north["b"].hub.publish("policy", {"version": version, "text": text})
    versions: list[int] = []

    def told() -> int:
        pair.north["a"].gather()
        versions.extend(data["version"] for kind, data in listener.told() if kind == "policy")
        return len(versions)

    wait_for(lambda: told() >= KEPT)
    assert versions == list(range(KEPT))
    assert max(pair.answers.values()) < LONGEST_REPLY / 2
    assert PeerFailure.TOO_LONG not in pair.rest["a"].failures
