"""Two controllers that decide at once, each for its share of real switches: joins across them, the death of one, and a share
that moves."""

from pathlib import Path

import pytest

from steering.wire.mptcp import MpCapable
from steering.wire.segment import Flags
from tests.support.attached_host import entries, repeated
from tests.support.cluster_cell import BRIDGES, NAMES, WAIT, cell, settled
from tests.support.controller_process import Running
from tests.support.etcd import EtcdMembers
from tests.support.rest_calls import steering
from tests.support.share_owners import (
    LTE,
    PORT,
    SERVER,
    WLAN,
    Place,
    attached,
    joined,
    opened,
    sessions,
    shared,
)
from tests.support.waiting import wait_for

LIMIT = 4


def command(running: Running, *words: str) -> tuple[int, list[str]]:
    """The status of a client command, and what it says."""
    done = steering(running, *words)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def touched(before: dict[str, tuple[str, float]], after: dict[str, tuple[str, float]]) -> set[str]:
    """Rules that came or went, were written again, or have another cookie."""
    return before.keys() ^ after.keys() | {
        what
        for what, one in after.items()
        if what in before and (one[0] != before[what][0] or one[1] < before[what][1])
    }


@pytest.mark.row("D-6.7.1")
def test_a_join_at_another_owners_switch_is_pinned_and_outlives_its_owner(
    tmp_path: Path, etcd: EtcdMembers
) -> None:
    with shared(tmp_path, etcd) as made:
        opened(made.at_lte, made.mcp, 40_000)
        assert entries(BRIDGES[3], nw_src=SERVER, tp_dst="40000"), (
            "the way back, at the other owner's gateway"
        )
        assert joined(made.at_wlan, 40_001)
        assert sessions(made.second) == 0, "it is the other's session"
        assert made.second.json("/v1/status")["missing"] == [], "the other's switches are there"
        before = settled()
        made.first.kill()
        name = next(one for one, running in made.cell.controllers.items() if running is made.second)
        wait_for(lambda: made.cell.masters(name) == {"s1", "s2", "s3", "s4"}, WAIT)
        wait_for(lambda: sessions(made.second) == 1, WAIT)
        assert not touched(before, settled())
        subflows = made.second.json("/v1/sessions")["sessions"][0]["subflows"]
        assert subflows == 2, "the join too, whose entry it had left alone as another's"
        assert joined(made.at_wlan, 40_002)


def test_the_control_without_tokens_of_others_pins_no_join(tmp_path: Path, etcd: EtcdMembers) -> None:
    with shared(tmp_path, etcd, "--disable", "peer-tokens") as made:
        opened(made.at_lte, made.mcp, 40_000)
        assert not joined(made.at_wlan, 40_001)


@pytest.mark.row("D-6.3f", "D-6.7.1")
def test_a_limit_that_one_owner_has_used_up_holds_when_the_other_one_is_back(
    tmp_path: Path, etcd: EtcdMembers
) -> None:
    with shared(tmp_path, etcd, policy=f"policy: 1\nquotas: {{sessions_per_server: {LIMIT}}}\n") as made:
        for number in range(LIMIT):
            opened(made.at_lte, made.mcp, 40_000 + number, number)
        assert (sessions(made.first), sessions(made.second)) == (LIMIT, 0), "it was given the other's half"
        made.second.kill()
        made.second.start()
        name = made.name_of(made.second)
        wait_for(lambda: made.cell.masters(name) in ({"s1", "s3"}, {"s2", "s4"}), WAIT)
        is_wlan = "s2" in made.cell.masters(name)
        host, bridge = (made.wlan, BRIDGES[1]) if is_wlan else (made.lte, BRIDGES[0])
        opening = MpCapable(1).encode(1)
        assert repeated(
            lambda: host.sends(SERVER, 41_000, PORT, Flags.SYN, opening, seq=1000),
            lambda: made.second.metric("steering_refusals_total", reason="session-limit") > 0,
        )
        assert not entries(bridge, tp_src="41000") and sessions(made.first) in (0, LIMIT), (
            "no further one began"
        )


def test_an_order_moves_a_share_with_its_sessions_and_says_so(tmp_path: Path, etcd: EtcdMembers) -> None:
    with cell(tmp_path, etcd, "--cluster-shares", "2", "--cluster-level", "ordered", one_by_one=True) as made:
        a, b = (made.controllers[name] for name in NAMES)
        # Who lets b stand by would level the load in the same breath, were it not for the order that this waits for.
        wait_for(lambda: made.masters("a") == {"s1", "s2", "s3", "s4"} and made.stands_by("b"), WAIT)
        with attached() as (lte, wlan, mcp):
            opened(Place(wlan, WLAN, BRIDGES[1], a), mcp, 40_000)
            # As soon as b has told that it reaches switches.
            would = (0, ["s0001 would move from a to b"])
            wait_for(lambda: command(b, "cluster", "rebalance", "--dry-run") == would, WAIT)
            assert not made.masters("b") and sessions(b) == 0
            before = settled()
            assert command(b, "cluster", "rebalance") == (
                0,
                ["s0001 will move from a to b", "s0001 is b's now", "the load is level"],
            )
            assert made.masters("b") == {"s2", "s4"}
            wait_for(lambda: (sessions(a), sessions(b)) == (0, 1), WAIT)
            assert not touched(before, settled())
            assert joined(Place(lte, LTE, BRIDGES[0], a), 40_001), "of a session that b has now"
            status, lines = command(a, "cluster", "rebalance")
            assert status and "nothing is to be done: of 2 shares a has 1, b has 1" in lines[-1]
