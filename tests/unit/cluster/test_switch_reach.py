"""Which switches a member says that it lacks, as its connections come and go."""

from collections.abc import Iterable

from steering.cluster.shares import share_of
from steering.cluster.switch_reach import BACK, LOST, STALL, START, SwitchReach
from steering.model.cluster import SwitchLack
from steering.model.ids import DatapathId

SHARES = 2
NAMED = [DatapathId(n) for n in range(1, 7)]
FIRST, SECOND = ({dpid for dpid in NAMED if share_of(dpid, SHARES) == share} for share in ("s0000", "s0001"))


class Looks:
    """Looks at switches twice a second."""

    def __init__(self) -> None:
        self.reach = SwitchReach(SHARES)
        self.now = 0.0

    def until(self, when: float, heard: Iterable[DatapathId]) -> dict[str, SwitchLack]:
        """Look until then; what the last look found."""
        known = set(heard)
        while self.now < when:
            self.now = min(self.now + 0.5, when)
            found = self.reach.look(NAMED, known, self.now)
        return found


def test_a_switch_is_unsteady_at_once_lost_after_a_while_and_unsteady_for_a_while_when_it_is_back() -> None:
    assert FIRST and SECOND, "both shares have switches"
    looks, size = Looks(), len(FIRST)
    assert looks.until(10.0, NAMED) == {}
    assert looks.until(10.5, SECOND) == {"s0000": SwitchLack(0, size, size)}
    assert looks.until(10.4 + LOST, SECOND) == {"s0000": SwitchLack(0, size, size)}
    assert looks.until(10.5 + LOST, SECOND) == {"s0000": SwitchLack(size, size, size)}
    assert looks.until(99.5, SECOND) == {"s0000": SwitchLack(size, size, size)}
    assert looks.until(100.0, NAMED) == {"s0000": SwitchLack(0, size, size)}
    assert looks.until(99.9 + BACK, NAMED) == {"s0000": SwitchLack(0, size, size)}
    assert looks.until(100.0 + BACK, NAMED) == {}


def test_one_that_goes_again_before_it_is_steady_is_lost_from_then_on() -> None:
    looks = Looks()
    for until, heard in ((10.0, NAMED), (20.0, SECOND), (25.0, NAMED), (25.5, SECOND)):
        looks.until(until, heard)
    assert looks.until(25.4 + LOST, SECOND)["s0000"].lost == 0
    assert looks.until(25.5 + LOST, SECOND)["s0000"].lost == len(FIRST)


def test_switches_have_time_to_connect_when_a_controller_starts() -> None:
    """Else those that start one after the other would move shares to and fro before their switches are there."""
    looks, size = Looks(), len(SECOND)
    assert looks.until(0.5, FIRST) == {"s0001": SwitchLack(0, 0, size)}
    assert looks.until(0.4 + START, FIRST) == {"s0001": SwitchLack(0, 0, size)}
    assert looks.until(0.5 + START, FIRST) == {"s0001": SwitchLack(0, size, size)}
    assert looks.until(0.5 + START + LOST, FIRST) == {"s0001": SwitchLack(size, size, size)}
    quick = Looks()
    quick.until(START - 1, ())
    assert quick.until(START, NAMED) == {}


def test_a_process_that_was_busy_has_not_heard_its_switches_for_that_reason() -> None:
    """It reads what came meanwhile before it judges."""
    looks = Looks()
    looks.until(10.0, NAMED)
    looks.now = 20.0 - 0.5
    assert looks.until(20.0 + STALL - 0.5, SECOND) == {}
    assert looks.until(30.0, NAMED) == {}
    looks.now = 40.0 - 0.5
    assert looks.until(40.0 + STALL, SECOND) == {"s0000": SwitchLack(0, len(FIRST), len(FIRST))}


def test_a_switch_that_the_site_names_no_more_is_not_lacked() -> None:
    looks = Looks()
    looks.until(1.0, NAMED)
    assert looks.until(2.0, ())
    assert looks.reach.look([], [], 2.5) == {}
