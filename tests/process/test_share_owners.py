"""Two controllers that decide at once, each for its share of real switches: s1 (LTE) and s3 (the MCP) are of one, s2 (WLAN)
and s4 (the gateway) of the other."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from steering.wire.crypto import token
from steering.wire.mptcp import MpCapable, MpJoinSyn
from steering.wire.segment import Flags
from tests.support.attached_host import AttachedHost, entries, is_used, repeated
from tests.support.cluster_cell import BRIDGES, NAMES, WAIT, Cell, cell, settled
from tests.support.controller_process import Running
from tests.support.etcd import EtcdMembers
from tests.support.rest_calls import steering
from tests.support.waiting import wait_for

LTE, WLAN, SERVER, MCP = "10.1.0.2", "10.2.0.2", "10.9.0.2", "10.8.0.2"
KEY = bytes.fromhex("1b6ffbbde3984628")
HOST_KEY = bytes.fromhex("5c3ab1f0d2674e91")
TOKEN = token(1, KEY)
PORT = 5201


class Shared(NamedTuple):
    """`first`: the owner of s1 and s3; `second`: of s2 and s4; and who is attached."""

    cell: Cell
    first: Running
    second: Running
    lte: AttachedHost
    wlan: AttachedHost
    mcp: AttachedHost

    @property
    def at_lte(self) -> "Place":
        return Place(self.lte, LTE, BRIDGES[0], self.first)

    @property
    def at_wlan(self) -> "Place":
        return Place(self.wlan, WLAN, BRIDGES[1], self.second)


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdMembers]:
    with EtcdMembers(tmp_path_factory.mktemp("etcd")) as members:
        yield members


@contextmanager
def attached() -> Iterator[tuple[AttachedHost, AttachedHost, AttachedHost]]:
    """LTE's host, WLAN's and the MCP; a server too."""
    with ExitStack() as stack:
        lte, wlan, mcp, _ = (
            stack.enter_context(AttachedHost(bridge, address))
            for bridge, address in zip(BRIDGES, (LTE, WLAN, MCP, SERVER), strict=True)
        )
        yield lte, wlan, mcp


@contextmanager
def shared(folder: Path, etcd: EtcdMembers, *arguments: str) -> Iterator[Shared]:
    with cell(folder, etcd, "--cluster-shares", "2", *arguments) as made:
        halves = ({"s1", "s3"}, {"s2", "s4"})
        wait_for(
            lambda: sorted(sorted(made.masters(one)) for one in NAMES) == [["s1", "s3"], ["s2", "s4"]], WAIT
        )
        first, second = (
            next(made.controllers[one] for one in NAMES if made.masters(one) == half) for half in halves
        )
        with attached() as there:
            yield Shared(made, first, second, *there)


def command(running: Running, *words: str) -> tuple[int, list[str]]:
    """The status of a client command, and what it says."""
    done = steering(running, *words)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def sessions(running: Running) -> int:
    return int(running.json("/v1/sessions")["total"])


class Place(NamedTuple):
    """Where a host is, and who decides there."""

    host: AttachedHost
    address: str
    bridge: str
    owner: Running


def opened(at: Place, mcp: AttachedHost, sport: int) -> None:
    """A session whose token is known."""
    before = sessions(at.owner)
    assert repeated(
        lambda: at.host.sends(SERVER, sport, PORT, Flags.SYN, MpCapable(1).encode(1), seq=1000),
        # An MCP answers a SYN that it was led: not before the entry is there that leads it.
        lambda: (
            sessions(at.owner) == before + 1
            and bool(entries(at.bridge, nw_src=at.address, tp_src=str(sport)))
        ),
    )
    key = MpCapable(1, KEY).encode(1)
    mcp.sends(at.address, PORT, sport, Flags.SYN | Flags.ACK, key, src=SERVER, seq=9000, ack=1001)
    # A session of whose host nothing more is heard is half open, and ends soon after a crash.
    third = MpCapable(1, HOST_KEY, KEY).encode(1)
    assert repeated(
        lambda: at.host.sends(SERVER, sport, PORT, Flags.ACK, third, seq=1001, ack=9001),
        lambda: is_used(at.bridge, nw_src=at.address, tp_src=str(sport)),
    )


def joined(at: Place, sport: int) -> bool:
    """Whether a join is led to an MCP by an entry at its own switch."""
    option = MpJoinSyn(1, TOKEN, b"nonc").encode(1)
    return repeated(
        lambda: at.host.sends(SERVER, sport, PORT, Flags.SYN, option, seq=2000),
        lambda: bool(entries(at.bridge, nw_src=at.address, tp_src=str(sport))),
    )


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


def test_an_order_moves_a_share_with_its_sessions_and_says_so(tmp_path: Path, etcd: EtcdMembers) -> None:
    with cell(tmp_path, etcd, "--cluster-shares", "2", "--cluster-level", "ordered") as made:
        a, b = (made.controllers[name] for name in NAMES)
        # Who lets b stand by would level the load in the same breath, were it not for the order that this waits for.
        wait_for(lambda: made.masters("a") == {"s1", "s2", "s3", "s4"} and made.stands_by("b"), WAIT)
        with attached() as (lte, wlan, mcp):
            opened(Place(wlan, WLAN, BRIDGES[1], a), mcp, 40_000)
            assert command(b, "cluster", "rebalance", "--dry-run") == (0, ["s0001 would move from a to b"])
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
