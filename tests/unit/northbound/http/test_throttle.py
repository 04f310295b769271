"""The token bucket: pure, so time is a number."""

from hypothesis import given
from hypothesis import strategies as st

from steering.model.token_bucket import TokenBucket
from steering.northbound.http.throttle import MAX_BUCKETS, Throttle


def test_a_burst_then_the_rate() -> None:
    bucket = TokenBucket(2.0, 3.0, 10.0)
    assert [bucket.take(10.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(10.0) == 0.5
    assert bucket.take(10.5) == 0.0
    assert bucket.take(10.5) == 0.5


def test_a_long_pause_gives_no_more_than_the_burst() -> None:
    bucket = TokenBucket(2.0, 3.0, 0.0)
    assert [bucket.take(1e9) > 0 for _ in range(4)] == [False, False, False, True]


@given(st.lists(st.floats(-1.0, 1.0), max_size=200))
def test_never_more_than_burst_and_rate_allow_whatever_the_clock_does(steps: list[float]) -> None:
    bucket, now, latest, taken = TokenBucket(5.0, 4.0, 0.0), 0.0, 0.0, 0
    for step in steps:
        now += step
        latest = max(latest, now)
        taken += bucket.take(now) == 0.0
        assert taken <= 4.0 + 5.0 * latest + 1e-6


def test_callers_do_not_take_from_each_other_and_wait_whole_seconds() -> None:
    throttle = Throttle(rate=0.4, burst=1.0)
    assert throttle.wait("a", 0.0) == 0
    assert throttle.wait("a", 0.0) == 3  # 2.5, rounded up
    assert throttle.wait("b", 0.0) == 0


def test_callers_are_bounded_and_the_idlest_is_forgotten() -> None:
    throttle = Throttle(rate=0.001, burst=1.0)
    for number in range(MAX_BUCKETS):
        throttle.wait(str(number), 0.0)
    assert throttle.wait("0", 0.0) > 0  # used again: "1" is the idlest now
    throttle.wait("new", 0.0)
    assert throttle.wait("0", 0.0) > 0
    assert throttle.wait("1", 0.0) == 0
