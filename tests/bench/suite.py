"""`steering bench`: which parts run, what is printed, what is written."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.bench import report, two_trees
from tests.bench.checkouts import described
from tests.bench.machines import ROOT, BenchError, by_itself

PARTS = ("setup", "syn", "decision", "resync", "selection", "policy", "memory", "stalls", "delay", "workers")
SESSIONS, QUICK_SESSIONS = 100_000, 5_000
TABLE, QUICK_TABLE = 1_000_000, 100_000
CONNECTIONS, QUICK_CONNECTIONS = 150, 40
ROUNDS, QUICK_ROUNDS = 9, 2
LINKS, QUICK_LINKS = 30, 3
CROWD, QUICK_CROWD = 1_000_000, 5_000  # sessions while the controller is busy with something long
STALL_S, QUICK_STALL_S = 8.0, 1.0
QUICK_SCALE = 0.4
WORSE_THAN = 1.25  # wider than what two rounds of one commit differ by

Json = dict[str, Any]


class Say:
    """Progress on stderr, with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{self.seconds():5.1f} s] {text}", file=sys.stderr, flush=True)

    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began


def run(args: argparse.Namespace) -> int:
    """All parts that were asked for; 1 if one of them could not be measured."""
    parts = PARTS if args.only is None else tuple(args.only.split(","))
    unknown = [part for part in parts if part not in PARTS]
    wrong = f"--only {unknown[0]}: known: {', '.join(PARTS)}" if unknown else _wrong(args)
    if wrong:
        print(f"steering bench: {wrong}", file=sys.stderr)
        return 2
    for number in (
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # so that an ended run leaves no process and no worktree behind
        signal.signal(number, _interrupt)
    say = Say()
    if args.against is not None:
        written = Path(args.json) if args.json else ROOT / "build" / "bench-against.json"
        return two_trees.run(ROOT, args, say, written, args.worse_than or WORSE_THAN)
    found: Json = {
        "machine": report.machine(),
        "commit": described(ROOT),
        "quick": args.quick,
        "not_measured": {},
    }
    for names, measure in _measurements(args, say):
        if not set(names) & set(parts):
            continue
        try:
            found |= measure()
        except BenchError as error:
            found["not_measured"]["/".join(names)] = str(error)
            say(f"{'/'.join(names)}: not measured: {error}")
    found["seconds"] = round(say.seconds(), 1)
    _write(found, Path(args.json) if args.json else ROOT / "build" / "bench.json")
    print(report.text(found))
    return 1 if found["not_measured"] else 0


def _wrong(args: argparse.Namespace) -> str:
    if args.rounds is not None and not 1 <= args.rounds <= 100:
        return "--rounds: from 1 to 100"
    if args.worse_than is not None and args.against is None:
        return "--worse-than: needs --against COMMIT"
    if args.worse_than is not None and not 1.0 <= args.worse_than <= 100.0:
        return "--worse-than: from 1 to 100"
    return ""


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _measurements(args: argparse.Namespace, say: Say) -> list[tuple[tuple[str, ...], Callable[[], Json]]]:
    return [
        (("setup", "syn"), lambda: _set_up(args, say)),
        (("decision",), lambda: _decision(args.quick, say)),
        (("resync",), lambda: _resync(args.quick, say)),
        (("selection",), lambda: _selection(args.quick, say)),
        (("policy",), lambda: _policy(say)),
        (("memory",), lambda: _memory(args.quick, say)),
        (("stalls",), lambda: _stalls(args.quick, say)),
        (("delay",), lambda: _delay(args.quick, say)),
        (("workers",), lambda: _workers(args, say)),
    ]


def _set_up(args: argparse.Namespace, say: Say) -> Json:
    from tests.bench.rounds import SetUp

    rounds = args.rounds or (QUICK_ROUNDS if args.quick else ROUNDS)
    sessions, scale = (QUICK_SESSIONS, QUICK_SCALE) if args.quick else (SESSIONS, 1.0)
    options = () if args.fast_path else ("--no-fast-path",)
    return SetUp(rounds, sessions, scale, say, options).run()


def _decision(quick: bool, say: Say) -> Json:
    from tests.bench.decision import LARGE, large, measure

    found: Json = {"decision_us": list(measure(quick, say))}
    if not quick:
        say("decision: {} switches, {} MCPs, {} gateways".format(*LARGE))
        found |= large()
    return found


def _resync(quick: bool, say: Say) -> Json:
    from tests.bench.resync import QUICK_SWITCHES, SWITCHES, keys

    curve = []
    for switches in QUICK_SWITCHES if quick else SWITCHES:
        say(f"resync: {switches} switches are filled, then links go down")
        curve.append(by_itself("tests.bench.resync", str(switches), str(QUICK_LINKS if quick else LINKS)))
    return keys(curve)


def _selection(quick: bool, say: Say) -> Json:
    from tests.bench.selection_quality import measure

    seeds = range(1, 4 if quick else 9)
    say(f"selection: {len(seeds)} instances against min-cost flow")
    found = [{"seed": seed} | measure(seed) for seed in seeds]
    return {
        "stretch_over_optimum": max(one["stretch_over_optimum"] for one in found),
        "selection": found,
    }


def _policy(say: Say) -> Json:
    say("policy: look-ups among 10,000 rules")
    found = by_itself("tests.bench.policy_lookup")
    return {"policy_lookup_us": found["median_us"], "policy_lookup": found}


def _memory(quick: bool, say: Say) -> Json:
    sessions, table = (QUICK_SESSIONS, QUICK_TABLE) if quick else (SESSIONS, TABLE)
    say(f"memory: {sessions} sessions through the engine, look-ups among {table}")
    answer = by_itself("tests.bench.memory", str(sessions), str(table))
    told = ("bytes_per_session", "longest_gc_ms", "longest_growth_ms")
    return {key: answer[key] for key in told} | {"memory": answer}


def _stalls(quick: bool, say: Say) -> Json:
    from tests.bench.stalls import measure

    return measure(*((QUICK_CROWD, QUICK_STALL_S) if quick else (CROWD, STALL_S)), say)


def _delay(quick: bool, say: Say) -> Json:
    from tests.bench.delay import DelayError, measure

    try:
        found = measure(QUICK_CONNECTIONS if quick else CONNECTIONS, say)
    except DelayError as error:
        raise BenchError(str(error)) from None
    return {"syn_delay_added_p50_ms": found["syn_delay_added_p50_ms"], "delay": found}


def _workers(args: argparse.Namespace, say: Say) -> Json:
    from tests.bench.workers import measure

    rounds = args.rounds or (QUICK_ROUNDS if args.quick else ROUNDS)
    return measure(rounds, QUICK_SCALE if args.quick else 1.0, say)


def _write(found: Json, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")
    found["written"] = str(path)
