"""A bridge of a real Open vSwitch (userspace datapath) with raw OpenFlow and raw frames, for the tests here.

The bridge's management socket speaks OpenFlow, so no controller has to be configured. Frames go in and out
by packet sockets on veth pairs, of which the other end is a port of the bridge.
"""

import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from steering.openflow.messages.encode import barrier_request, flow_stats_request, message

_RUN = Path(os.environ.get("OVS_RUNDIR", "/var/run/openvswitch"))
_HELLO, _ERROR, _ECHO, _SET_CONFIG, _PACKET_IN, _MULTIPART, _BARRIER_REPLY = 0, 1, 2, 9, 10, 19, 21
_MORE = 1
_OUTGOING = 4  # PACKET_OUTGOING: what this socket's own side sent


def run(*line: str) -> str:
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout


class Switch:
    """One bridge: `conn` is raw OpenFlow 1.3, `port(n)` the far end of its port n."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._buffer = bytearray()
        self._packet_ins: list[bytes] = []
        self._ports: dict[int, socket.socket] = {}
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(300)  # also for a hundred thousand entries on a slow machine
        self._socket.connect(str(_RUN / f"{name}.mgmt"))
        self._socket.sendall(message(_HELLO, 1, struct.pack("!HHI", 1, 8, 1 << 4)))
        while self._next()[1] != _HELLO:
            pass
        # A management connection gets packet-ins only once it asks for bytes of them.
        self._socket.sendall(message(_SET_CONFIG, 2, struct.pack("!HH", 0, 0xFFFF)))

    def forget(self) -> None:
        """Drop cached datapath flows, which may stem from earlier rules: a barrier does not see to that."""
        run("ovs-appctl", "revalidator/purge")

    def close(self) -> None:
        self._socket.close()
        for end in self._ports.values():
            end.close()

    def _next(self) -> bytes:
        while len(self._buffer) < 8 or len(self._buffer) < int.from_bytes(self._buffer[2:4], "big"):
            data = self._socket.recv(1 << 20)
            if not data:
                raise EOFError("the switch closed the connection")
            self._buffer += data
        length = int.from_bytes(self._buffer[2:4], "big")
        one = bytes(self._buffer[:length])
        del self._buffer[:length]
        if one[1] == _ECHO:
            self._socket.sendall(bytes([4, 3]) + one[2:])
        elif one[1] == _PACKET_IN:
            self._packet_ins.append(one)
        return one

    def send(self, data: bytes) -> list[tuple[int, int]]:
        """Send messages and wait for a barrier: (type, code) of each error they met."""
        self._socket.sendall(data + barrier_request(0x7777))
        errors: list[tuple[int, int]] = []
        while True:
            answer = self._next()
            if answer[1] == _BARRIER_REPLY and answer[4:8] == b"\0\0\x77\x77":
                return errors
            if answer[1] == _ERROR:
                kind, code = struct.unpack_from("!HH", answer, 8)
                errors.append((kind, code))

    def flow_stats(self, table: int = 0xFF, cookie: int = 0, mask: int = 0) -> list[bytes]:
        """The bodies of all parts of the answer."""
        self._socket.sendall(flow_stats_request(3, table, cookie, mask))
        bodies = []
        while True:
            part = self._next()
            if part[1] == _MULTIPART and part[4:8] == b"\0\0\0\3":
                bodies.append(part[16:])
                if not int.from_bytes(part[10:12], "big") & _MORE:
                    return bodies

    def write(self, data: bytes) -> None:
        """Send messages without a wait; a `Writer` of the sender."""
        self._socket.sendall(data)

    def multiparts(self, count: int) -> list[tuple[int, bytes]]:
        """The next so many multipart answers: transaction id and body."""
        found: list[tuple[int, bytes]] = []
        while len(found) < count:
            part = self._next()
            if part[1] == _MULTIPART:
                found.append((int.from_bytes(part[4:8], "big"), part[16:]))
        return found

    def packet_ins(self, count: int = 0, wait: float = 30.0) -> list[bytes]:
        """Those that have come by now, or once `count` have, waiting at most `wait` seconds for them."""
        deadline = time.monotonic() + wait
        self.send(b"")
        while len(self._packet_ins) < count and time.monotonic() < deadline:
            time.sleep(0.02)
            self.send(b"")
        found, self._packet_ins = self._packet_ins, []
        return found

    def dump(self) -> list[str]:
        """What ovs-ofctl says, one line an entry."""
        return run("ovs-ofctl", "-O", "OpenFlow13", "dump-flows", self.name).splitlines()[1:]

    def add_port(self, number: int) -> None:
        inner, outer = f"{self.name}p{number}", f"{self.name}h{number}"
        run("ip", "link", "add", inner, "type", "veth", "peer", "name", outer)
        for name in (inner, outer):
            run("ip", "link", "set", name, "addrgenmode", "none", "up")
        request = f"ofport_request={number}"
        run("ovs-vsctl", "add-port", self.name, inner, "--", "set", "interface", inner, request)
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        end.bind((outer, 0))
        end.settimeout(2)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._ports[number] = end

    def carrier(self, number: int, up: bool) -> None:
        """Give the port carrier or take it away, and wait until the switch says so."""
        run("ip", "link", "set", f"{self.name}h{number}", "up" if up else "down")
        self._ports[number].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # that it went down
        limit = time.monotonic() + 30
        while ("LIVE" in self._said_of(number)) is not up:
            if time.monotonic() > limit:
                raise TimeoutError(self._said_of(number))
            time.sleep(0.05)

    def _said_of(self, number: int) -> str:
        ports = run("ovs-ofctl", "-O", "OpenFlow13", "dump-ports-desc", self.name)
        return ports.split(f" {number}(")[1].split("current:")[0]

    def end(self, number: int) -> socket.socket:
        """The far end of a port."""
        return self._ports[number]

    def inject(self, number: int, frame: bytes) -> None:
        self._ports[number].send(frame)

    def received(self, number: int, count: int = 1, wait: float = 30.0) -> list[bytes]:
        """Up to `count` frames that left at the port, waiting at most `wait` seconds for all."""
        frames: list[bytes] = []
        deadline = time.monotonic() + wait
        end = self._ports[number]
        while len(frames) < count and (left := deadline - time.monotonic()) > 0:
            end.settimeout(left)
            with suppress(TimeoutError):
                frame, origin = end.recvfrom(4096)
                if origin[2] != _OUTGOING:
                    frames.append(frame)
        return frames


@contextmanager
def switch(ports: int = 0) -> Iterator[Switch]:
    """A fresh bridge of its own name, gone afterwards."""
    name = f"stof{os.getpid() % 100_000}"
    kind = ("datapath_type=netdev", "protocols=OpenFlow13", "fail_mode=secure")
    made: Switch | None = None
    try:
        run("ovs-vsctl", "add-br", name, "--", "set", "bridge", name, *kind)
        made = Switch(name)
        for number in range(1, ports + 1):
            made.add_port(number)
        yield made
    finally:
        if made is not None:
            made.close()
        subprocess.run(["ovs-vsctl", "--if-exists", "del-br", name], check=False, capture_output=True)
        for number in range(1, ports + 1):
            subprocess.run(["ip", "link", "del", f"{name}p{number}"], check=False, capture_output=True)
