"""What etcd says of a cell is believed as far as it is ours, and bounded."""

import json

import pytest

from steering.cluster.cell import (
    ClusterCell,
    assignment_text,
    member_text,
    read_assignment,
)
from steering.model.cluster import LAST_GENERATION, MOST_MEMBERS, ClusterMember, Grant, ShareAssignment


def test_members_shares_and_orders_are_read_as_they_were_written() -> None:
    cell = ClusterCell()
    member = ClusterMember("a", "http://10.0.0.1:8080", 4, stream="[fd00::1]:6700")
    share = ShareAssignment(Grant("a", 3), (Grant("b", 4), Grant("c", 9)))
    cell.take("ctl/a", member_text(member, "digest"), 5)
    cell.take("own/s0001", assignment_text(share), 6)
    cell.take("drain/a", "1", 7)
    cell.take("generation", "9", 8)
    cell.take("shares", "4", 8)
    assert cell.present() == [member._replace(draining=True)] and cell.sites == {"a": "digest"}
    assert cell.shares == {"s0001": share} and (cell.last, cell.count, cell.damaged) == (9, 4, 0)
    for key in ("ctl/a", "own/s0001", "drain/a"):
        cell.take(key, None, 9)
    assert (cell.present(), cell.shares, cell.draining) == ([], {}, set())
    assert cell.revisions == {"generation": 8, "shares": 8}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("ctl/a", "{}"), ("ctl/a", "[]"), ("ctl/a", "x"), ("ctl/a", "[" * 4_000),
        ("ctl/a", json.dumps({"address": "a b", "capacity": 1, "site": ""})),
        ("ctl/../x", json.dumps({"address": "a:1", "capacity": 1, "site": ""})),
        ("ctl/a", json.dumps({"address": "a:1", "capacity": -1, "site": ""})),
        ("ctl/a", json.dumps({"address": "a:1", "capacity": 1, "site": ""}) + " " * 5_000),
        ("ctl/a", json.dumps({"address": "a:1", "capacity": 1, "site": "", "stream": "host:1"})),
        ("ctl/a", json.dumps({"address": "a:1", "capacity": 1, "site": "", "stream": "10.0.0.1:0"})),
        ("own/s0001", "[]"), ("own/s0001", "7"), ("own/s0001", '[["a", "b"]]'), ("own/s0001", '[["a", true]]'),
        ("own/s0001", '[["a", 1], ["b", 1]]'), ("own/s0001", '[["a", 1], ["a", 2]]'),
        ("own/s0001", '[["a", 1], ["b", 2], ["c", 3], ["d", 4]]'),
        ("own/s0001", f'[["a", {LAST_GENERATION + 1}]]'), ("own/s0001", '[["a", -1]]'),
        ("generation", "x"), ("generation", str(LAST_GENERATION + 1)), ("shares", "99999"),
    ],
)  # fmt: skip
def test_what_is_none_of_ours_is_left_out_and_counted(key: str, text: str) -> None:
    cell = ClusterCell()
    cell.take(key, text, 1)
    assert (cell.present(), cell.shares, cell.last, cell.count, cell.damaged) == ([], {}, 0, 0, 1)


def test_members_are_bounded() -> None:
    cell = ClusterCell()
    for number in range(MOST_MEMBERS + 10):
        cell.take(f"ctl/c{number}", member_text(ClusterMember(f"c{number}", "x:1"), ""), 1)
        cell.take(f"drain/c{number}", "1", 1)
    assert len(cell.members) == len(cell.draining) == MOST_MEMBERS


def test_a_generation_of_two_controllers_is_none() -> None:
    """The same generation for two would let both decide in turn, and tell neither."""
    with pytest.raises(ValueError):
        read_assignment('[["a", 5], ["b", 5]]')
