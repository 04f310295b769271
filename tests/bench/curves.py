"""How costs grow: with live sessions, with switches, with MCPs. `python -m tests.bench.curves --json docs/performance.json`,
then `python -m tests.bench.performance_page` makes tables and plots of it.

Processor time, by the measurements that `steering bench` has, in several passes over all sizes: other work on the machine
makes a pass dearer and never cheaper, so the least of them counts. A pass goes on to what still fits into the limit; the
first one leaves nothing out. What the JSON has: `curves` by name, in each by size (a string) a list of measured records.
"""

import argparse
import json
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench import report
from tests.bench.checkouts import described
from tests.bench.costs import JOINS, SETUPS, SYNS
from tests.bench.machines import ROOT, Arm, Bench, BenchError, by_itself
from tests.bench.network import POLICY
from tests.bench.stalls import Operator
from tests.bench.suite import Say

Json = dict[str, Any]
Record = dict[str, float]
Found = dict[str, list[Record]]  # by size

CURVES = ("sessions", "memory", "switches", "mcps")
LIMIT_S = 660.0
HALF_OPEN_S = 10  # of it until switches are asked for the last time
SETTLED_S = 120.0
IN_A_ROW = 5  # measurements of one controller at one number of sessions
JOIN_NUMBERS = 8_000_000  # of connections that are joins: sessions have the numbers from 0 on, without a gap
LOOKED_UP = 1_000  # sessions in the table whose look-ups the memory's measurement tells too
LONGER = 1.15  # than in the pass before: what something may take


class Sizes(NamedTuple):
    """What is measured. `network`: switches and gateways where MCPs are counted; `links`: that go down, at each size."""

    sessions: tuple[int, ...]
    switches: tuple[int, ...]
    mcps: tuple[int, ...]
    network: tuple[int, int]
    links: int
    passes: int


FULL = Sizes(
    (1_000, 10_000, 100_000, 1_000_000), (16, 100, 300, 1_000), (2, 16, 64, 256), (1_000, 1_000), 10, 5
)
QUICK = Sizes((200, 1_000), (16, 40), (2, 16), (40, 20), 3, 1)


