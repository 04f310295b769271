"""Two workers (`steering run --workers 2`) on two cores: complete set-ups, times one controller's. The generator runs on the same cores,
so a machine with more of them shows more."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from tests.bench.machines import Arm, Bench, BenchError

WORKERS = 2
TOKENS = 400_000  # connections that one generator can bring to their second half
SECONDS = 3.0  # of one measurement
READY_S = 60.0  # in which workers have their switches, and have divided the limits of the policy
FIRST = 50  # set-ups that show it

Json = dict[str, Any]


def measure(rounds: int, scale: float, say: Callable[[str], None]) -> Json:
    """Rounds of both, one after the other. Raises BenchError."""
    with Bench(0, TOKENS) as bench:
        say(f"workers: starting one controller, and one with {WORKERS} workers")
        one = _ready(bench.steering(name="alone", pinned=False))
        many = _ready(bench.steering("--workers", str(WORKERS), name="workers", pinned=False))
        found: list[Json] = []
        for number in range(rounds):
            pair: list[tuple[str, Arm]] = [("alone", one), ("workers", many)]
            if number % 2:
                pair.reverse()  # who comes first takes turns
            answers = {name: arm.run("setup", seconds=SECONDS * scale) for name, arm in pair}
            found.append(
                {
                    name: {key: one[key] for key in ("rate", "cpu_us", "p50_us")}
                    for name, one in answers.items()
                }
            )
            say(f"workers: round {number + 1} of {rounds}: {_ratio(found[-1], 'rate'):.2f}")
    ratios = [_ratio(one, "rate") for one in found]
    by_time = [WORKERS / _ratio(one, "cpu_us") for one in found]
    return {
        "workers_2_vs_1": round(median(ratios), 2),
        "workers": {
            "least": round(min(ratios), 2),
            "most": round(max(ratios), 2),
            # What two cores for the workers alone would give, by the processor time of one set-up.
            "by_processor_time": round(median(by_time), 2),
            "rounds": found,
        },
    }


def _ratio(found: Json, key: str) -> float:
    ratio: float = found["workers"][key] / found["alone"][key]
    return ratio


def _ready(arm: Arm) -> Arm:
    """Some set-ups are complete. A controller of several takes none before all know each other's part of the limits."""
    until = time.monotonic() + READY_S
    while True:
        try:
            arm.run("setup", count=FIRST)
            return arm
        except BenchError:
            if time.monotonic() > until:
                raise
