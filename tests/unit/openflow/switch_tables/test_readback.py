"""Reading back what a switch holds: answers in parts, those that nobody asked for, and those that never come."""

import pytest

from steering.core.inputs import EntriesRead
from steering.core.outputs import ReadEntries, SweepEntries
from steering.model.rules import static_cookie
from steering.openflow.messages.reader import Disconnect
from tests.support.sender_bench import Bench, multipart, stats


def test_an_answer_in_parts_becomes_one_input() -> None:
    bench = Bench(1)
    bench.do(ReadEntries(1))
    _, (_, xid, _) = bench.lines[1].take()  # behind the question for groups
    bench.sender.readback.part(1, xid, multipart(xid, b"", more=1), 1.0)
    assert not bench.fed
    bench.sender.readback.part(1, xid, multipart(xid, b""), 2.0)
    assert bench.fed == [EntriesRead(1, [], [])]
    bench.sender.readback.part(1, xid, multipart(xid, b""), 3.0)
    assert len(bench.fed) == 1, "the end of an answer is its end"


def test_what_was_not_asked_for_is_ignored() -> None:
    bench = Bench(1)
    bench.do(SweepEntries(1))
    ((_, xid, _),) = bench.lines[1].take()
    bench.sender.readback.part(1, xid + 1, multipart(xid + 1, b""), 1.0)
    bench.sender.readback.part(1, xid, multipart(xid, b"", kind=13), 1.0)
    bench.sender.readback.part(1, xid, b"\4\x13\0\x08\0\0\0\0", 1.0)
    assert not bench.fed and bench.lines[1].reason is None


@pytest.mark.parametrize("body", [b"\0", stats(static_cookie(1), 0)[:-1], b"\0\1" + bytes(60)])
def test_a_malformed_answer_ends_the_connection(body: bytes) -> None:
    bench = Bench(1)
    bench.do(ReadEntries(1))
    _, (_, xid, _) = bench.lines[1].take()  # behind the question for groups
    bench.sender.readback.part(1, xid, multipart(xid, body), 1.0)
    assert bench.lines[1].reason is Disconnect.BAD_ENTRIES and not bench.fed


def test_no_answer_ends_the_connection() -> None:
    bench = Bench(1)
    bench.do(ReadEntries(1), now=0.0)
    bench.sender.expire(29.9)
    assert bench.lines[1].reason is None
    bench.sender.expire(30.0)
    assert bench.lines[1].reason is Disconnect.READ_TIMEOUT
