"""The fast path and the general way are equal: the same bytes to both, every byte that leaves and all state compared."""

import pytest

from steering.core.counters import Counters
from steering.openflow.fastpath.reader import UsualMessages
from tests.property.fastpath.story import EXAMPLES, STORY, Story, stories
from tests.property.fastpath.traffic import every_usual


@pytest.mark.timeout(3600)
def test_the_same_bytes_make_the_same_bytes_and_the_same_state() -> None:
    assert sum(1 for _ in stories(Story, EXAMPLES)) == EXAMPLES // STORY


@pytest.mark.parametrize(("name", "message"), list(every_usual()))
def test_every_usual_message_is_recognised(name: str, message: bytes) -> None:
    given: list[object] = []
    usual = UsualMessages(Counters(), lambda found, now: given.extend(found), lambda *_: None)
    assert usual.take(1, message, 0, 9, 1.0) == len(message), name
    assert len(given) == 1
