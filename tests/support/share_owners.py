"""Two controllers that decide at once, each for its share of real switches: s1 (LTE) and s3 (the MCP) are of one, s2 (WLAN)
and s4 (the gateway) of the other."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from steering.wire.crypto import token
from steering.wire.mptcp import MpCapable, MpJoinSyn
from steering.wire.segment import Flags
from tests.support.attached_host import AttachedHost, entries, is_used, repeated
from tests.support.cluster_cell import BRIDGES, NAMES, WAIT, Cell, cell
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
    gateway: AttachedHost

    def name_of(self, running: Running) -> str:
        return next(name for name, one in self.cell.controllers.items() if one is running)


@contextmanager
def shared(folder: Path, etcd: EtcdMembers, *arguments: str, policy: str = "policy: 1\n") -> Iterator[Shared]:
    with cell(folder, etcd, "--cluster-shares", "2", *arguments, policy=policy) as made:
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
            yield Shared(made, first, second, *there)


def sessions(running: Running) -> int:
    """How many a controller has itself."""
    return int(sum(running.json("/v1/health")["sessions"].values()))


def begun(running: Running, host: AttachedHost, sport: int) -> None:
    """A session of a host at one of this controller's switches, which its MCP has not answered yet."""
    before = sessions(running)
    assert repeated(
        lambda: host.sends(SERVER, sport, PORT, Flags.SYN, MpCapable(1).encode(1), seq=1000),
        lambda: sessions(running) == before + 1,
    )


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
