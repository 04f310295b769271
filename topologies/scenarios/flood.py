"""A SYN flood on one access, while hosts of the other access open M-sessions: all of them are set up, and hardly slower.

The flood is 30,000 SYNs per second with MP_CAPABLE, from every address of the LTE prefix. A meter at each access port
keeps most of them from the controller, the meter of a flooded port is cut to a tenth, and each access port has a
bound of half-open sessions (N-7.2c). (The LTE access is one whose hosts are `learned`: elsewhere the switch drops what
comes with an address that none of the port's own hosts has, and that would be the end of it.)
"""

import re
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Self

from steering.model.rules import VIRTUAL_MAC
from topologies.kit.lab import Lab, ofctl, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of
from topologies.kit.processes import PROGRAMS, StartedProcess
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until

RATE = 30_000
SECONDS = 20.0  # most of them for the sessions of a busy machine
SESSIONS = 100
NOTICED_S = 2.0  # seconds until the meter of a flooded port is cut: it is read once a second, and twice
CUT_S = 6.0  # most that it is waited for
LET_THROUGH = 200  # SYNs per second that the meter of a port lets through; a tenth once the port is flooded
FLOODED = (
    5  # a flood is at least so many times what the meter lets through; the controller takes less for its end
)
READ_S = 0.1  # between two readings of the flooded port
PAUSE_S = 0.5  # seconds without a flood that count as a pause. The controller reads each second, and notices longer pauses
SLOWER = 2.0  # most, 95th percentile of set-up times under flood by that without

