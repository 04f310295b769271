"""A site of an enterprise in place of a home: hybrid-access under `policies/enterprise.policy.yaml`. A site is one
subscriber.

All connections of the people at a site count together, over both accesses. A site that the policy does not name gets
no MCP.
"""

import time
from typing import Any

from topologies.kit.lab import Lab, running
from topologies.kit.plan import address_of
from topologies.kit.processes import REPOSITORY
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.cpe_transfer import check_dual, observed, warm_up
from topologies.networks.hybrid import LAN_HOSTS, SERVICE, off_path

SECONDS = 5.0
EACH = 3  # connections of each host of the site
ROWS = ("D-1.ent",)
POLICY = REPOSITORY / "steering" / "examples" / "enterprise.policy.yaml"
PLAN = off_path("enterprise")


def run(options: Options, report: Report) -> None:
    """Upload and download at a site, check what counts as the site's, then remove the site from the policy."""
    text = POLICY.read_text(encoding="utf-8")
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.controller.policy.write_text(strangers(text) if "site" in options.without else text)
        lab.start_controller(options.without)
        warm_up(lab)
        for host, kind in zip(LAN_HOSTS, ("upload", "download"), strict=True):
            seen = observed(lab, host, kind, options.seconds or SECONDS)
            check_dual(report, f"{kind} at {host}", seen, lab, "core")
            report.figures[kind] = {"goodput_mbit": round(seen.mbit, 2)}
        _counted_together(lab, report)
        _unknown(lab, report, text)
        if options.prompt:
            lab.command_line()


def strangers(text: str) -> str:
    """The policy without its first site."""
    return "".join(line for line in text.splitlines(keepends=True) if "id: site-1" not in line)


def _counted_together(lab: Lab, report: Report) -> None:
    lab.say(f"{EACH} connections of each host of the site")
    for host in LAN_HOSTS:
        opened = _open(lab, host, EACH)
        report.equal(f"{host}: connections that failed", [], [o for o in opened if "error" in o])
    rows = [
        lab.controller.get(f"/v1/decisions/{s['decision']}")
        for s in lab.controller.detailed()
        if s["decision"]
    ]
    kept = [row for row in rows if row["rule"] == "sites"]
    report.expect(
        "sessions of the rule `sites`, whose subscriber is one",
        len(kept) >= EACH * len(LAN_HOSTS) and len({row["subscriber"] for row in kept} - {None}) == 1,
        f"at least {EACH * len(LAN_HOSTS)}, of one subscriber",
        f"{len(kept)}, of {sorted({str(row['subscriber']) for row in kept})}",
        "REST",
    )
    live = sum(s["state"] == "established" for s in lab.controller.taken_up())
    use = {
        row["name"]: row["sessions"]
        for row in lab.controller.get("/v1/limits")["use"]
        if row["kind"] == "subscriber"
    }
    report.equal("what the site uses of its limit", [live], list(use.values()), "REST")
    for host in LAN_HOSTS:
        lab.agents[host].ask("close", group="site")


def _unknown(lab: Lab, report: Report, text: str) -> None:
    lab.say("the same from a site that the policy does not know")
    lab.controller.put_policy(strangers(text))
    lab.mark()
    core = lab.capture_port("s4:1")
    opened = _open(lab, "lan1", 1)
    time.sleep(0.5)
    lab.stop_captures()
    report.equal("unknown: the connection works", [], [o for o in opened if "error" in o])
    report.equal("unknown: first segments at the MCP", 0, sum(s.syn for s in core.segments()), "capture")
    report.equal("unknown: MPTCP at the MCP", 0, lab.counted("core")["MPCapableSYNRX"], "kernel")


def _open(lab: Lab, host: str, count: int) -> list[dict[str, Any]]:
    order = {"group": "site", "dst": address_of(PLAN.box("server"), 4), "ports": [SERVICE], "count": count}
    opened: list[dict[str, Any]] = lab.agents[host].ask("open", first=True, **order)["opened"]
    return opened


SCENARIO = Scenario(
    name="enterprise",
    figure="draft-deng section 1",
    rows=ROWS,
    summary="an enterprise's site behind a CPE with DSL and LTE, one subscriber for all its people",
    plan=PLAN,
    run=run,
    controls=controls("steering", site="the policy does not know the site"),
)
