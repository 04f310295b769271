"""Two controllers that decide at once, each for its share of real switches: s1 (LTE) and s3 (the MCP) are of one, s2 (WLAN)
and s4 (the gateway) of the other."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest

from steering.model.rules import VIRTUAL_MAC
from steering.wire.craft import tcp_frame
from steering.wire.crypto import token
from steering.wire.mptcp import MpCapable, MpJoinSyn
from steering.wire.options import pack_options
from steering.wire.segment import Flags
from tests.integration.frames import arp, mac
from tests.integration.ovs import run
from tests.support.cluster_cell import BRIDGES, NAMES, WAIT, Cell, cell, settled
from tests.support.controller_process import Running
from tests.support.etcd import EtcdMembers
from tests.support.waiting import wait_for

LTE, WLAN, SERVER, MCP = "10.1.0.2", "10.2.0.2", "10.9.0.2", "10.8.0.2"
KEY = bytes.fromhex("1b6ffbbde3984628")
HOST_KEY = bytes.fromhex("5c3ab1f0d2674e91")
TOKEN = token(1, KEY)
PORT = 5201
TRIES = 10  # of a host that repeats its SYN
ONE_S = 1.0


class Attached:
    """Whoever is at a port of a bridge, with one address: answers who asks for its MAC, until the end."""

    def __init__(self, bridge: str, address: str) -> None:
        self._address = ip_address(address).packed
        self._mac = f"0a:00:00:00:00:{self._address[1]:02x}"
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.bind((f"{bridge}p1", 0))
        self._socket.settimeout(0.2)
        self._ends = False
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def sends(
        self, dst: str, sport: int, dport: int, flags: int, option: bytes, src: str = "", **more: int
    ) -> None:
        """A TCP segment. `src`: an MCP sends with others' addresses too."""
        source = ip_address(src).packed if src else self._address
        frame = tcp_frame(
            source, ip_address(dst).packed, sport, dport, flags=flags,
            options=pack_options(option), dst_mac=mac(VIRTUAL_MAC), src_mac=mac(self._mac), **more,
        )  # fmt: skip
        self._socket.send(frame)

    def _answer(self) -> None:
        while not self._ends:
            try:
                frame = self._socket.recv(2048)
            except TimeoutError:
                continue
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] == self._address:
                asking, asked_by = frame[22:28].hex(":"), str(ip_address(frame[28:32]))
                own = str(ip_address(self._address))
                self._socket.send(arp(2, self._mac, own, asking, asked_by, asking))

    def end(self) -> None:
        self._ends = True
        self._thread.join()
        self._socket.close()


class Shared(NamedTuple):
    """`first`: the owner of s1 and s3; `second`: of s2 and s4; and who is attached."""

    cell: Cell
    first: Running
    second: Running
    lte: Attached
    wlan: Attached
    mcp: Attached


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdMembers]:
    members = EtcdMembers(tmp_path_factory.mktemp("etcd"))
    members.start()
    yield members
    members.close()


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
        there = [
            Attached(bridge, address)
            for bridge, address in zip(BRIDGES, (LTE, WLAN, MCP, SERVER), strict=True)
        ]
        try:
            yield Shared(made, first, second, *there[:3])
        finally:
            for one in there:
                one.end()


def sessions(running: Running) -> int:
    return int(running.json("/v1/sessions")["total"])


def entries(bridge: str, **fields: str) -> list[str]:
    """Session entries at a bridge with these fields."""
    wanted = [f"{name}={value}" for name, value in fields.items()]
    lines = run("ovs-ofctl", "-O", "OpenFlow13", "dump-flows", bridge, "table=1").splitlines()
    return [line for line in lines if all(one in line for one in wanted)]


def repeated(send, seen) -> bool:
    """Whether something is seen after a segment that its host repeats, once a second."""
    for _ in range(TRIES):
        send()
        try:
            wait_for(seen, ONE_S)
        except AssertionError:
            continue
        return True
    return False


def opened(made: Shared, sport: int) -> None:
    """A session from LTE, whose way back begins at the other controller's gateway, and whose token is known."""
    before = sessions(made.first)
    assert repeated(
        lambda: made.lte.sends(SERVER, sport, PORT, Flags.SYN, MpCapable(1).encode(1), seq=1000),
        lambda: sessions(made.first) == before + 1,
    )
    key = MpCapable(1, KEY).encode(1)
    made.mcp.sends(LTE, PORT, sport, Flags.SYN | Flags.ACK, key, src=SERVER, seq=9000, ack=1001)
    # A session of whose host nothing more is heard is half open, and ends soon after a crash.
    third = MpCapable(1, HOST_KEY, KEY).encode(1)
    made.lte.sends(SERVER, sport, PORT, Flags.ACK, third, seq=1001, ack=9001)
    entry = {"nw_src": LTE, "tp_src": str(sport)}
    wait_for(lambda: any("n_packets=0" not in line for line in entries(BRIDGES[0], **entry)), WAIT)


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
