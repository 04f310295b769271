"""An etcd of one or three members on loopback, in a directory of the test; members are killed, frozen and started again
by their process ids."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

from steering.store.etcd.access import EtcdAccess, EtcdEndpoint, EtcdError
from steering.store.etcd.gateway import EtcdGateway
from tests.support.controller_process import free_port

READY = 30.0  # seconds in which a member has to serve


class EtcdMembers:
    """`access`: the members' client addresses. `fast`: with election timers of 50 and 250 ms."""

    def __init__(self, directory: Path, members: int = 1, fast: bool = True) -> None:
        self._directory = directory
        self._ports = [(free_port(), free_port()) for _ in range(members)]
        self._timers = ["--heartbeat-interval", "50", "--election-timeout", "250"] if fast else []
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self.access = EtcdAccess(tuple(EtcdEndpoint("127.0.0.1", port) for port, _ in self._ports))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, *members: int) -> None:
        """Start members, all by default, and wait until a majority serves."""
        for number in members or range(len(self._ports)):
            self._running[number] = self._process(number)
        self.wait()

    def wait(self) -> None:
        """Until etcd answers a linearizable read at one of the endpoints."""
        gateway = EtcdGateway(self.access)
        ends = time.monotonic() + READY
        while True:
            try:
                gateway.call("kv/range", {"key": "AA=="})
                gateway.close()
                return
            except EtcdError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.05)

    def kill(self, number: int, how: signal.Signals = signal.SIGKILL) -> None:
        """End a member; its data stays."""
        process = self._running.pop(number)
        process.send_signal(how)
        process.wait(20)

    def freeze(self, number: int) -> None:
        self._running[number].send_signal(signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        self._running[number].send_signal(signal.SIGCONT)

    def running(self) -> list[int]:
        return sorted(self._running)

    def close(self) -> None:
        for number in list(self._running):
            self._running[number].send_signal(signal.SIGCONT)
            self.kill(number)

    def _process(self, number: int) -> subprocess.Popen[bytes]:
        client, peer = self._ports[number]
        urls = ",".join(f"m{n}=http://127.0.0.1:{port}" for n, (_, port) in enumerate(self._ports))
        command = [
            *("etcd", "--name", f"m{number}", "--data-dir", str(self._directory / f"m{number}")),
            *("--listen-client-urls", f"http://127.0.0.1:{client}"),
            *("--advertise-client-urls", f"http://127.0.0.1:{client}"),
            *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
            *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"),
            *("--initial-cluster", urls, "--logger", "zap", *self._timers),
        ]
        with (self._directory / f"m{number}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=os.environ)
