"""What a good switch's SYNs wait while the controller, full of sessions, does something long: one row for each such thing.

SYNs begin at their times, whatever is answered, so that a stall is seen by all that come meanwhile. Run by itself:
`python -m tests.bench.stalls SESSIONS SECONDS [ROW...]`; prints JSON.
"""

import json
import os
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import count
from math import ceil
from pathlib import Path
from threading import Event, Thread
from typing import Any

from tests.bench.machines import Arm, Bench
from tests.bench.network import POLICY

Json = dict[str, Any]
Say = Callable[[str], None]

PER_SECOND = 1_000  # SYNs at one switch
ANOTHER = 9  # the switch that reconnects, and one whose link goes down
LINK_PORT = 4
MOST = 1_000_000  # sessions that the policy allows
PAUSE_S = 0.2  # between two requests of a reader
# A sweep goes on when its row is over, so it comes last.
ROWS = ("nothing", "reconnect", "filter", "events", "metrics", "page", "link", "policy", "sweep")
RULES = 2_000  # of the policy that is put in force


class Operator:
    """REST of the controller that is measured."""

    def __init__(self, state: Path) -> None:
        self._url = (state / "rest").read_text().strip()
        self._token = (state / "token").read_text().strip()

    def open(self, path: str, body: str | None = None, method: str = "GET") -> Any:
        """The open answer."""
        request = urllib.request.Request(
            self._url + path,
            data=None if body is None else body.encode(),
            method=method,
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/yaml",
                "If-Match": "*",
            },
        )
        return urllib.request.urlopen(request, timeout=120)

    def read(self, path: str, body: str | None = None, method: str = "GET") -> bytes:
        """The whole answer."""
        with self.open(path, body, method) as answer:
            found: bytes = answer.read()
            return found


@contextmanager
def repeated(do: Callable[[], object]) -> Iterator[None]:
    """`do` again and again while the body runs."""
    over = Event()

    def run() -> None:
        while not over.is_set():
            do()
            over.wait(PAUSE_S)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(130)


@contextmanager
def listening(operator: Operator) -> Iterator[None]:
    """A reader of the event stream."""
    with operator.open("/v1/events") as stream:
        thread = Thread(target=lambda: _read_to_the_end(stream), daemon=True)
        thread.start()
        yield


def _read_to_the_end(stream: Any) -> None:
    with suppress(OSError, AttributeError, ValueError):  # it is closed while it is read
        while stream.read1(1 << 16):
            pass


@contextmanager
def swept(operator: Operator) -> Iterator[None]:
    """All entries are swept, round after round."""
    operator.read("/v1/policy", POLICY.replace("sweep: 3600", "sweep: 1"), "PUT")
    yield
    operator.read("/v1/policy", POLICY, "PUT")


def large_policy(number: int) -> str:
    """One of many rules, another one each time."""
    actions = ("bypass", "deny")
    rules = [
        f"  - {{name: r{n}, when: {{destination: [198.{18 + n % 2}.{n // 250}.{n % 250}/32]}}, then: {{action: {actions[(n + number) % 2]}}}}}"
        for n in range(RULES)
    ]
    return POLICY + "rules:\n" + "\n".join(rules) + "\n"


class Stalls:
    """`seconds` for each row."""

    def __init__(self, arm: Arm, operator: Operator, seconds: float, say: Say) -> None:
        self._arm, self._operator, self._ms, self._say = arm, operator, round(1000 * seconds), say

    def rows(self, names: Sequence[str]) -> Iterator[Json]:
        """One row after the other."""
        happening = {
            "reconnect": f"reconnect {ANOTHER}",
            "link": f"down {ANOTHER} {LINK_PORT}",
        }
        for name in names:
            with self._meanwhile(name):
                yield self._row(name, happening.get(name, ""))
            if name == "link":
                self._arm.driver.ask(f"meanwhile up {ANOTHER} {LINK_PORT}")

    def _meanwhile(self, name: str) -> AbstractContextManager[None]:
        """What is done again and again while SYNs come."""
        operator, policies = self._operator, count()
        match name:
            case "sweep":
                return swept(operator)
            case "filter":
                return repeated(lambda: operator.read("/v1/sessions?client=10.1.0.1"))
            case "events":
                return listening(operator)
            case "metrics":
                return repeated(lambda: operator.read("/metrics"))
            case "page":
                return repeated(lambda: operator.read("/v1/sessions?limit=1000"))
            case "policy":
                return repeated(lambda: operator.read("/v1/policy", large_policy(next(policies)), "PUT"))
        return nullcontext()

    def _row(self, name: str, meanwhile: str = "") -> Json:
        if meanwhile:
            self._arm.driver.ask(f"meanwhile {meanwhile}")
        found = self._arm.driver.ask(f"pace {PER_SECOND} {self._ms}")
        self._arm.run("finish", count=1)  # or the half-open ones would end by time-out in a later row
        row = {
            "meanwhile": name,
            "syns": found["completed"] + found["lost"],
            "lost": found["lost"],
            **{f"{key}_ms": round(found[f"{key}_us"] / 1000, 2) for key in ("p50", "p99", "worst")},
        }
        self._say(f"stalls: {row}")
        return row


def room_for(sessions: int, seconds: float, rows: int) -> int:
    """How many of so many sessions may begin beforehand, so that there is room for those of all rows: a SYN above the
    policy's limit is refused, which takes next to no time."""
    return min(sessions, MOST - rows * PER_SECOND * ceil(seconds))


def measure(sessions: int, seconds: float, say: Say, names: Sequence[str] = ROWS) -> Json:
    """The rows of these names, with so many sessions live, or as many as the limit leaves room for."""
    sessions = room_for(sessions, seconds, len(names))
    with Bench(sessions, sessions + 20 * round(seconds + 1) * PER_SECOND) as bench:
        say(f"stalls: {sessions} sessions begin")
        arm = bench.steering()
        arm.run("setup", count=sessions)
        rows = list(Stalls(arm, Operator(Path(bench.path("state"))), seconds, say).rows(names))
        told = Operator(Path(bench.path("state"))).read("/metrics").decode()
    return keys(rows) | {"stalls_sessions": sessions, "stalls_told": _longest(told)}


def _longest(metrics: str) -> Json:
    name = "steering_longest_stall_seconds{"
    lines = [line for line in metrics.splitlines() if line.startswith(name)]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def keys(rows: list[Json]) -> Json:
    """The worst of all rows but the one in which nothing happens."""
    busy = [row for row in rows if row["meanwhile"] != "nothing"]
    return {
        "stall_p99_ms": max((row["p99_ms"] for row in busy), default=0),
        "stall_worst_ms": max((row["worst_ms"] for row in busy), default=0),
        "stall_lost": sum(row["lost"] for row in busy),
        "stalls": rows,
    }


def main(sessions: str, seconds: str, *names: str) -> None:
    """`names`: of rows, in the order wanted; none for all."""
    unknown = set(names) - set(ROWS)
    if unknown:
        sys.exit(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    found = measure(
        int(sessions), float(seconds), lambda text: print(text, file=sys.stderr, flush=True), names or ROWS
    )
    print(json.dumps(found | {"load": os.getloadavg()[0]}, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
