"""Controllers as processes of this machine (tests/support/peer_program.py)."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.waiting import sent_until

ROOT = Path(__file__).resolve().parents[2]


class Peer:
    """One process of tests/support/peer_program.py."""

    def __init__(self, name: str, folder: Path, site: str = "site") -> None:
        words = [sys.executable, "-m", "tests.support.peer_program", name, str(folder), site]
        self.process = subprocess.Popen(
            words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port: int = self._answer()["port"]

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def do(self, command: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([command, arguments]) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def reports(self, **wanted: Any) -> bool:
        said = self.do("report")
        return all(said[what] == value for what, value in wanted.items())

    def end(self) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.communicate()


@contextmanager
def started(folder: Path, **sites: str) -> Iterator[dict[str, Peer]]:
    peers: dict[str, Peer] = {}
    try:
        for name in "abc":
            peers[name] = Peer(name, folder, sites.get(name, "site"))
        for one in peers.values():
            one.do("members", addresses={name: peer.port for name, peer in peers.items()})
        yield peers
    finally:
        for one in peers.values():
            one.end()


def set_up(peers: dict[str, Peer], first: int, count: int) -> None:
    """Sessions that begin at a's switch, and whose MCPs answer at b's; their tokens are known at c."""
    before = peers["c"].do("report")["tokens"].get("a", 0)
    places = peers["a"].do("begin", count=count, first=first)
    sent_until(
        lambda: peers["b"].do("answers", places=places, first=first),
        lambda: peers["c"].do("report")["tokens"].get("a") == before + count,
    )
