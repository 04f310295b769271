"""What a user at home notices while the CPE's lines change: the longest silence of a stream, and the wait of a new
connection."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from topologies.kit.lab import Lab
from topologies.kit.plan import address_of
from topologies.kit.processes import relay_status
from topologies.kit.report import Report
from topologies.networks.hybrid import SERVICE
from topologies.programs.lateness import Lateness

SECOND = 1.0  # the longest silence or wait that a user may notice
MBIT, BEFORE_S, STREAM_S = 4.0, 2.0, 7.0
WAIT_S = 20.0


@dataclass
class LineExperience:
    """What a user noticed in one case, in seconds. `error`: the error that an application was told, "" for none. `own_s` and
    `opened_own_s` are silence and wait without what this machine was late meanwhile."""

    silence_s: float
    own_s: float
    error: str
    wrong: bool
    opened_s: float
    opened_own_s: float
    open_error: str

    def figures(self) -> dict[str, Any]:
        """The figures for the report's JSON."""
        return {
            "longest_silence_s": round(self.silence_s, 2),
            "told_of_an_error": bool(self.error or self.open_error),
            "new_connection_s": round(self.opened_s, 2),
        }


def observed(lab: Lab, change: Callable[[], object]) -> LineExperience:
    """Run a stream of lan1 while the lines change, and open a connection of lan2 just after."""
    order = {"dst": address_of(lab.plan.box("server"), 4), "port": SERVICE, "mbit": MBIT, "seconds": STREAM_S}
    lab.agents["lan1"].ask("start", name="stream", kind="steady", **order)
    time.sleep(BEFORE_S)
    change()
    opened = first_answer(lab)
    done = lab.agents["lan1"].finish("stream", STREAM_S + 45)
    silence = done.get("longest_gap_s", WAIT_S)
    return LineExperience(
        silence,
        done.get("own_gap_s", silence),
        done.get("error", ""),
        bool(done.get("wrong", True)),
        opened.took_s,
        opened.own_s,
        opened.error,
    )


class FirstAnswer(NamedTuple):
    """Seconds until a connection's first answer; the same without this machine's lateness; and the connection's error, or
    ""."""

    took_s: float
    own_s: float
    error: str


def first_answer(lab: Lab) -> FirstAnswer:
    """Open a connection of lan2."""
    order = {"group": "fresh", "dst": address_of(lab.plan.box("server"), 4), "ports": [SERVICE]}
    with Lateness() as late:
        began = time.monotonic()
        told = lab.agents["lan2"].ask("open", first=True, wait=WAIT_S, **order)["opened"][-1]
        ended = time.monotonic()
    return FirstAnswer(ended - began, ended - began - late.during(began, ended), told.get("error", ""))


def check_noticed(report: Report, case: str, seen: LineExperience) -> None:
    """Check that no application got an error, and that none waited for a second."""
    report.equal(f"{case}: the stream's error", "", seen.error)
    report.equal(f"{case}: wrong bytes in the stream", False, seen.wrong)
    report.expect(
        f"{case}: the stream's longest silence",
        seen.own_s < SECOND,
        f"under {SECOND:g} s, without what this machine was late",
        f"{seen.own_s:.2f} s, {seen.silence_s:.2f} s with it",
    )
    report.equal(f"{case}: a new connection's error", "", seen.open_error)
    report.expect(
        f"{case}: a new connection's first answer",
        seen.opened_own_s < SECOND,
        f"under {SECOND:g} s, without what this machine was late",
        f"{seen.opened_own_s:.2f} s, {seen.opened_s:.2f} s with it",
    )
    report.figures[case] = seen.figures()


def uplinks(lab: Lab) -> list[dict[str, Any]]:
    """The CPE's uplinks, as its relay reports them."""
    found: list[dict[str, Any]] = relay_status(lab.record, "cpe")["uplinks"]
    return found
