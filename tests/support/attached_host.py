"""A host, server or MCP at a port of a bridge of a real Open vSwitch (port 1, if no other is given). It answers ARP for its address, and
sends TCP."""

import socket
import threading
from collections.abc import Callable
from ipaddress import ip_address
from typing import Self

from steering.model.rules import VIRTUAL_MAC
from steering.wire.craft import tcp_frame
from steering.wire.options import pack_options
from tests.integration.frames import arp, mac
from tests.integration.ovs import run
from tests.support.waiting import wait_for

TRIES = 30  # of a host that repeats its segment
ONE_S = 1.0


class AttachedHost:
    """A host, a server or an MCP with one IPv4 address. To be used with `with`."""

    def __init__(self, bridge: str, address: str, port: int = 1) -> None:
        self._address = ip_address(address).packed
        self._mac = f"0a:00:00:00:00:{self._address[1]:02x}"
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.bind((f"{bridge}p{port}", 0))
        self._socket.settimeout(0.2)
        self._ends = False
        self._thread = threading.Thread(target=self._answer)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self._thread.join()
        self._socket.close()

    def sends(
        self,
        dst: str,
        sport: int,
        dport: int,
        flags: int,
        option: bytes = b"",
        src: str = "",
        payload: bytes = b"",
        **more: int,
    ) -> None:
        """A TCP segment. `src`: an MCP sends with others' addresses too."""
        source = ip_address(src).packed if src else self._address
        frame = tcp_frame(
            source, ip_address(dst).packed, sport, dport, flags=flags,
            options=pack_options(option), dst_mac=mac(VIRTUAL_MAC), src_mac=mac(self._mac),
            payload=payload, **more,
        )  # fmt: skip
        self._socket.send(frame)

    def _answer(self) -> None:
        while not self._ends:
            try:
                frame = self._socket.recv(2048)
            except OSError:  # nothing came, or the bridge is gone
                continue
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] == self._address:
                asking, asked_by = frame[22:28].hex(":"), str(ip_address(frame[28:32]))
                own = str(ip_address(self._address))
                self._socket.send(arp(2, self._mac, own, asking, asked_by, asking))


def repeated(send: Callable[[], None], seen: Callable[[], bool]) -> bool:
    """Whether something is seen after a segment that its host repeats, once a second."""
    for _ in range(TRIES):
        send()
        try:
            wait_for(seen, ONE_S)
        except AssertionError:
            continue
        return True
    return False


def entries(bridge: str, **fields: str) -> list[str]:
    """Session entries at a bridge with these fields, as Open vSwitch prints them."""
    wanted = [f"{name}={value}" for name, value in fields.items()]
    lines = run("ovs-ofctl", "-O", "OpenFlow13", "dump-flows", bridge, "table=1").splitlines()
    return [line for line in lines if all(one in line for one in wanted)]


def is_used(bridge: str, **fields: str) -> bool:
    """Whether a session entry with these fields has counted a segment."""
    return any("n_packets=0," not in line for line in entries(bridge, **fields))
