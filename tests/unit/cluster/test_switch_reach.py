"""Which switches a member says that it lacks, as its connections come and go."""

from steering.cluster.shares import share_of
from steering.cluster.switch_reach import BACK, LOST, START, SwitchReach
from steering.model.cluster import SwitchLack
from steering.model.ids import DatapathId

SHARES = 2
NAMED = [DatapathId(n) for n in range(1, 7)]
FIRST, SECOND = ({dpid for dpid in NAMED if share_of(dpid, SHARES) == share} for share in ("s0000", "s0001"))


def test_a_switch_is_unsteady_at_once_lost_after_a_while_and_unsteady_for_a_while_when_it_is_back() -> None:
    assert FIRST and SECOND, "both shares have switches"
    reach = SwitchReach(SHARES)
    assert reach.look(NAMED, NAMED, 0.0) == {}
    size = len(FIRST)
    assert reach.look(NAMED, SECOND, 10.0) == {"s0000": SwitchLack(0, size, size)}
    assert reach.look(NAMED, SECOND, 9.9 + LOST) == {"s0000": SwitchLack(0, size, size)}
    assert reach.look(NAMED, SECOND, 10.0 + LOST) == {"s0000": SwitchLack(size, size, size)}
    assert reach.look(NAMED, NAMED, 100.0) == {"s0000": SwitchLack(0, size, size)}
    assert reach.look(NAMED, NAMED, 99.9 + BACK) == {"s0000": SwitchLack(0, size, size)}
    assert reach.look(NAMED, NAMED, 100.0 + BACK) == {}


def test_one_that_goes_again_before_it_is_steady_is_lost_from_then_on() -> None:
    reach = SwitchReach(SHARES)
    for heard, now in ((NAMED, 0.0), (SECOND, 10.0), (NAMED, 20.0), (SECOND, 25.0)):
        reach.look(NAMED, heard, now)
    assert reach.look(NAMED, SECOND, 24.9 + LOST)["s0000"].lost == 0
    assert reach.look(NAMED, SECOND, 25.0 + LOST)["s0000"].lost == len(FIRST)


def test_switches_have_time_to_connect_when_a_controller_starts() -> None:
    """Else those that start one after the other would move shares to and fro before their switches are there."""
    reach = SwitchReach(SHARES)
    size = len(SECOND)
    assert reach.look(NAMED, FIRST, 0.0) == {"s0001": SwitchLack(0, 0, size)}
    assert reach.look(NAMED, FIRST, START - 0.1) == {"s0001": SwitchLack(0, 0, size)}
    assert reach.look(NAMED, FIRST, START) == {"s0001": SwitchLack(0, size, size)}
    assert reach.look(NAMED, FIRST, START + LOST) == {"s0001": SwitchLack(size, size, size)}
    quick = SwitchReach(SHARES)
    quick.look(NAMED, [], 0.0)
    assert quick.look(NAMED, NAMED, START - 0.1) == {}


def test_a_switch_that_the_site_names_no_more_is_not_lacked() -> None:
    reach = SwitchReach(SHARES)
    reach.look(NAMED, NAMED, 0.0)
    reach.look(NAMED, [], 1.0)
    assert reach.look([], [], 2.0 + LOST) == {}
