"""A switch that floods the controller, and how long a good one waits meanwhile.

usage: python -m tests.process.flooding PORT KIND    (floods until its standard input ends; exit status 3: it was hung up on)
"""

import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from steering.model.rules import OWNER, CookieKind, PacketClass
from steering.wire.craft import tcp_frame
from tests.process.network import LTE_HOST, MP_CAPABLE, SERVER, SYN
from tests.support.fakes.rawswitch import (
    ECHO_REPLY,
    ECHO_REQUEST,
    ERROR,
    HELLO,
    MULTIPART_REPLY,
    PORT_STATUS,
    RawSwitch,
    Seen,
    message,
)


def multipart(kind: int, body: bytes, xid: int = 7, more: int = 1) -> bytes:
    """A part of an answer that nobody asked for."""
    return message(MULTIPART_REPLY, xid, struct.pack(">HH4x", kind, more) + body)


def strange_entry(number: int) -> bytes:
    """An ofp_flow_stats with our cookie and no form of ours: what costs most to read."""
    match = struct.pack(">HHIH6x", 1, 10, 0x80000A02, 0x0800)
    cookie = OWNER << 56 | CookieKind.STATIC << 52 | number & 0xFFFF
    return struct.pack(">HBxIIHHHH4xQQQ", 48 + len(match), 0, 1, 0, 1, 0, 0, 0, cookie, 1, 1) + match


def punted_syn(sport: int) -> bytes:
    """A packet-in of an MP_CAPABLE SYN."""
    frame = tcp_frame(LTE_HOST, SERVER, 1024 + sport % 60_000, 443, flags=SYN, options=MP_CAPABLE)
    match = struct.pack(">HHIIIQ", 1, 24, 0x80000004, 1, 0x80000408, 0)
    cookie = OWNER << 56 | CookieKind.STATIC << 52 | PacketClass.SYN
    head = struct.pack(">IHBBQ", 0xFFFFFFFF, len(frame), 1, 0, cookie)
    return message(10, 0, head + match + b"\0\0" + frame)


def flood_of(kind: str, switch: RawSwitch) -> list[bytes]:
    """Messages of one kind; sent again and again they are the flood."""
    if kind == "hello":
        return [message(HELLO, 1)] * 2_000
    if kind == "error":
        return [message(ERROR, 1, struct.pack(">HH", 5, 0) + bytes(64))] * 200
    if kind == "echo":
        return [message(ECHO_REQUEST, 1, b"x")] * 2_000
    if kind == "port-status":
        ports = [switch.port(number) for number in (1, 2)]
        return [message(PORT_STATUS, 0, b"\2" + bytes(7) + port) for port in ports] * 100
    if kind == "port-desc":
        return [multipart(13, b"".join(switch.port(1) for _ in range(1_000)))]
    if kind == "stats":
        return [multipart(1, b"".join(strange_entry(n) for n in range(900)))]
    assert kind == "packet-in"
    return [punted_syn(n) for n in range(200)]


HUNG_UP = b"hung up\n"  # what the process of a flood says then
REFUSED = 3  # exit status of a flood that the controller hung up on


class Flood:
    """Sends `messages` again and again, by a switch that is connected and forgets what it reads."""

    def __init__(self, switch: RawSwitch, messages: list[bytes]) -> None:
        self._switch = switch
        self._data = b"".join(messages)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.refused = False  # the controller hung up

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._switch.close()
        self._thread.join(30)

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self._switch.send(self._data)
                self._switch.forget()
        except OSError:
            self.refused = not self._over.is_set()


class FloodProcess:
    """A flood by a process of its own, so that its work is not in what is measured here."""

    def __init__(self, port: int, kind: str) -> None:
        self._command = ["nice", sys.executable, "-m", "tests.process.flooding", str(port), kind]
        self.refused = False  # the controller hung up

    def __enter__(self) -> Self:
        root = Path(__file__).resolve().parents[2]
        self._process = subprocess.Popen(
            self._command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None and self._process.stdout.readline() == b"ready\n"
        return self

    def wait_until_refused(self) -> None:
        """Until the controller has hung up on it, and it has noticed."""
        assert self._process.stdout is not None and self._process.stdout.readline() == HUNG_UP

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)
        self.refused = self._process.returncode == REFUSED


def main(port: int, kind: str) -> int:
    """Flood until standard input ends."""
    with RawSwitch(1) as bad:
        bad.connect(port).quiet()
        print("ready", flush=True)
        telling = threading.Thread(target=_tell_end, args=(bad,))
        telling.start()
        with Flood(bad, flood_of(kind, bad)):
            sys.stdin.read()
            refused = bad.ended.is_set()
    telling.join(30)
    return REFUSED if refused else 0


def _tell_end(bad: RawSwitch) -> None:
    bad.ended.wait()
    sys.stdout.buffer.write(HUNG_UP)
    sys.stdout.flush()


def p99(found: list[float]) -> float:
    """The 99th percentile, in milliseconds."""
    return sorted(found)[99 * (len(found) - 1) // 100] * 1e3


def waits(good: RawSwitch, seconds: float, least: int = 5) -> list[float]:
    """How long a good switch's echo requests wait for their answers, one after another for so many seconds, and `least`
    of them. AssertionError where one is not answered in 30 s."""
    found: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(found) < least:
        xid = 0x100 + len(found)
        began = time.monotonic()
        good.send(message(ECHO_REQUEST, xid))
        good.wait_for(_echo_reply(xid), 30)
        found.append(time.monotonic() - began)
        good.forget()
        time.sleep(0.005)
    return found


def _echo_reply(xid: int) -> Callable[[Seen], bool]:
    return lambda seen: seen.type == ECHO_REPLY and seen.xid == xid


def idle(port: int, count: int) -> list[socket.socket]:
    """Connections that say nothing."""
    return [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
