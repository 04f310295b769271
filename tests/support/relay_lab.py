"""Network namespaces for the relay's tests: a dual-homed host, the MCP as the router in the middle, a server.

Sockets belong to the namespace they were made in, so the tests make them with `Lab.tcp` and use them from the test
process itself. Needs root and a kernel with MPTCP; without them it fails, it does not skip.
"""

import contextlib
import ctypes
import itertools
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steering.relay.counters import parse_netstat
from steering.relay.observe.status_socket import query

IPPROTO_MPTCP = 262
CLONE_NEWNET = 0x40000000
ROOT = Path(__file__).resolve().parents[2]
SERVER = {4: "10.9.0.2", 6: "fd00:9::2"}
OUTSIDE = {4: "10.10.0.2", 6: "fd00:10::2"}
"""Addresses of the same server that no service prefix covers."""
HOST = {4: "10.1.0.2", 6: "fd00:1::2"}
MCP = {4: "10.1.0.1", 6: "fd00:1::1"}
PREFIXES = ("10.9.0.0/24", "fd00:9::/64")

_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count()


def _run(command: str, check: bool = True) -> str:
    done = subprocess.run(command.split(), capture_output=True, text=True, timeout=60, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{command}: {done.stderr.strip()}")
    return done.stdout


def wait_for(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first true value of `what`; AssertionError after `seconds`, which only a test that fails waits for."""
    until = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < until, "did not come true in time"
        time.sleep(0.02)


class RelayProcess:
    """A running `steering relay` in the MCP's namespace."""

    def __init__(self, lab: "Lab", arguments: tuple[str, ...]) -> None:
        self.status_path = lab.directory / f"relay-{next(_serial)}.sock"
        self.log = lab.directory / f"{self.status_path.stem}.log"
        command = [*lab.exec_in("mcp"), sys.executable, "-m", "steering.cli.main", "relay", *arguments]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--status", str(self.status_path)], cwd=ROOT, stderr=log
            )
        try:
            wait_for(lambda: "relay: ready" in self.log.read_text() or self.process.poll() is not None)
            assert self.process.poll() is None, self.log.read_text()
        except BaseException:
            self.stop()
            raise

    def status(self) -> dict[str, Any]:
        """The status document."""
        return query(str(self.status_path))

    def session(
        self, which: Callable[[dict[str, Any]], bool] = lambda row: True, host: socket.socket | None = None
    ) -> dict[str, Any]:
        """The first row of a session, of `host` if given, that is so. Waits for it: a host may be connected before the
        relay has accepted it."""
        client = None if host is None else list(host.getsockname()[:2])

        def found() -> dict[str, Any] | None:
            rows = self.status()["sessions"]
            return next((row for row in rows if client in (None, row["client"]) and which(row)), None)

        row = wait_for(found)
        assert isinstance(row, dict)
        return row

    def counter(self, name: str) -> int:
        """One of the relay's own counters."""
        value = self.status()["counters"][name]
        assert isinstance(value, int)
        return value

    def rss_kib(self) -> int:
        """Resident memory of the process."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", text)
        assert found
        return int(found.group(1))

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


class Lab:
    """The namespaces; `close` deletes them and ends what runs in them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._prefix = f"st-relay-{os.getpid()}-{next(_serial)}"
        self._names = {short: f"{self._prefix}-{short}" for short in ("ue", "mcp", "srv")}
        self._relays: list[RelayProcess] = []
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        for name in self._names.values():
            _run(f"ip netns add {name}")
            _run(f"ip -n {name} link set lo up")
            for setting in ("all", "default"):
                self._sysctl_of(name, f"net.ipv4.conf.{setting}.rp_filter=0")
                self._sysctl_of(name, f"net.ipv6.conf.{setting}.accept_dad=0")
                self._sysctl_of(name, f"net.ipv6.conf.{setting}.accept_ra=0")
        self._wire("ue", "acc1", "mcp", "in1", "10.1.0", "fd00:1:")
        self._wire("ue", "acc2", "mcp", "in2", "10.2.0", "fd00:2:")
        self._wire("srv", "srv0", "mcp", "out0", "10.9.0", "fd00:9:")
        ue, srv, mcp = (self._names[short] for short in ("ue", "srv", "mcp"))
        for family, one, two, out in (
            ("-4", "10.1.0", "10.2.0", "10.9.0"),
            ("-6", "fd00:1:", "fd00:2:", "fd00:9:"),
        ):
            dot = "." if family == "-4" else ":"
            _run(f"ip {family} -n {ue} route add default via {one}{dot}1 dev acc1")
            for table, net, dev in ((101, one, "acc1"), (102, two, "acc2")):
                _run(f"ip {family} -n {ue} rule add from {net}{dot}2 table {table}")
                _run(f"ip {family} -n {ue} route add default via {net}{dot}1 dev {dev} table {table}")
            _run(f"ip {family} -n {srv} route add default via {out}{dot}1 dev srv0")
        _run(f"ip -n {srv} addr add {OUTSIDE[4]}/32 dev srv0")
        _run(f"ip -n {srv} addr add {OUTSIDE[6]}/128 dev srv0")
        _run(f"ip -n {mcp} route add {OUTSIDE[4]}/32 via {SERVER[4]}")
        _run(f"ip -6 -n {mcp} route add {OUTSIDE[6]}/128 via {SERVER[6]}")
        for where in ("ue", "mcp"):
            # Linux 6.18 corrupts streams else (docs/design/measured.rst, two subflows)
            self.receive_buffers(where, 1 << 20)
        self.sysctl("srv", "net.mptcp.enabled=0")
        self.sysctl("ue", "net.mptcp.close_timeout=3")
        _run(f"ip -n {ue} mptcp limits set subflows 8")
        for address in ("10.2.0.2", "fd00:2::2"):
            _run(f"ip -n {ue} mptcp endpoint add {address} dev acc2 subflow")

    def _wire(self, far: str, far_dev: str, near: str, near_dev: str, v4: str, v6: str) -> None:
        far_ns, near_ns = self._names[far], self._names[near]
        _run(f"ip link add {far_dev} netns {far_ns} type veth peer name {near_dev} netns {near_ns}")
        for namespace, device, last in ((far_ns, far_dev, 2), (near_ns, near_dev, 1)):
            _run(f"ip -n {namespace} addr add {v4}.{last}/24 dev {device}")
            _run(f"ip -n {namespace} addr add {v6}:{last}/64 dev {device} nodad")
            _run(f"ip -n {namespace} link set {device} up")

    def _sysctl_of(self, name: str, setting: str) -> None:
        _run(f"ip netns exec {name} sysctl -qw {setting}")

    def sysctl(self, where: str, setting: str) -> None:
        """Write one sysctl (`name=value`) in a namespace."""
        self._sysctl_of(self._names[where], setting)

    def receive_buffers(self, where: str, size: int) -> None:
        """The bytes that sockets of a namespace have for what comes, at first; Linux's own are 131,072."""
        with self.inside(where):
            Path("/proc/sys/net/ipv4/tcp_rmem").write_text(f"4096 {size} 6291456")

    def exec_in(self, where: str) -> tuple[str, ...]:
        """The words that run a command in a namespace."""
        return ("ip", "netns", "exec", self._names[where])

    def run(self, where: str, command: str, check: bool = True) -> str:
        """Run a command in a namespace; its output."""
        return _run(f"ip netns exec {self._names[where]} {command}", check)

    def relay(
        self,
        *arguments: str,
        ports: tuple[str, ...] = ("5201",),
        apply: bool = True,
        modes: tuple[str, ...] = ("transparent",),
        prefixes: tuple[str, ...] = PREFIXES,
    ) -> RelayProcess:
        """Start a relay for the service prefixes and wait until it is ready."""
        words = [*arguments]
        for mode in modes:
            words += ["--source-mode", mode]
        for port in ports:
            words += ["--port", port]
        for prefix in prefixes:
            words += ["--prefix", prefix]
        relay = RelayProcess(self, (*words, "--apply") if apply else tuple(words))
        self._relays.append(relay)
        return relay

    @contextmanager
    def inside(self, where: str) -> Iterator[None]:
        """This thread is in the namespace meanwhile."""
        with in_namespace(self._names[where]):
            yield

    def tcp(self, where: str, family: int, protocol: int = IPPROTO_MPTCP) -> socket.socket:
        """A TCP or MPTCP socket of a namespace, time-out 30 s."""
        with self.inside(where):
            sock = socket.socket(
                socket.AF_INET6 if family == 6 else socket.AF_INET, socket.SOCK_STREAM, protocol
            )
        sock.settimeout(30)
        return sock

    def server(self, family: int, port: int = 5201, protocol: int = 0) -> socket.socket:
        """A listening socket of the server, on every address."""
        sock = self.tcp("srv", family, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("::" if family == 6 else "0.0.0.0", port))
        sock.listen(256)
        return sock

    def connect(
        self, family: int, port: int = 5201, address: str = "", protocol: int = IPPROTO_MPTCP
    ) -> socket.socket:
        """A connection of the host's, to the server unless told otherwise. ConnectionResetError where the relay ends
        it at once: its reset may be quicker than connect(), or come later, and both orders are right."""
        sock = self.tcp("ue", family, protocol)
        sock.connect((address or SERVER[family], port))
        return sock

    def counters(self, where: str) -> dict[str, int]:
        """The kernel's MPTCP counters of a namespace."""
        with self.inside(where):
            return parse_netstat(Path("/proc/thread-self/net/netstat").read_text())

    def sent_on(self, device: str) -> int:
        """Bytes the host has sent on one access."""
        words = json.loads(_run(f"ip -n {self._names['ue']} -j -s link show {device}"))
        count = words[0]["stats64"]["tx"]["bytes"]
        assert isinstance(count, int)
        return count

    def sniffer(self, where: str, device: str) -> "Sniffer":
        """Capture a device from now on."""
        with self.inside(where):
            return Sniffer(device)

    def stop_relays(self) -> None:
        """End the relays that still run, take the rules away that a killed one left."""
        for relay in self._relays:
            relay.stop()
        self._relays.clear()
        self.run("mcp", "nft flush ruleset")

    def close(self) -> None:
        """End the relays, delete the namespaces."""
        for relay in self._relays:
            relay.kill()
        for name in self._names.values():
            _run(f"ip netns del {name}", check=False)


@contextmanager
def in_namespace(name: str) -> Iterator[None]:
    """This thread is in the network namespace of that name meanwhile."""
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{name}") as there:
        _setns(there.fileno())
        try:
            yield
        finally:
            _setns(home.fileno())


def _setns(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns: these tests need root")


class Sniffer:
    """TCP SYNs seen on a device, as the bytes of their TCP options."""

    def __init__(self, device: str) -> None:
        self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._sock.bind((device, 0))
        self._sock.setblocking(False)

    def syns(self) -> list[bytes]:
        """TCP options of the SYNs (no SYN/ACK) captured since the last call; of one that its host sent again the first."""
        found: dict[bytes, bytes] = {}  # ports and sequence number -> options
        for tcp in self.segments():
            if tcp[13] & 0x12 == 0x02:
                found.setdefault(tcp[:8], tcp[20 : (tcp[12] >> 4) * 4])
        return list(found.values())

    def segments(self) -> list[bytes]:
        """TCP segments, header first, captured since the last call."""
        return [tcp for _, tcp in self.marked_segments()]

    def marked_segments(self) -> list[tuple[int, bytes]]:
        """The same, each with its DSCP."""
        found = []
        while select.select([self._sock], [], [], 0.05)[0]:
            frame = self._sock.recv(65535)
            kind, ip = frame[12:14], frame[14:]
            if kind == b"\x08\x00" and ip[9] == 6:
                tcp, dscp = ip[(ip[0] & 15) * 4 :], ip[1] >> 2
            elif kind == b"\x86\xdd" and ip[6] == 6:
                tcp, dscp = ip[40:], (ip[0] << 8 | ip[1]) >> 6 & 0x3F
            else:
                continue
            found.append((dscp, tcp))
        return found

    def close(self) -> None:
        """Stop capturing."""
        self._sock.close()


def mptcp_subtypes(options: bytes) -> list[int]:
    """MPTCP subtypes among TCP options (0 MP_CAPABLE, 1 MP_JOIN)."""
    return [option[2] >> 4 for option in _options(options) if option[0] == 30]


def join_token(options: bytes) -> str | None:
    """The token of an MP_JOIN SYN, as eight hexadecimal digits."""
    for option in _options(options):
        if option[0] == 30 and option[2] >> 4 == 1:
            return option[4:8].hex()
    return None


def _options(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data) and data[at]:
        size = 1 if data[at] == 1 else data[at + 1]
        yield data[at : at + size] if size > 1 else data[at : at + 1]
        at += size


class Echo(threading.Thread):
    """A server that sends everything back and keeps who came."""

    def __init__(self, lab: Lab, family: int, port: int = 5201) -> None:
        super().__init__(daemon=True)
        self._listener = lab.server(family, port)
        self._listener.settimeout(None)
        self.peers: list[tuple[str, int]] = []
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, peer = self._listener.accept()
                self.peers.append(peer[:2])
                connection.settimeout(60)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: object) -> None:
        with contextlib.suppress(OSError), connection:  # type: ignore[attr-defined]
            while data := connection.recv(1 << 16):  # type: ignore[attr-defined]
                connection.sendall(data)  # type: ignore[attr-defined]

    def close(self) -> None:
        self._listener.shutdown(2)
        self._listener.close()
