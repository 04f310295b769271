"""The controller is killed during a transfer and with live sessions, stays away, and comes back.

All the while a host opens a connection ten times a second, and notes how long each took and whether it was MPTCP. A
connection through an MCP is MPTCP; a connection straight to the server is not, as the server speaks plain TCP.
"""

import calendar
import time
from typing import Any

from steering.model.policy import Policy
from topologies.kit.lab import Lab, ofctl, running
from topologies.kit.network import drop_endpoints
from topologies.kit.plan import address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.networks.two_mcps import SERVICES, two_mcps
from topologies.programs.lateness import Lateness

ROWS = ("D-6.2c", "D-4.d")
PLAN = two_mcps("controller-loss")
SESSIONS = 120
GRACE_S = Policy().timers.controller_grace
AWAY_S = 6.0  # seconds without a controller: more than two periods of grace
RETRY_S = 1.0  # seconds after which a host sends a lost SYN again
SLACK_S = 0.5  # seconds for the timers of kernels, and for a busy machine
BACK_S = 2.0  # seconds from a start to the first session that the new controller steers: what is promised
STREAM_S = (
    0.5  # longest silence of a transfer that was pinned before; 0.09 was seen, and TCP's time-out is 0.2
)
AFTER_S = 2.0
STREAM_MBIT = 2.0
GAP_S = 0.1  # seconds between connections
NOT_MOVED = ("Blackhole", "MPCapableSYNTXDisabled", "MPCapableSYNTXDrop")
LEASED = "table=1,tcp,tcp_flags=+syn-ack"

Try = dict[str, Any]


