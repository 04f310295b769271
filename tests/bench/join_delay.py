"""What a join waits in addition because its session is another controller's: `python -m tests.bench.join_delay`.

Three processes on loopback with TLS between them. The time is from the join's arrival in the engine at its edge until the owner has
its answer; the way of the answer back to the edge's switch is one more message of the same kind, so it is counted twice.
"""

import tempfile
from functools import partial
from pathlib import Path
from statistics import quantiles

from tests.support.peer_processes import set_up, started
from tests.support.rest_calls import certificates
from tests.support.waiting import wait_for

JOINS = 300


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificates(folder, "a", "b", "c")
        with started(folder) as peers:
            wait_for(lambda: all(one.reports(whole=True) for one in peers.values()))
            set_up(peers, 0, JOINS)
            delays = []
            for number in range(JOINS):
                came = peers["c"].do("joins", count=1, first=number)
                wait_for(partial(peers["a"].reports, subflows=JOINS + number + 1))
                delays.append(2 * (peers["a"].do("last") - came) * 1000)
    cuts = quantiles(delays, n=100)
    print(f"{JOINS} joins: added p50 {cuts[49]:.2f} ms, p95 {cuts[94]:.2f} ms, p99 {cuts[98]:.2f} ms")


if __name__ == "__main__":
    main()
