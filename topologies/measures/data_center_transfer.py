"""A transfer of a data centre's client, and the checks at the client, at both links, at the MCPs and at the server."""

import time

from topologies.kit import kernel_counters
from topologies.kit.captures import CAPABLE, JOIN
from topologies.kit.lab import Lab
from topologies.kit.processes import relay_status
from topologies.kit.report import Report
from topologies.kit.waiting import until
from topologies.measures.cpe_transfer import payload, syns
from topologies.networks.data_center import CLIENT, FIRST, LINK_MBIT, SECOND
from topologies.networks.hybrid import SERVICE

GAIN = 1.7
SECONDS = 6.0
SETTLED_S, LEFT_S = 1.5, 1.0  # when subflows are listed: after the begin, and at last before the end


def warm_up(lab: Lab) -> None:
    """Have all neighbours found before anything is measured."""
    for target in (FIRST, SECOND):
        lab.agents["client"].ask("ping", dst=target, count=3)
        lab.host("entrance").pexec(f"ping -c 2 -i 0.2 -W 1 {target}")


def _established(lab: Lab, name: str) -> list[kernel_counters.Subflow]:
    return [s for s in kernel_counters.subflows(lab.host(name)) if s.state == "ESTAB"]


def transfer(lab: Lab, report: Report, kind: str, seconds: float, far: str = "server") -> None:
    """Run one transfer and check it at the client, the links, the MCP and the server. `far`: where the M-session
    ends."""
    before = relay_status(lab.record, "entrance")["counters"]["accepted"]
    at = {name: lab.capture_port(port) for name, port in (("a", "s3:1"), ("b", "s4:1"))}
    at["client"] = lab.capture_host("client")
    lab.mark()
    order = {"dst": FIRST, "port": SERVICE, "seconds": seconds}
    lab.agents["client"].ask("start", name=kind, kind=kind, **order)
    time.sleep(SETTLED_S)
    until(lambda: any(s.join for s in _established(lab, far)), max(0.0, seconds - SETTLED_S - LEFT_S))
    server = _established(lab, far)
    done = lab.agents["client"].finish(kind, seconds + 45)
    lab.stop_captures()
    report.equal(f"{kind}: it succeeds", "", done.get("error", ""))
    report.rate(
        f"{kind}: goodput over one link",
        done.get("mbit", 0.0) >= GAIN * LINK_MBIT,
        f"at least {GAIN * LINK_MBIT:.0f} Mbit/s",
        f"{done.get('mbit', 0.0):.1f} Mbit/s",
    )
    report.expect(
        f"{kind}: one M-session at the {far}, with a join",
        len({s.own_token for s in server}) == 1 and sum(s.join for s in server) >= 1,
        "one token, at least one join",
        f"{sorted({s.own_token for s in server})}, {sum(s.join for s in server)}",
        "kernel",
    )
    told = sum(bool(s.options) for s in at["client"].segments())
    report.equal(f"{kind}: segments with an MPTCP option at the client", 0, told, "capture")
    opened, joined = syns(at["a"].segments(), CAPABLE), syns(at["b"].segments(), JOIN)
    report.expect(
        f"{kind}: opened from the client's own address, joined from the MCP's",
        {s.flow.src for s in opened} == {CLIENT} and {s.flow.src for s in joined} == {"10.8.1.2"},
        f"{CLIENT} by link a, 10.8.1.2 by link b",
        f"{sorted({s.flow.src for s in opened})}, {sorted({s.flow.src for s in joined})}",
        "capture",
    )
    bytes_ = {link: payload(at[link].segments()) for link in ("a", "b")}
    total = sum(bytes_.values())
    share = min(bytes_.values()) / total if total else 0.0
    report.expect(f"{kind}: share of the lesser link", share > 0.1, "over 10 %", f"{share:.0%}", "capture")
    taken = relay_status(lab.record, "entrance")["counters"]["accepted"] - before
    report.equal(f"{kind}: connections the MCP took", 1, taken, "kernel")
    natural = lab.controller.metric("steering_sessions_started_total")
    report.equal(f"{kind}: M-sessions of clients that the controller had to steer", 0.0, natural, "REST")
    report.figures[kind] = {"goodput_mbit": round(done.get("mbit", 0.0), 2), "link_bytes": bytes_}
