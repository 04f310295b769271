"""What traces of set-ups cost the set-up path: processor time of a set-up without, with the default rate, and with each traced.

Engine, feed and sender in this process, with OpenTelemetry's own spans; switches confirm at once. Exporting is left out: it is in
a thread of its own, and no more than `--otlp-rate` traces a second come to it. Rounds of all three go by turns.

`python -m tests.bench.trace_costs [ROUNDS]`; prints JSON, microseconds.
"""

import gc
import json
import sys
from ipaddress import ip_address
from statistics import median
from time import process_time
from typing import Any

from steering.core.inputs import CountersRead, ObservedEntry
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import PortRef
from steering.model.usual_segment import UsualSyn, UsualSynAck
from steering.openflow.engine_feed import EngineFeed
from steering.openflow.switch_tables.sender import Sender
from steering.openflow.traced_feed import TracedFeed
from steering.runtime.traces.otlp import SpanMaker
from steering.runtime.traces.set_up_traces import SetUpTraces
from tests.support.sites import SERVER, Driver, capable, mcp, off_path_site
from tests.support.traced_set_ups import KeptLine, key_of

ROUNDS, SET_UPS = 30, 400  # of each kind, and in each round
SPORTS = 500  # of one host: a policy bounds the sessions of a subscriber
STEP = 0.001  # seconds between set-ups: a thousand a second
LTE, CORE = DatapathId(1), DatapathId(3)
RATES = {"off": 0, "default rate": 10, "each traced": 1_000_000}


class SetUpPath:
    """An engine with all that a set-up goes through. `rate` 0: nobody traces."""

    def __init__(self, rate: int) -> None:
        only = mcp("core", PortRef(3, 1), "10.8.0.2", "fd00:8::2", capacity=1_000_000)
        self.driver = driver = Driver(off_path_site(mcps=(only,)))
        self.lines = {DatapathId(dpid): KeptLine() for dpid in range(1, 6)}
        self.sender = Sender(self.lines, driver.counters, lambda given: None)  # type: ignore[arg-type]
        self.spans: list[Any] = []
        self.begun = 0
        if rate:
            traces = SetUpTraces(
                driver.engine, driver.counters, SpanMaker(self.spans.append).begin, rate, lambda: driver.now
            )
            feed = TracedFeed(driver.engine, driver.counters, self.sender.execute, traces, lambda: driver.now)
            self.sender.let_go = feed.let_go
            self.feed: EngineFeed = feed
        else:
            self.feed = EngineFeed(driver.engine, driver.counters, self.sender.execute)

    def round(self) -> float:
        """Microseconds a set-up."""
        given = [self._segments(self.begun + number) for number in range(SET_UPS)]
        self.begun += SET_UPS
        self.spans.clear()
        self.driver.mcps_answer()
        gc.collect()
        began = process_time()
        for syn, answer in given:
            self._set_up(syn, answer)
        took = process_time() - began
        assert len(self.driver.table) == self.begun, "each was a session"
        return took / SET_UPS * 1e6

    def _segments(self, number: int) -> tuple[UsualSyn, UsualSynAck]:
        host, sport = divmod(number, SPORTS)
        seen = capable(str(ip_address("10.1.0.2") + host), 1_000 + sport, SERVER)
        flow = key_of(seen)
        key, frame, port = number.to_bytes(8, "big"), Driver.frame(seen), PortNumber(1)
        syn = UsualSyn(LTE, port, flow, seen.seq, 1, frame)  # type: ignore[arg-type]
        return syn, UsualSynAck(CORE, port, flow, seen.seq + 1, 1, key, frame)  # type: ignore[arg-type]

    def _set_up(self, syn: UsualSyn, answer: UsualSynAck) -> None:
        driver, sender, lines = self.driver, self.sender, self.lines
        driver.now += STEP
        self.feed.give_all([syn], driver.now)
        sender.end_batch(driver.now)
        for dpid, line in lines.items():
            for xid in line.barriers():
                sender.barrier_reply(dpid, xid, driver.now)
        self.feed.give_all([answer], driver.now)
        sender.end_batch(driver.now)
        subflow = driver.table.flows[syn.key]
        entry = subflow.session.entry(subflow)
        assert entry is not None
        self.feed.give(CountersRead(LTE, [ObservedEntry(entry, 3, 3_000)]), driver.now)


def measured(rounds: int) -> dict[str, Any]:
    """Medians of rounds, and of the differences to "off" in the same round; spans of a set-up."""
    paths = {name: SetUpPath(rate) for name, rate in RATES.items()}
    for path in paths.values():
        path.round()
    times: dict[str, list[float]] = {name: [] for name in paths}
    for number in range(rounds):
        order = list(paths) if number % 2 else list(reversed(paths))
        for name in order:
            times[name].append(paths[name].round())
    return {
        name: {
            "setup_us": round(median(took), 1),
            "more_us": round(median(a - b for a, b in zip(took, times["off"], strict=True)), 1),
            "spans": round(len(paths[name].spans) / SET_UPS, 2),
        }
        for name, took in times.items()
    }


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]) if sys.argv[1:] else ROUNDS), indent=1))
