"""Processor time of a set-up, a SYN's answer and a join at this tree's controller, round by round: `python -m tests.bench.costs`.

For each line on stdin one line of JSON, microseconds; before the first one `{}`, once the controller is ready. It ends with
its stdin. This is what trees of two commits have in common, so what is said here stays as it is.
"""

import json
import signal
import sys

from tests.bench.machines import Arm, Bench

SESSIONS = 2_500  # before the first round
# Some 0.1 s of work each: the kernel counts a process's time too coarsely for much less.
SETUPS, JOINS, SYNS = 1_250, 4_000, 2_500
TOKENS = 200_000  # of 52 rounds


def costs(arm: Arm) -> dict[str, float]:
    """One round. The same work in every round, so that rounds can be compared."""
    setup, join = arm.run("setup", count=SETUPS), arm.run("join", count=JOINS)
    syn = arm.run("syn", count=SYNS)
    arm.run("finish", count=1)
    return {"setup_us": setup["cpu_us"], "syn_us": syn["cpu_us"], "join_us": join["cpu_us"]}


def main() -> None:
    """Rounds as they are asked for. Raises BenchError."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no controller is left behind
    with Bench(SESSIONS, TOKENS) as bench:
        arm = bench.steering()
        arm.run("setup", count=SESSIONS)
        arm.driver.ask(f"targets {SESSIONS}")
        print("{}", flush=True)
        for _line in sys.stdin:
            print(json.dumps(costs(arm)), flush=True)


if __name__ == "__main__":
    main()