class Crowd:
    """A controller whose sessions become more and more. Each is one whose host was heard, as the controller asks switches
    before long: while it asks, its other work would seem dearer."""

    def __init__(self, arm: Arm, operator: Operator) -> None:
        self._arm, self._operator = arm, operator
        self._live = self._joins = 0
        operator.read("/v1/policy", POLICY.replace("half_open: 120", f"half_open: {HALF_OPEN_S}"), "PUT")
        self._empty = arm.controller.memory()

    def measured(self, live: int) -> list[Record]:
        """Microseconds of each kind of work, and bytes of a session, while sessions go from half of `live`, or more, to
        `live` and no further: the last size is as many as a policy may allow. Raises BenchError."""
        in_a_row = min(IN_A_ROW, max(1, live // 5_000))
        most = live // 4 // in_a_row
        setups, syns = min(SETUPS, most), min(SYNS, most)
        before = live - in_a_row * (setups + syns)
        if before > self._live:
            self._begin(before - self._live)
        self._settle()
        found = [self._round(setups, syns) for _ in range(in_a_row)]
        self._settle()
        grown = self._arm.controller.memory() - self._empty
        return [one | {"resident_bytes": round(grown / self._live)} for one in found]

    def _begin(self, setups: int) -> float:
        took: float = self._arm.run("setup", count=setups)["cpu_us"]
        self._live += setups
        return took

    def _settle(self) -> None:
        """Wait until every session is an established one."""
        ended = time.monotonic() + SETTLED_S
        while True:
            bounds = json.loads(self._operator.read("/v1/limits"))["controller"]
            used = {bound["limit"]: bound["used"] for bound in bounds}
            if not used["half_open"]:
                break
            if time.monotonic() > ended:
                raise BenchError(f"{used['half_open']} sessions are half-open after {SETTLED_S:g} s")
            time.sleep(0.2)
        if used["sessions"] != self._live:
            raise BenchError(f"{used['sessions']} of {self._live} sessions live")

    def _round(self, setups: int, syns: int) -> Record:
        setup_us = self._begin(setups)
        syn = self._arm.run("syn", count=syns)
        finish = self._arm.run("finish", count=1)  # the SYN/ACKs of all of them
        self._live += syns
        self._arm.driver.ask(f"targets {self._live}")
        self._arm.driver.ask(f"first {JOIN_NUMBERS + self._joins}")
        joins = min(JOINS, 4 * self._live)
        join = self._arm.run("join", count=joins)
        self._joins += joins
        self._arm.driver.ask(f"first {self._live}")
        return {
            "setup_us": setup_us,
            "syn_us": syn["cpu_us"],
            "syn_ack_us": finish["cpu_us"],
            "join_us": join["cpu_us"],
        }


def crowd(sizes: Sequence[int]) -> Found:
    """One controller, from no session to the last of these sizes. Raises BenchError."""
    with Bench(max(sizes), max(sizes)) as bench:
        arm = bench.steering()
        grown = Crowd(arm, Operator(Path(bench.path("state"))))
        return {str(live): grown.measured(live) for live in sizes}


class Step(NamedTuple):
    """Some sizes of one curve that are measured together."""

    curve: str
    about: str
    measure: Callable[[], Found]


def alone(module: str, size: int, *words: int) -> Found:
    """A measurement in a process of its own, as this size's. Raises BenchError."""
    return {str(size): [by_itself(f"tests.bench.{module}", *map(str, words))]}


def steps(sizes: Sizes) -> Iterator[Step]:
    """All of one pass."""
    # The last size takes longest to begin, so that the others are measured in more passes.
    for some in (sizes.sessions[:-1], sizes.sessions):
        yield Step("sessions", f"controller with up to {some[-1]:,} sessions", partial(crowd, some))
    for size in sizes.sessions:
        yield Step(
            "memory", f"engine with {size:,} sessions", partial(alone, "memory", size, size, LOOKED_UP)
        )
    for size in sizes.switches:
        yield Step(
            "switches", f"engine with {size:,} switches", partial(alone, "resync", size, size, sizes.links)
        )
    switches, gateways = sizes.network
    for size in sizes.mcps:
        words = (size, switches, size, gateways)
        yield Step("mcps", f"decisions among {size:,} MCPs", partial(alone, "decision", *words))


def measure(of_a_pass: Sequence[Step], passes: int, limit_s: float, say: Say) -> Json:
    """All curves. `limit_s`: after the first pass nothing is begun that would be done later than that, by what it took
    before. `not_measured`: what went wrong, and why."""
    curves: dict[str, Found] = {name: {} for name in CURVES}
    not_measured: dict[str, str] = {}
    took: dict[str, float] = {}
    for number in range(passes):
        for step in of_a_pass:
            began = say.seconds()
            late = number and began + LONGER * took.get(step.about, 0.0) > limit_s
            if late or step.about in not_measured:
                continue
            say(f"pass {number + 1} of {passes}: {step.about}")
            try:
                found = step.measure()
            except (BenchError, OSError) as error:  # OSError: no answer to REST
                not_measured[step.about] = str(error)
                say(f"not measured: {error}")
                continue
            took[step.about] = say.seconds() - began
            for size, records in found.items():
                curves[step.curve].setdefault(size, []).extend(records)
    for curve, found in curves.items():
        curves[curve] = dict(sorted(found.items(), key=lambda item: int(item[0])))
    return {"curves": curves, "not_measured": not_measured, "seconds": round(say.seconds(), 1)}


def main(words: Sequence[str]) -> int:
    """0, or 1 when something was not measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.curves", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, one pass: a look, not a measurement"
    )
    parser.add_argument("--limit", type=float, metavar="SECONDS", default=LIMIT_S, help="default %(default)g")
    parser.add_argument("--json", type=Path, metavar="FILE", required=True, help="write the results there")
    args = parser.parse_args(words)
    for number in (signal.SIGTERM, signal.SIGHUP):  # so that an ended run leaves no controller behind
        signal.signal(number, lambda *_: sys.exit(143))
    told = {
        "command": shlex.join(["python", "-m", "tests.bench.curves", *words]),
        "commit": described(ROOT),
        "machine": report.machine(),
        "quick": args.quick,
    }
    say = Say()
    sizes = QUICK if args.quick else FULL
    told |= {"network": list(sizes.network), **measure(list(steps(sizes)), sizes.passes, args.limit, say)}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(told, indent=1) + "\n")
    say(f"written: {args.json}")
    return 1 if told["not_measured"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
