"""The fast path and the general way are equal: the same bytes to both, every byte that leaves and all state compared."""

import os

import pytest

from steering.core.counters import Counters
from steering.openflow.fastpath.reader import UsualMessages
from tests.property.fastpath.story import LOOK, SEED, STORY, Story
from tests.property.fastpath.traffic import every_usual

EXAMPLES = int(os.environ.get("STEERING_FAST_PATH_EXAMPLES", "2000"))  # reads; 100,000 at night


@pytest.mark.timeout(3600)
def test_the_same_bytes_make_the_same_bytes_and_the_same_state() -> None:
    """And the stories meet the fast path: else this would show nothing."""
    fast = general = 0
    for number in range(EXAMPLES // STORY):
        story = Story(number)
        for step in range(STORY):
            try:
                story.one()
                if step % LOOK == LOOK - 1:
                    story.same_state()
            except AssertionError as error:
                raise AssertionError(f"seed {SEED}, story {number}, read {step}") from error
        fast, general = fast + story.fast.by_fast, general + story.general.by_general
        assert story.general.by_fast == 0
    assert fast > general / 4, (fast, general)


@pytest.mark.parametrize(("name", "message"), list(every_usual()))
def test_every_usual_message_is_recognised(name: str, message: bytes) -> None:
    given: list[object] = []
    usual = UsualMessages(Counters(), lambda found, now: given.extend(found), lambda *_: None)
    assert usual.take(1, message, 0, 9, 1.0) == len(message), name
    assert len(given) == 1