def run(options: Options, report: Report) -> None:
    """Open sessions and a transfer, kill the controller, open connections meanwhile, and start the controller again."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        for name in ("ue1", "ue2"):
            drop_endpoints(lab.host(name))
        lab.start_controller(options.without)
        with Lateness() as late:
            test = Loss(lab, report, options.sessions or SESSIONS, late)
            test.begin()
            test.come_back_at_once()
            test.lose(options.seconds or AWAY_S)
            test.come_back()
            test.judge()
        if options.prompt:
            lab.command_line()


class Loss:
    """The steps of the run. `sessions` of ue1 live through the loss; ue2 opens new ones."""

    def __init__(self, lab: Lab, report: Report, sessions: int, late: Lateness) -> None:
        self.lab, self.report, self.sessions, self.late = lab, report, sessions, late
        self.old, self.new = lab.agents["ue1"], lab.agents["ue2"]
        self.target = {f: address_of(PLAN.box("server"), f) for f in (4, 6)}
        self.lost = self.started = 0.0
        self.connected: float | None = None  # when the last switch was, by the log
        self.again = 0.0  # the start at once
        self.ready: float | None = None  # when that process was, by its log

    def begin(self) -> None:
        """Open what shall survive the loss."""
        lab = self.lab
        lab.say(f"{self.sessions} sessions, a transfer, a new connection each {GAP_S} s")
        for family, count in ((4, self.sessions // 2), (6, self.sessions - self.sessions // 2)):
            opened = self.old.ask(
                "open",
                group="sessions",
                count=count,
                dst=self.target[family],
                ports=SERVICES,
                mptcp=True,
                first=True,
            )["opened"]
            self.report.equal(
                f"sessions of IPv{family} that failed to open", [], [o for o in opened if "error" in o][:3]
            )
        self.old.ask(
            "start", name="stream", kind="steady", dst=self.target[4], port=SERVICES[0], mptcp=True,
            mbit=STREAM_MBIT, seconds=120.0,
        )  # fmt: skip
        lab.mark()
        self.new.ask(
            "start",
            name="tries",
            kind="tries",
            dst=self.target[4],
            port=SERVICES[0],
            mptcp=True,
            gap=GAP_S,
            wait=15.0,
        )
        time.sleep(1.5)

    def lose(self, seconds: float) -> None:
        """Kill the controller and wait."""
        lab, report = self.lab, self.report
        lab.say(f"kill -9 of the controller, then {seconds:.0f} s without one")
        lab.controller.kill()
        self.lost = time.monotonic()
        time.sleep(seconds)
        held = sum(
            ofctl(lab.switch(name), "dump-flows", LEASED).count("cookie=") for name in ("s1", "s2", "s4")
        )
        report.equal("without a controller: entries that hold SYNs", 0, held, "kernel")
        broken = self.old.ask("echo", group="sessions")["failed"]
        report.equal("without a controller: sessions that broke", [], broken[:3])

    def come_back(self) -> None:
        """Start a new process with the same site file and state directory."""
        lab, report = self.lab, self.report
        lab.say("the controller starts again")
        self.started = time.monotonic()
        lab.controller.start()
        lab.controller.wait_ready()
        time.sleep(AFTER_S)
        self.connected = max(self._logged(" connected from ", self.started), default=None)
        broken = self.old.ask("echo", group="sessions")["failed"]
        report.equal("after the return: sessions that broke", [], broken[:3])
        rows = [row for row in lab.controller.sessions() if row["token"]]
        report.expect(
            "after the return: live sessions are known with their tokens",
            len(rows) >= self.sessions, f"at least {self.sessions}", len(rows), "REST",
        )  # fmt: skip

    def come_back_at_once(self) -> None:
        """Killed, and started in the same moment, as a service manager does it."""
        lab = self.lab
        lab.say("kill -9 of the controller, and a start at once")
        lab.controller.kill()
        self.again = time.monotonic()
        lab.controller.start()
        lab.controller.wait_ready()
        time.sleep(AFTER_S)
        self.ready = max(self._logged(", REST: ", self.again), default=None)
        broken = self.old.ask("echo", group="sessions")["failed"]
        self.report.equal("after the start at once: sessions that broke", [], broken[:3])

    def judge(self) -> None:
        """Check what the host's programs and its kernel noticed."""
        lab, report = self.lab, self.report
        self.new.ask("stop", name="tries")
        self.old.ask("stop", name="stream")
        tries: list[Try] = self.new.finish("tries", 30.0)["tries"]
        stream = self.old.finish("stream", 60.0)
        self._transfer(stream)
        before = [one for one in tries if one["at"] + one["took"] < self.again]
        alone = [one for one in tries if self.lost <= one["at"] < self.started]
        after = [one for one in tries if one["at"] >= self.started]
        at_once = [one for one in tries if self.again <= one["at"] < self.lost]
        report.expect(
            "before: new connections are MPTCP",
            bool(before) and all(one["mptcp"] for one in before), "all", f"{_mptcp(before)} of {len(before)}", "kernel",
        )  # fmt: skip
        failed = [one["error"] for one in tries if one["error"]]
        report.equal("new connections that failed, of all", [], failed[:3])
        late = [
            one
            for one in alone
            if one["at"] + one["took"] > max(one["at"], self.lost + GRACE_S) + RETRY_S + SLACK_S
        ]
        report.expect(
            "without a controller: new connections are there within a second after the grace",
            len(alone) > 1 and not late, f"all of {len(alone)}", f"{len(alone) - len(late)} of {len(alone)}",
        )  # fmt: skip
        passed = [one for one in alone if one["at"] > self.lost + GRACE_S]
        report.expect(
            "without a controller, after the grace: they go their natural way, without an MCP",
            bool(passed) and not _mptcp(passed), "none MPTCP", f"{_mptcp(passed)} of {len(passed)}", "kernel",
        )  # fmt: skip
        first = min((one["at"] + one["took"] for one in after if one["mptcp"]), default=None)
        took = None if first is None or self.connected is None else self._own(self.connected, first)
        back = None if first is None else self._own(self.started, first)
        report.expect(
            "after the return: seconds from the start to the first session through an MCP",
            back is not None and back <= BACK_S,
            f"at most {BACK_S}",
            None if back is None else round(back, 2),
            "kernel",
        )
        first_again = min((one["at"] + one["took"] for one in at_once if one["mptcp"]), default=None)
        back_again = None if first_again is None else self._own(self.again, first_again)
        report.expect(
            "started at once: seconds from the start to the first session through an MCP",
            back_again is not None and back_again <= BACK_S,
            f"at most {BACK_S}",
            None if back_again is None else round(back_again, 2),
            "kernel",
        )
        counted = lab.counted("ue2")
        moved = {name: counted[name] for name in NOT_MOVED if counted[name]}
        silence = _silence(stream)
        report.equal("what a host counts that believes in a black hole", {}, moved, "kernel")
        report.figures["a transfer that was pinned before"] = {
            "longest_silence_s": silence, "told_of_an_error": "error" in stream,
        }  # fmt: skip
        report.figures.update(
            longest_connect_alone_s=max((round(one["took"], 2) for one in alone), default=None),
            start_to_switches_s=_since(self.connected, self.started),
            switches_to_first_s=None if took is None else round(took, 2),
            start_to_first_s=_since(first, self.started),
            natural=len(passed),
            at_once_start_to_ready_s=_since(self.ready, self.again),
            at_once_start_to_first_s=_since(first_again, self.again),
        )
        report.table = [
            ["what", "seconds"],
            ["longest silence of the transfer", str(silence)],
            ["longest connect without a controller", str(report.figures["longest_connect_alone_s"])],
            ["from the start to the last switch", str(report.figures["start_to_switches_s"])],
            ["from there to the first session through an MCP", str(report.figures["switches_to_first_s"])],
            [
                "started at once: from the start to the process's being ready",
                str(report.figures["at_once_start_to_ready_s"]),
            ],
            [
                "started at once: from the start to the first session through an MCP",
                str(report.figures["at_once_start_to_first_s"]),
            ],
        ]

    def _own(self, begin: float, end: float) -> float:
        """Seconds between two times, without what this machine was late between them."""
        return end - begin - self.late.during(begin, end)

    def _logged(self, what: str, since: float) -> list[float]:
        return _times(self.lab.controller.log_path().read_text(), what, since)

    def _transfer(self, stream: Try) -> None:
        self.report.expect(
            "the pinned transfer went on: seconds without a byte, wrong bytes, errors",
            stream.get("empty_seconds") == 0 and stream.get("wrong") is False and "error" not in stream,
            "0, none, none",
            f"{stream.get('empty_seconds')}, {stream.get('wrong')}, {stream.get('error', 'none')}; longest silence {_silence(stream)} s",
        )
        own = stream.get("own_gap_s")
        self.report.expect(
            "the pinned transfer: longest silence", own is not None and own < STREAM_S, f"under {STREAM_S:g} s",
            f"{own} s, {_silence(stream)} s with what this machine was late",
        )  # fmt: skip


def _silence(stream: Try) -> float | None:
    """The longest of a transfer, None for one that never began."""
    gap = stream.get("longest_gap_s")
    return None if gap is None else round(gap, 3)


def _since(at: float | None, begun: float) -> float | None:
    return None if at is None else round(at - begun, 2)


def _mptcp(tries: list[Try]) -> int:
    return sum(one["mptcp"] for one in tries)


def _times(log: str, what: str, since: float) -> list[float]:
    """The times of a line in the controller's log, on the machine's monotonic clock."""
    offset = time.time() - time.monotonic()
    found = [
        calendar.timegm(time.strptime(line[:19], "%Y-%m-%dT%H:%M:%S")) + int(line[20:23]) / 1000 - offset
        for line in log.splitlines()
        if what in line
    ]
    return [at for at in found if at >= since]


SCENARIO = Scenario(
    name="controller-loss",
    figure="docs/design/architecture.rst, Restart",
    rows=ROWS,
    summary="kill -9 of the controller under a transfer: new connections go their natural way, and by an MCP after its return",
    plan=PLAN,
    run=run,
    controls=controls("lease"),
    alone=True,
)
