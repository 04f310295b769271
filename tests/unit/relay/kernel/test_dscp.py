"""DSCP from leg to leg: what is configured, and the marks that tell legs apart. What the kernel does with it: lab `dscp`."""

import pytest

from steering.relay.kernel import dscp
from steering.relay.model import OptionError


class Socket:
    """Remembers its mark."""

    mark = 0

    def setsockopt(self, _level: int, _name: int, value: int) -> None:
        self.mark = value


def test_each_session_has_a_pair_of_marks_of_its_own():
    marks = dscp.CodePoints()
    seen = set()
    for _ in range(100_000):
        host = Socket()
        server = marks.begin(host, 0)  # type: ignore[arg-type]
        assert server == host.mark ^ 1
        seen |= {host.mark, server}
    assert len(seen) == 200_000
    assert {mark & dscp.SPACE_MASK for mark in seen} == {dscp.SPACE}
    assert dscp.AVOIDED not in {mark & 0xFFFF for mark in seen}


def test_a_pair_of_marks_says_what_the_hosts_syn_had():
    marks = dscp.CodePoints()
    for syn in range(64):
        host = Socket()
        server = marks.begin(host, syn)  # type: ignore[arg-type]
        for mark in (host.mark, server):
            assert (mark & dscp.SYN_MASK) >> dscp.SYN_SHIFT == syn
            assert mark & dscp.SPACE_MASK == dscp.SPACE


@pytest.mark.row("N-5.6.5a")
def test_code_points_are_re_marked_as_told_and_others_left():
    remap = dscp.parse_remap(["34:10", "46:0"])
    assert remap == {34: 10, 46: 0}
    text = dscp.ruleset(remap)
    for old in range(64):
        chain = text.split(f"chain put{old} {{", 1)[1].split("}", 1)[0]
        assert f"ip dscp set {remap.get(old, old)}\n" in chain
        assert f"ip6 dscp set {remap.get(old, old)}\n" in chain


@pytest.mark.parametrize("text", ["34", "34:", "64:1", "1:64", "-1:3", "a:b", "34:10:2", "٣:1"])
def test_what_is_no_code_point_is_refused_in_one_line(text: str):
    with pytest.raises(OptionError, match="FROM:TO"):
        dscp.parse_remap([text])


def test_a_code_point_is_re_marked_once():
    with pytest.raises(OptionError, match="already re-marked"):
        dscp.parse_remap(["34:10", "34:12"])
