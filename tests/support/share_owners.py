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
from tests.support.controller_process import SITE, Running
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

    def name_of(self, running: Running) -> str:
        return next(name for name, one in self.cell.controllers.items() if one is running)

    @property
    def at_lte(self) -> "Place":
        return Place(self.lte, LTE, BRIDGES[0], self.first)

    @property
    def at_wlan(self) -> "Place":
        return Place(self.wlan, WLAN, BRIDGES[1], self.second)


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
def shared(
    folder: Path, etcd: EtcdMembers, *arguments: str, policy: str = "policy: 1\n", site: str = SITE
) -> Iterator[Shared]:
    with cell(folder, etcd, "--cluster-shares", "2", *arguments, policy=policy, site=site) as made:
        halves = ({"s1", "s3"}, {"s2", "s4"})
        wait_for(
            lambda: sorted(sorted(made.masters(one)) for one in NAMES) == [["s1", "s3"], ["s2", "s4"]], WAIT
        )
        first, second = (
            next(made.controllers[one] for one in NAMES if made.masters(one) == half) for half in halves
        )
        with attached() as there:
            yield Shared(made, first, second, *there)


def sessions(running: Running) -> int:
    """How many a controller has itself."""
    return int(sum(running.json("/v1/health")["sessions"].values()))


class Place(NamedTuple):
    """Where a host is, and who decides there."""

    host: AttachedHost
    address: str
    bridge: str
    owner: Running


def opened(at: Place, mcp: AttachedHost, sport: int, number: int = 0) -> None:
    """A session whose token is known. `number`: of those that have other keys."""
    before = sessions(at.owner)
    assert repeated(
        lambda: at.host.sends(SERVER, sport, PORT, Flags.SYN, MpCapable(1).encode(1), seq=1000),
        # An MCP answers a SYN that it was led: not before the entry is there that leads it.
        lambda: (
            sessions(at.owner) == before + 1
            and bool(entries(at.bridge, nw_src=at.address, tp_src=str(sport)))
        ),
    )
    ours, theirs = (bytes((known[0] ^ number,)) + known[1:] for known in (HOST_KEY, KEY))
    key = MpCapable(1, theirs).encode(1)
    mcp.sends(at.address, PORT, sport, Flags.SYN | Flags.ACK, key, src=SERVER, seq=9000, ack=1001)
    # A session of whose host nothing more is heard is half open, and ends soon after a crash.
    third = MpCapable(1, ours, theirs).encode(1)
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


def begun(at: Place, sport: int) -> None:
    """A session that its MCP has not answered yet."""
    before = sessions(at.owner)
    assert repeated(
        lambda: at.host.sends(SERVER, sport, PORT, Flags.SYN, MpCapable(1).encode(1), seq=1000),
        lambda: sessions(at.owner) == before + 1,
    )
