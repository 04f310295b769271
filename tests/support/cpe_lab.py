"""A CPE with two uplinks in network namespaces: a LAN host, the CPE with its relay, and the far end with an MPTCP server.

    lan --- lan0 cpe dsl0 --- dsl far (10.9.0.2, fd00:9::2)
                     lte0 --- lte

Needs root and a kernel with MPTCP; without them it fails, it does not skip.
"""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steering.relay.observe.status_socket import query
from tests.support.relay_lab import IPPROTO_MPTCP, ROOT, in_namespace, wait_for
from topologies.programs.lateness import Lateness, Silence

SERVER, SERVICE = "10.9.0.2", 5201
UPLINKS = {"dsl0": "10.1.0", "lte0": "10.2.0"}
FAR_END = {"dsl0": "dsl", "lte0": "lte"}
GAP_S = 0.02
"""Between two pings of a client."""

_serial = itertools.count()


def run(command: str, check: bool = True) -> str:
    """What a command prints. Raises RuntimeError where it fails."""
    done = subprocess.run(command.split(), capture_output=True, text=True, timeout=60, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{command}: {done.stderr.strip()}")
    return done.stdout


class CpeLab:
    """The namespaces; `close` deletes them and ends what runs in them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        prefix = f"st-cpe-{os.getpid()}-{next(_serial)}"
        self.names = {short: f"{prefix}-{short}" for short in ("lan", "cpe", "far")}
        self.relay: subprocess.Popen[bytes] | None = None
        self._listener: socket.socket | None = None
        try:
            self._build()
            self._serve()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        for name in self.names.values():
            run(f"ip netns add {name}")
            run(f"ip -n {name} link set lo up")
            for setting in ("ipv4.conf.all.rp_filter", "ipv4.conf.default.rp_filter", "ipv6.conf.all.accept_dad",
                            "ipv6.conf.default.accept_dad"):  # fmt: skip
                run(f"ip netns exec {name} sysctl -qw net.{setting}=0")
        lan, cpe, far = self.names.values()
        self._wire(lan, "eth0", cpe, "lan0")
        run(f"ip -n {lan} addr add 192.168.1.11/24 dev eth0")
        run(f"ip -n {lan} route add default via 192.168.1.1")
        run(f"ip -n {cpe} addr add 192.168.1.1/24 dev lan0")
        run(f"ip netns exec {cpe} sysctl -qw net.ipv4.conf.all.promote_secondaries=1")
        run(f"ip -n {far} addr add {SERVER}/32 dev lo")
        run(f"ip netns exec {far} sysctl -qw net.mptcp.enabled=1")
        run(f"ip -n {far} mptcp limits set subflows 8 add_addr_accepted 8")
        for uplink, net in UPLINKS.items():
            self._wire(cpe, uplink, far, FAR_END[uplink])
            run(f"ip -n {far} addr add {net}.1/24 dev {FAR_END[uplink]}")
            self.address(uplink, 2)

    @staticmethod
    def _wire(one: str, here: str, other: str, there: str) -> None:
        run(f"ip link add {here} netns {one} type veth peer name {there} netns {other}")
        run(f"ip -n {one} link set {here} up")
        run(f"ip -n {other} link set {there} up")

    def _serve(self) -> None:
        with in_namespace(self.names["far"]):
            self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("0.0.0.0", SERVICE))
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    @staticmethod
    def _accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                made, _ = listener.accept()
                threading.Thread(target=_echo, args=(made,), daemon=True).start()

    # -- the CPE's uplinks ------------------------------------------------------------------------------------------

    def run(self, where: str, command: str, check: bool = True) -> str:
        """What a command in a namespace prints."""
        return run(f"ip netns exec {self.names[where]} {command}", check)

    def address(self, uplink: str, host: int) -> None:
        """What a DHCP client does that has a lease: address and default route."""
        net, metric = UPLINKS[uplink], 100 * (1 + list(UPLINKS).index(uplink))
        self.run("cpe", f"ip addr add {net}.{host}/24 dev {uplink}")
        self.run("cpe", f"ip route replace default via {net}.1 dev {uplink} metric {metric}")

    def no_address(self, uplink: str) -> None:
        """What it does whose lease is over."""
        self.run("cpe", f"ip -4 addr flush dev {uplink}")

    def carrier(self, uplink: str, there: bool) -> None:
        """Pull the cable at the far end, or put it in."""
        self.run("far", f"ip link set {FAR_END[uplink]} {'up' if there else 'down'}")

    def dead(self, uplink: str) -> None:
        """All goes well but that nothing arrives any more, either way."""
        self.run("far", "nft add table netdev dead")
        device = FAR_END[uplink]
        for hook in ("ingress", "egress"):
            chain = f"dead {device}-{hook}"
            self.run(
                "far",
                f"nft add chain netdev {chain} {{ type filter hook {hook} device {device} priority 0; policy drop; }}",
            )

    def alive(self) -> None:
        """The contrary, for all."""
        self.run("far", "nft delete table netdev dead")

    # -- programs ---------------------------------------------------------------------------------------------------

    def start(self, *more: str, apply: bool = True, uplinks: Sequence[str] = tuple(UPLINKS)) -> None:
        """The CPE's relay, once it is ready."""
        words = [
            "--role",
            "upstream",
            "--inside",
            "lan0",
            "--port",
            str(SERVICE),
            "--status",
            self.status_path,
        ]
        words += [word for uplink in uplinks for word in ("--uplink", uplink)]
        words += ["--apply"] if apply else []
        command = ["ip", "netns", "exec", self.names["cpe"], sys.executable, "-m", "steering", "relay"]
        before = self._ready()
        with self.log.open("ab") as log:
            self.relay = subprocess.Popen([*command, *words, *more], cwd=ROOT, stderr=log)
        wait_for(lambda: self._ready() > before or self.relay.poll() is not None)  # type: ignore[union-attr]
        assert self.relay.poll() is None, self.log.read_text()

    def _ready(self) -> int:
        return self.log.read_text().count("relay: ready") if self.log.exists() else 0

    @property
    def log(self) -> Path:
        """What the relay logs."""
        return self.directory / "relay.log"

    @property
    def status_path(self) -> str:
        """The relay's status socket."""
        return str(self.directory / "relay.sock")

    def status(self) -> dict[str, Any]:
        """The relay's status document."""
        return query(self.status_path)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the relay; its exit status."""
        assert self.relay is not None
        self.relay.send_signal(number)
        return self.relay.wait(30)

    @contextlib.contextmanager
    def client(self) -> Iterator["Client"]:
        """A plain TCP client in the LAN, which pings its server until the end."""
        with in_namespace(self.names["lan"]):
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with Lateness() as late:
            client = Client(sock, late)
            client.open()
            try:
                yield client
            finally:
                client.close()

    def subflows(self) -> list[str]:
        """Addresses of the CPE from which subflows to the server stand."""
        rows = self.run("cpe", f"ss -tnH state established dport = :{SERVICE}").splitlines()
        found = [row.split()[2].rpartition(":")[0].strip("[]").removeprefix("::ffff:") for row in rows]
        return sorted(address for address in found if not address.startswith("192.168."))

    def close(self) -> None:
        """End everything; harmless at any time."""
        if self.relay is not None and self.relay.poll() is None:
            self.relay.kill()
            self.relay.wait(30)
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for name in self.names.values():
            run(f"ip netns delete {name}", check=False)


@dataclass
class Client:
    """Writes down its longest silence and what it took to open, in seconds without what this machine was late meanwhile, and
    whether it was told of an error."""

    sock: socket.socket
    late: Lateness
    longest_s: float = 0.0
    error: str = ""
    opened_s: float = 0.0
    answers: int = 0
    _over: bool = False
    _thread: threading.Thread | None = field(default=None, repr=False)

    def open(self) -> None:
        """Connect and get the first answer."""
        opening = Silence(self.late, time.monotonic())
        self.sock.settimeout(60)
        self.sock.connect((SERVER, SERVICE))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ping()
        opening.ends(time.monotonic())
        self.opened_s = opening.own_s
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _ping(self) -> None:
        self.sock.sendall(b"ping")
        got = b""
        while len(got) < 4:
            part = self.sock.recv(4 - len(got))
            if not part:
                raise ConnectionError("the other side ended the connection")
            got += part
        self.answers += 1

    def _run(self) -> None:
        silence = Silence(self.late, time.monotonic())
        try:
            while not self._over:
                self._ping()
                self.longest_s = max(self.longest_s, silence.ends(time.monotonic()))
                time.sleep(GAP_S)
        except OSError as error:
            self.error = str(error)
        self.longest_s = max(self.longest_s, silence.ends(time.monotonic()))

    def silent_until(self, answers: int, seconds: float = 60.0) -> float:
        """Wait for so many more answers; the longest silence until then."""
        wanted = self.answers + answers
        wait_for(lambda: self.answers >= wanted or self.error, seconds)
        return self.longest_s

    def close(self) -> None:
        """No more pings."""
        self._over = True
        if self._thread is not None:
            self._thread.join(25)
        self.sock.close()


def _echo(made: socket.socket) -> None:
    with contextlib.suppress(OSError), made:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := made.recv(1 << 16):
            made.sendall(data)
