"""Token buckets and limits of log lines: so many at once, so many later, and bounded memory."""

from math import inf

from steering.model.log_limit import MAX_SUBJECTS, LogLimit, and_more
from steering.model.token_bucket import TokenBucket


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(10.0, 3.0, 0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [0.0] * 3
    assert 0.0 < bucket.take(0.0) <= 0.1
    assert bucket.take(0.11) == 0.0


def test_an_endless_bucket_is_never_empty() -> None:
    bucket = TokenBucket(inf, inf, 0.0)
    assert not any(bucket.take(0.0) for _ in range(1_000))


def test_so_many_lines_about_a_subject_and_the_next_says_what_was_left_out() -> None:
    lines = LogLimit(60.0, 2)
    assert [lines.left_out("one", 0.0) for _ in range(5)] == [0, 0, None, None, None]
    assert lines.left_out("other", 1.0) == 0
    assert lines.left_out("one", 60.0) == 3
    assert and_more(3) and not and_more(0)


def test_subjects_without_end_are_not_remembered() -> None:
    lines = LogLimit(60.0)
    for number in range(3 * MAX_SUBJECTS):
        assert lines.left_out(number, 0.0) == 0
    assert len(lines._subjects) <= MAX_SUBJECTS
