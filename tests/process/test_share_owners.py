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


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdMembers]:
    with EtcdMembers(tmp_path_factory.mktemp("etcd")) as members:
        yield members


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
        with ExitStack() as attached:
            there = [
                attached.enter_context(AttachedHost(bridge, address))
                for bridge, address in zip(BRIDGES, (LTE, WLAN, MCP, SERVER), strict=True)
            ]
            yield Shared(made, first, second, *there[:3])


def sessions(running: Running) -> int:
    return int(running.json("/v1/sessions")["total"])


def opened(made: Shared, sport: int) -> None:
    """A session from LTE, whose way back begins at the other controller's gateway, and whose token is known."""
    before = sessions(made.first)
    assert repeated(
        lambda: made.lte.sends(SERVER, sport, PORT, Flags.SYN, MpCapable(1).encode(1), seq=1000),
        # An MCP answers a SYN that it was led: not before the entry is there that leads it.
        lambda: (
            sessions(made.first) == before + 1 and bool(entries(BRIDGES[0], nw_src=LTE, tp_src=str(sport)))
        ),
    )
    key = MpCapable(1, KEY).encode(1)
    made.mcp.sends(LTE, PORT, sport, Flags.SYN | Flags.ACK, key, src=SERVER, seq=9000, ack=1001)
    # A session of whose host nothing more is heard is half open, and ends soon after a crash.
    third = MpCapable(1, HOST_KEY, KEY).encode(1)
    assert repeated(
        lambda: made.lte.sends(SERVER, sport, PORT, Flags.ACK, third, seq=1001, ack=9001),
        lambda: is_used(BRIDGES[0], nw_src=LTE, tp_src=str(sport)),
    )


def joined(made: Shared, sport: int) -> bool:
    """Whether a join from WLAN is led to an MCP by an entry at its own switch."""
    option = MpJoinSyn(1, TOKEN, b"nonc").encode(1)
    return repeated(
        lambda: made.wlan.sends(SERVER, sport, PORT, Flags.SYN, option, seq=2000),
        lambda: bool(entries(BRIDGES[1], nw_src=WLAN, tp_src=str(sport))),
    )


@pytest.mark.row("D-6.7.1")
def test_a_join_at_another_owners_switch_is_pinned_and_outlives_its_owner(
    tmp_path: Path, etcd: EtcdMembers
) -> None:
    with shared(tmp_path, etcd) as made:
        opened(made, 40_000)
        assert entries(BRIDGES[3], nw_src=SERVER, tp_dst="40000"), (
            "the way back, at the other owner's gateway"
        )
        assert joined(made, 40_001)
        assert sessions(made.second) == 0, "it is the other's session"
        assert made.second.json("/v1/status")["missing"] == [], "the other's switches are there"
        before = settled()
        made.first.kill()
        name = next(one for one, running in made.cell.controllers.items() if running is made.second)
        wait_for(lambda: made.cell.masters(name) == {"s1", "s2", "s3", "s4"}, WAIT)
        wait_for(lambda: sessions(made.second) == 1, WAIT)
        after = settled()
        assert before.keys() - after.keys() == after.keys() - before.keys() == set()
        changed = [
            what for what, one in after.items() if one[0] != before[what][0] or one[1] < before[what][1]
        ]
        assert not changed, "rules that were written again, or with another cookie"
        subflows = made.second.json("/v1/sessions")["sessions"][0]["subflows"]
        assert subflows == 2, "the join too, whose entry it had left alone as another's"
        assert joined(made, 40_002)


def test_the_control_without_tokens_of_others_pins_no_join(tmp_path: Path, etcd: EtcdMembers) -> None:
    with shared(tmp_path, etcd, "--disable", "peer-tokens") as made:
        opened(made, 40_000)
        assert not joined(made, 40_001)