ROWS = ("N-7.2c", "N-7.2b", "D-6.4.0")
PLAN = Plan(
    name="flood",
    switches=("s1", "s2", "s3"),
    wires=(Wire("s1:2", "s3:2"), Wire("s2:2", "s3:3")),
    boxes=(
        Box("bad", Kind.PLAIN, (Nic("s1:1", ("10.1.0.2/24", "fd00:1::2/64")),)),
        Box("good", Kind.DUAL, (Nic("s2:1", ("10.2.0.2/24", "fd00:2::2/64")),)),
        Box("core", Kind.MCP, (Nic("s3:1", ("10.8.0.2/24", "fd00:8::2/64")),)),
        Box("server", Kind.SERVER, (Nic("s3:4", ("10.9.0.2/24", "fd00:9::2/64")),)),
    ),
    accesses=(
        Attachment("lte", ("10.1.0.0/24", "fd00:1::/64"), ("s1:1",), "cellular", hosts="learned"),
        Attachment("wlan", ("10.2.0.0/24", "fd00:2::/64"), ("s2:1",), "wlan"),
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24", "fd00:9::/64"), ("s3:4",)),),
    points=(Point("core", "s3:1", ("10.8.0.2", "fd00:8::2")),),
    # The rate of B6. All SYNs that pass the meter cost time of this one machine, on which hosts and MCP run too.
    policy=f"policy: 1\nmeters: {{syn_per_port: {LET_THROUGH}}}\n",
)


class PortReadings:
    """What came to a port: `readings` of the time in seconds and the packets until then, each READ_S while the context lasts."""

    def __init__(self, read: Callable[[], int]) -> None:
        self.readings: list[tuple[float, int]] = []
        self._read, self._over = read, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._over.wait(READ_S):
            self.readings.append((time.monotonic(), self._read()))


def pauses(readings: Sequence[tuple[float, int]]) -> int:
    """How often a port got less than a flood for PAUSE_S, by readings of the time and its packets."""
    found, quiet = 0, 0.0
    for (begin, before), (end, after) in pairwise(readings):
        was = quiet
        quiet = quiet + end - begin if after - before < FLOODED * LET_THROUGH * (end - begin) else 0.0
        found += was < PAUSE_S <= quiet
    return found


def most_seen(cut_s: float, paused: int) -> int:
    """The most SYNs that may reach the controller where the meter is cut after `cut_s` seconds of flood: those that the meter lets
    through, and twice those of the sessions. A meter that is never cut would let LET_THROUGH a second pass. After a pause of the
    flood, when the sending program did not run for a second, the meter is whole again until it is cut anew. `paused`: the number
    of pauses that the port's counters show; a meter that is whole again for another reason lets too many SYNs through."""
    whole = min(SECONDS, cut_s + paused * (NOTICED_S + 1.0))
    return int(LET_THROUGH * (whole + (SECONDS - whole) / 10)) + 2 * SESSIONS


def run(options: Options, report: Report) -> None:
    """Measure without the flood, then under it."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        _sessions(lab, "warm", 5)
        quiet = _sessions(lab, "quiet", SESSIONS)
        options.say(f"{RATE} SYNs a second on the LTE access for {SECONDS:.0f} s")
        before, quiet_port = _syns(lab), _came(lab)
        flood = _flood(lab)
        with PortReadings(lambda: _port_count(lab)) as port:
            begun = time.monotonic()
            time.sleep(NOTICED_S)
            until(lambda: lab.controller.metric("steering_floods_total") >= 1, CUT_S - NOTICED_S)
            cut_s = time.monotonic() - begun
            flooded = _sessions(lab, "flooded", SESSIONS)
            still = flood.alive()
            flood.wait(120)
        report.figures["syns_seen"] = _syns(lab) - before
        report.figures["came"] = _came(lab) - quiet_port
        report.figures["cut_s"] = round(cut_s, 2)
        _judge(lab, report, quiet, flooded, still, flood, port.readings)
        if options.prompt:
            lab.command_line()


def _syns(lab: Lab) -> int:
    return int(lab.controller.metric("steering_packet_ins_total", **{"class": "syn"}))


def _came(lab: Lab) -> int:
    """Packets that came in at the flooded port so far, by the switch's own count."""
    bridge, _, number = PLAN.box("bad").nics[0].peer.partition(":")
    found = re.search(r"rx pkts=(\d+)", ofctl(lab.switch(bridge), "dump-ports", number))
    return int(found[1]) if found else 0


def _port_count(lab: Lab) -> int:
    """Packets at the flooded port by the kernel's counter, which is cheap to read."""
    file = Path("/sys/class/net", lab.interface(PLAN.box("bad").nics[0].peer), "statistics/rx_packets")
    return int(file.read_text()) if file.exists() else 0


def judge_seen(
    report: Report, cut_s: float, floods: int, readings: Sequence[tuple[float, int]], seen: int
) -> None:
    """Judge the number of SYNs that reached the controller. The meter was cut after so many seconds, and `floods` times in all. For
    each time after the first, the port's counters have to show a pause."""
    report.figures["pauses"] = pauses(readings)
    most = most_seen(cut_s, min(report.figures["pauses"], max(0, floods - 1)))
    name = "SYNs that the controller had to look at, of both"
    report.expect(name, seen <= most, f"at most {most}", seen, "REST")


def judge_flood(report: Report, came: int) -> None:
    """Check that there was a flood at all. Otherwise the run shows nothing, so this is no check of a rate."""
    least = FLOODED * LET_THROUGH * int(SECONDS)
    name = "the flood at its port: many times what the meter lets through"
    report.expect(name, came >= least, f"at least {least} packets", came, "kernel")


def _flood(lab: Lab) -> StartedProcess:
    host = lab.host("bad")
    script = str(PROGRAMS / "flooding.py")
    server = address_of(PLAN.box("server"), 4)
    words = [host.interface(0), VIRTUAL_MAC, "10.1.0.0/24", server, "5001", str(RATE), str(SECONDS)]
    flood = StartedProcess(lab.record, "flooding", [sys.executable, script, *words], host)
    flood.wait_for(lambda: "ready" in flood.log.read_text(), 30, "its frames")
    return flood


def _sessions(lab: Lab, group: str, count: int) -> list[float]:
    """Open `count` M-sessions: the milliseconds that connect() took for each, infinite for one that carried no data."""
    order = {"group": group, "dst": address_of(PLAN.box("server"), 4), "ports": [5001], "mptcp": True}
    times = []
    for _ in range(count):
        (opened,) = lab.agents["good"].ask("open", **order, first=True, count=1)["opened"]
        times.append(opened["connect_s"] * 1e3 if "error" not in opened else float("inf"))
    lab.agents["good"].ask("close", group=group)
    return times


def _judge(
    lab: Lab,
    report: Report,
    quiet: list[float],
    flooded: list[float],
    still: bool,
    flood: StartedProcess,
    readings: Sequence[tuple[float, int]],
) -> None:
    sent, rate = map(int, flood.numbers(2))
    before, during = (statistics.quantiles(times, n=20)[18] for times in (quiet, flooded))
    report.table = [
        ["", "sessions", "set up", "p50 ms", "p95 ms"],
        *(
            [
                name,
                str(len(t)),
                str(sum(x < float("inf") for x in t)),
                f"{statistics.median(t):.1f}",
                f"{p95:.1f}",
            ]
            for name, t, p95 in (("quiet", quiet, before), ("flooded", flooded, during))
        ),
    ]
    report.figures |= {"sent": sent, "rate": rate, "quiet_p95_ms": before, "flooded_p95_ms": during}
    # How many SYNs a Python program sends depends on the machine's load, so this is a check of a rate.
    least = 0.8 * RATE
    report.rate("the flood was one: SYNs a second", rate >= least, f"at least {least:.0f} a second", rate)
    judge_flood(report, report.figures["came"])
    report.expect("the flood outlasted the sessions", still, "it did", "it did" if still else "it had ended")
    report.equal("sessions of the other access set up", SESSIONS, sum(t < float("inf") for t in flooded))
    fell_back = lab.counted("good")["MPCapableFallbackSYNACK"]
    report.equal("none of them fell back to plain TCP", 0, fell_back, "kernel")
    report.rate(
        "p95 of the set-up",
        during <= SLOWER * before,
        f"at most {SLOWER * before:.1f} ms",
        f"{during:.1f} ms",
    )
    cut_s, seen = report.figures["cut_s"], report.figures["syns_seen"]
    cut = lab.controller.metric("steering_floods_total")
    judge_seen(report, cut_s, int(cut), readings, seen)
    name = "the flooded port's meter was cut within a second of its second reading"
    report.expect(name, cut_s < NOTICED_S + 1.0, f"in {NOTICED_S + 1:g} s", cut_s, "REST")
    report.expect("the flooded port's meter was cut", cut >= 1, "at least once", cut, "REST")
    health = lab.controller.get("/v1/health")
    report.equal("the controller is well", "ok", health["status"], "REST")


SCENARIO = Scenario(
    name="flood",
    figure="draft-nam section 7",
    rows=ROWS,
    summary="30,000 SYNs a second on one access; the sessions of the other are set up all the same",
    plan=PLAN,
    run=run,
    controls=controls("flood-meters"),
    alone=True,
)
