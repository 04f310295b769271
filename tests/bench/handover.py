"""What handing over a share with many sessions takes: the CPU time of each piece, at who gives it up and at who takes it over.

Run by itself: `python -m tests.bench.handover SESSIONS`; prints JSON.
"""

import gc
import json
import sys
from statistics import median
from time import process_time
from typing import Any

from steering.core.inputs import Continue, EntriesRead, Input, ObservedEntry, SwitchUp
from steering.core.outputs import GoOn
from steering.core.peer_facts import ClusterChanged, TurnOver
from steering.model.ids import DatapathId
from steering.model.network import PortRef, PortRole
from tests.support.clustered import SHARES, Cluster
from tests.support.sites import mcp, off_path_site

LTE = DatapathId(1)
SPORTS = 60_000  # of one host


def begun(sessions: int) -> tuple[Cluster, list[ObservedEntry]]:
    """Sessions of one controller, and what the switch where they began holds of them."""
    mcps = (
        mcp("core", PortRef(3, 1), "10.8.0.2", "fd00:8::2", capacity=1_000_000),
        mcp("edge", PortRef(5, 1), "10.8.1.2", "fd00:18::2", capacity=1_000_000),
    )
    cluster = Cluster(site=off_path_site(mcps=mcps))
    held = []
    for number in range(sessions):
        host, sport = divmod(number, SPORTS)
        session = cluster.session(f"10.1.0.{2 + host}", 1_000 + sport, number.to_bytes(8, "big"))
        held += [ObservedEntry(entry, 1) for entry in session.entries(PortRole.GATEWAY) if entry.dpid == LTE]
    cluster.shares = {**SHARES, LTE: "c"}
    return cluster, held


def pieces(cluster: Cluster, name: str, given: Input) -> dict[str, Any]:
    """Milliseconds of CPU that an engine takes for an input, and for each piece of what it leads to."""
    engine, found = cluster.engines[name], []
    goes_on = True
    while goes_on:
        began = process_time()
        outputs = [*engine.handle(given, cluster.now), *engine.handle(TurnOver(), cluster.now)]
        found.append((process_time() - began) * 1e3)
        goes_on = any(isinstance(output, GoOn) for output in outputs)
        given = Continue()
    return {
        "pieces": len(found),
        "whole_ms": round(sum(found)),
        "median_ms": round(median(found), 2),
        "p99_ms": round(sorted(found)[len(found) * 99 // 100], 2),
        "longest_ms": round(max(found), 2),
    }


def measured(sessions: int) -> dict[str, Any]:
    cluster, held = begun(sessions)
    gc.collect()
    gc.freeze()  # as a controller does
    changed = {name: ClusterChanged(name, frozenset(cluster.names), cluster.shares) for name in cluster.names}
    given_up = pieces(cluster, "a", changed["a"])
    engine = cluster.engines["c"]
    engine.handle(changed["c"], cluster.now)
    engine.handle(SwitchUp(LTE, cluster.ports(LTE)), cluster.now)
    taken_over = pieces(cluster, "c", EntriesRead(LTE, held, []))
    assert len(engine.sessions.table) == sessions and not len(cluster.engines["a"].sessions.table)
    return {"sessions": sessions, "given_up": given_up, "taken_over": taken_over}


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]))))
