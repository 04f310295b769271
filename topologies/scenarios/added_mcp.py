"""A second MCP is registered over REST during a transfer. The next session gets that MCP, and the first is not
disturbed.

The network of two_mcps.py. The site file names `alpha` only. `beta` runs at s5, and gets no sessions before it
registers itself with a token of its own. Later it is drained and removed.
"""

import json
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

from topologies.kit.lab import Lab, running
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.networks.two_mcps import CAPACITY, SERVICES, two_mcps

BOTH = two_mcps("added-mcp")
PLAN = replace(BOTH, points=BOTH.points[:1])
BETA = BOTH.points[1]
ROWS = ("D-6.7.7", "S-17b", "S-5", "D-7.2", "N-5.4.0")
SERVER, PORT, MBIT = "10.9.0.2", SERVICES[0], 4.0
WHOLE_S, NEXT_S = 16.0, 6.0
EFFECT_S = 1.0  # seconds after which a registration is in force, once the MCP answers for its address
SILENCE_S = 1.0
DESCRIPTION: dict[str, Any] = {
    "name": BETA.name, "type": BETA.type, "port": BETA.port, "addresses": list(BETA.addresses),
    "source_mode": "transparent", "capacity": {"sessions": CAPACITY},
}  # fmt: skip


def run(options: Options, report: Report) -> None:
    """Open one session before the registration and one after it. Counters of both MCPs' kernels tell which MCP had
    which."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        for host in ("ue1", "ue2"):
            lab.agents[host].ask("ping", dst=SERVER, count=3)
        _start(lab, "ue1", WHOLE_S)
        time.sleep(2.0)
        before = _sessions(lab)
        report.equal("the first session's MCP, two subflows", [("alpha", 2)], _where(before.values()), "REST")
        entries = _entries(before)
        if "registering" not in options.without:
            _register(lab, report)
        _start(lab, "ue2", NEXT_S)
        time.sleep(2.0)
        now = _sessions(lab)
        fresh = [session for name, session in now.items() if name not in before]
        report.equal("the next session's MCP", ["beta"], [s["mcp"] for s in fresh], "REST")
        kept = {name: session for name, session in now.items() if name in before}
        report.equal("the first one's subflows, entries and MCP", entries, _entries(kept), "REST")
        if "registering" not in options.without:
            refused, _ = lab.controller.ask("DELETE", "/v1/mcps/beta", None)
            report.equal("removing it while its session lives", 409, refused, "REST")
        done = {host: lab.agents[host].finish(host, WHOLE_S + 30) for host in ("ue1", "ue2")}
        taken = {name: lab.counted(name)["MPCapableSYNRX"] for name in ("alpha", "beta")}
        report.equal("connections that each MCP took", {"alpha": 1, "beta": 1}, taken, "kernel")
        _judge(report, done)
        if "registering" not in options.without:
            _removed(lab, report)
        if options.prompt:
            lab.command_line()


def _start(lab: Lab, host: str, seconds: float) -> None:
    order = {"kind": "steady", "dst": SERVER, "port": PORT, "mbit": MBIT, "mptcp": True}
    lab.agents[host].ask("start", name=host, **order, seconds=seconds)


def _sessions(lab: Lab) -> dict[str, dict[str, Any]]:
    return {
        session["id"]: session for session in lab.controller.detailed() if session["state"] == "established"
    }


def _where(sessions: Any) -> list[tuple[str, int]]:
    return [(session["mcp"], len(session["subflows"])) for session in sessions]


def _entries(sessions: dict[str, dict[str, Any]]) -> list[Any]:
    """The parts of a live session that may not change."""
    return [
        (name, s["mcp"], s["token"], [(f["src"], f["sport"], f["switch"], f["entries"]) for f in s["subflows"]], s["server_leg"])
        for name, s in sorted(sessions.items())
    ]  # fmt: skip


def _register(lab: Lab, report: Report) -> None:
    """Only an operator, or the MCP by a token with its own name, may register it. What contradicts the site is
    refused."""
    mine, other = _token(lab, "beta"), _token(lab, "gamma")
    answers = [
        lab.controller.ask("POST", "/v1/mcps", body, {"Authorization": f"Bearer {token}"})[0]
        for token, body in (
            ("x" * 43, DESCRIPTION),
            (other, DESCRIPTION),
            (mine, {k: v for k, v in DESCRIPTION.items() if k != "source_mode"}),
            (mine, DESCRIPTION | {"port": "s5:4"}),  # leads to s4
            (mine, DESCRIPTION | {"addresses": ["10.8.0.2"]}),  # alpha's
            (mine, DESCRIPTION),
        )
    ]
    report.equal("who registers what", [401, 403, 422, 422, 422, 201], answers, "REST")
    began = time.monotonic()
    until(lambda: lab.controller.mcps().get("beta", {}).get("reachable"), 20 * EFFECT_S, 0.05)
    took = time.monotonic() - began
    report.expect(
        "it may get sessions", took < 2 * EFFECT_S, f"within {2 * EFFECT_S:.0f} s", f"{took:.2f} s", "REST"
    )
    report.figures["registered_to_reachable_s"] = round(took, 3)


def _token(lab: Lab, mcp: str) -> str:
    words = [
        "token",
        "add",
        "--role",
        "mcp",
        "--mcp",
        mcp,
        "--json",
        "--state-dir",
        str(lab.controller.state),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "steering", *words], capture_output=True, text=True, check=True
    )
    return str(json.loads(done.stdout)["token"])


def _judge(report: Report, done: dict[str, dict[str, Any]]) -> None:
    report.table = [["session", "error", "empty seconds", "longest silence"]]
    for host, one in done.items():
        gap, empty = one.get("longest_gap_s", float("inf")), one.get("empty_seconds")
        own = one.get("own_gap_s", gap)  # without what this machine was late in it
        fine = not one.get("error") and not one.get("wrong") and own < SILENCE_S and not empty
        found = f"error '{one.get('error', '')}', {empty} empty seconds, longest silence {gap:.2f} s"
        report.expect(
            f"{host}: every byte came back, without a stall", fine, "no error, none empty", found, "kernel"
        )
        report.table.append([host, one.get("error", ""), str(empty), f"{gap:.2f} s"])
        report.figures[host] = {"empty_seconds": empty, "longest_gap_s": gap}


def _removed(lab: Lab, report: Report) -> None:
    """Drain the MCP, end its session and remove it: its entries go from its switch too."""
    lab.controller.request("POST", "/v1/mcps/beta/drain")
    began = time.monotonic()
    while (answer := lab.controller.ask("DELETE", "/v1/mcps/beta", None)[0]) == 409:
        if time.monotonic() - began > 30:
            break
        time.sleep(0.5)
    names = sorted(lab.controller.mcps())
    report.equal("removing it when its session is over", (200, ["alpha"]), (answer, names), "REST")


SCENARIO = Scenario(
    name="added-mcp",
    figure="draft-deng section 6.7, slide 17",
    rows=ROWS,
    summary="a second MCP registers itself while a session transfers: the next one lands there, the first does not stall",
    plan=PLAN,
    run=run,
    controls=controls(registering="beta is not registered"),
)
