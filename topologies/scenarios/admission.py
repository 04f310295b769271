"""What is admitted, by the traffic that is not: subflows and sessions over limits, spoofed sources, MPTCP from the Internet to
an MCP, and traffic that no MCP may relay. The gateway leads to everywhere.

`ue` has three addresses: LTE, and two in WLAN. `outsider` is an MPTCP host beside the server.
"""

import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from topologies.kit.captures import JOIN, frames
from topologies.kit.kernel_counters import CounterChanges, counters
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures import aggregation
from topologies.networks import off_path

ROWS = ("D-6.3f", "D-6.4i", "N-7.2b", "N-7.2a", "N-5.3e", "N-5.6.6c", "D-6.7.1")
SERVICE, SERVED, OWNED, PLAIN = 5001, 5002, 5003, 5004
POLICY = f"""\
policy: 1
over_limit: natural
subscribers: [{{id: anna, prefixes: [10.1.0.2/32]}}]
rules:
  - {{name: served, when: {{port: {SERVED}}}, then: {{quotas: {{sessions_per_server: 1}}}}}}
  - {{name: owned, when: {{port: {OWNED}}}, then: {{quotas: {{sessions_per_subscriber: 1}}}}}}
  - {{name: nothing, when: {{port: {PLAIN}}}, then: {{transports: []}}}}
"""
TWO = "limits: {subflows_per_session: 2}\n"
THIRD, SPOOFED = "10.2.0.3", "198.51.100.9"
PINGS = 4
OVER_S = 20.0
GONE_S = 5.0  # most that is waited until the controller knows that no MCP is left


def _network() -> Any:
    plan = off_path.PLAN
    everywhere = Attachment(
        "internet",
        ("10.9.0.0/24", "fd00:9::/64", "0.0.0.0/0"),
        ("s4:1", "s4:5"),
        virtual=("10.9.0.1", "fd00:9::1"),
    )
    outsider = Box("outsider", Kind.M_SERVER, (Nic("s4:5", ("10.9.0.3/24",)),))
    return replace(
        plan,
        name="admission",
        boxes=(*plan.boxes, outsider),
        gateways=(everywhere,),
        services=(SERVICE, SERVED, OWNED, PLAIN),
        policy=POLICY + TWO,
    )


PLAN = _network()


def run(options: Options, report: Report) -> None:
    """Each in turn, at one network."""
    plan = replace(PLAN, policy="policy: 1\n") if "limits" in options.without else PLAN
    with running(plan, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        ue = lab.host("ue")
        ue.run(
            f"ip addr add {THIRD}/24 dev {ue.interface(1)}",
            f"ip mptcp endpoint add {THIRD} dev {ue.interface(1)} subflow",
        )
        ue.run(f"ip rule add from {THIRD} table 102")
        aggregation.warm_up(lab, 4)
        for part in (_joins, _sessions, _transports, _outside, _spoofed, _none_left):
            options.say(part.__doc__ or "")
            part(lab, report)
        if options.prompt:
            lab.command_line()


def _open(
    lab: Lab, group: str, port: int, host: str = "ue", target: str = "", count: int = 1
) -> list[dict[str, Any]]:
    order = {
        "dst": target or address_of(lab.plan.box("server"), 4),
        "ports": [port],
        "mptcp": True,
        "first": True,
    }
    opened: list[dict[str, Any]] = lab.agents[host].ask("open", group=group, count=count, **order)["opened"]
    return opened


def _counted(lab: Lab, names: Mapping[str, str]) -> dict[str, int]:
    """Counters that grew since the mark, as `host name` -> growth, of {"host name": counter}."""
    growth: dict[str, CounterChanges] = {}
    for key in names:
        host = key.split()[0]
        growth.setdefault(host, lab.counted(host))
    return {key: growth[key.split()[0]][counter] for key, counter in names.items()}


def _joins(lab: Lab, report: Report) -> None:
    """two subflows a session: the third join never reaches the MCP"""
    capture = lab.capture_port("s3:1")
    lab.mark()
    before = lab.controller.metric("steering_refusals_total", reason="subflows-full")
    _open(lab, "joins", SERVICE)
    time.sleep(2.5)  # the host's kernel tries each once
    until(
        lambda: (
            lab.counted("core")["MPJoinAckRx"] > 0
            and lab.controller.metric("steering_refusals_total", reason="subflows-full") > before
        )
    )
    found = _counted(lab, {"ue tried": "MPJoinSynTx", "core heard": "MPJoinSynRx", "core has": "MPJoinAckRx"})
    told = lab.controller.detailed()
    refused = lab.controller.metric("steering_refusals_total", reason="subflows-full") - before
    lab.agents["ue"].ask("close", group="joins")
    lab.stop_captures()
    report.expect(
        "joins: the host tried two", found["ue tried"] >= 2, "2 or more", found["ue tried"], "kernel"
    )
    report.equal(
        "joins: those that the MCP heard and took", (1, 1), (found["core heard"], found["core has"]), "kernel"
    )
    seen = {s.flow.sport for s in capture.segments() if JOIN in s.options and s.syn}
    report.equal("joins: those that left for the MCP", 1, len(seen), "capture")
    _over(lab)
    report.equal("joins: subflows of the session", [2], [len(one["subflows"]) for one in told], "REST")
    report.expect("joins: refused", refused >= 1, "1 or more", f"{refused:.0f}", "REST")


def _over(lab: Lab) -> None:
    """Wait until what was closed counts no more: both FINs, and timers.fin_linger."""
    limit = time.monotonic() + OVER_S
    while any(one["state"] != "linger" for one in lab.controller.sessions()) and time.monotonic() < limit:
        time.sleep(0.3)


def _sessions(lab: Lab, report: Report) -> None:
    """one session of a server, and of a subscriber: the second goes its natural way, until the first has ended"""
    for name, port in (("per server", SERVED), ("per subscriber", OWNED)):
        lab.mark()
        before = lab.controller.metric("steering_refusals_total", reason="session-limit")
        repeated = _repeated(lab)
        opened = _open(lab, "over", port, count=2)
        found = _counted(lab, {"ue fell back": "MPCapableFallbackSYNACK", "core heard": "MPCapableSYNRX"})
        refused = lab.controller.metric("steering_refusals_total", reason="session-limit") - before
        errors = [one["error"] for one in opened if "error" in one]
        report.equal(f"{name}: errors of two connections", [], errors)
        report.equal(
            f"{name}: at the MCP, and fallen back for the server has no MPTCP", (1, 1),
            (found["core heard"], found["ue fell back"]), "kernel",
        )  # fmt: skip
        # A SYN that its host sends again before it is answered is refused again.
        most = 1 + _repeated(lab) - repeated
        report.expect(f"{name}: refused", 1 <= refused <= most, f"1 to {most}", round(refused), "REST")
        lab.agents["ue"].ask("close", group="over")
        _over(lab)
        lab.mark()
        _open(lab, "after", port)
        again = lab.counted("core")["MPCapableSYNRX"]
        lab.agents["ue"].ask("close", group="after")
        _over(lab)
        report.equal(f"{name}: at the MCP once the first has ended", 1, again, "kernel")


def _repeated(lab: Lab) -> int:
    """How many SYNs the host has sent again so far."""
    return counters(lab.host("ue"), "TcpExt").get("TCPSynRetrans", 0)


def _transports(lab: Lab, report: Report) -> None:
    """a rule without transports: nothing may be relayed"""
    capture = lab.capture_port("s3:1")
    lab.mark()
    (opened,) = _open(lab, "plain", PLAIN)
    rows = [one for one in lab.controller.sessions() if str(one.get("server", "")).endswith(f":{PLAIN}")]
    found = _counted(lab, {"ue fell back": "MPCapableFallbackSYNACK", "core heard": "MPCapableSYNRX"})
    lab.agents["ue"].ask("close", group="plain")
    lab.stop_captures()
    report.equal("no transports: the connection's error", None, opened.get("error"))
    report.equal(
        "no transports: at the MCP, fallen back",
        (0, 1),
        (found["core heard"], found["ue fell back"]),
        "kernel",
    )
    report.equal(
        "no transports: its segments at the MCP", 0, frames(capture.file, f"tcp.port == {PLAIN}"), "capture"
    )
    report.equal("no transports: sessions", [], rows, "REST")


def _outside(lab: Lab, report: Report) -> None:
    """MPTCP of the Internet to an MCP's own address"""
    capture = lab.capture_port("s4:5")
    lab.mark()
    before = lab.controller.metric("steering_refusals_total", reason="internet-side")
    (opened,) = _open(lab, "outside", SERVICE, "outsider", address_of(lab.plan.box("core"), 4))
    heard = lab.counted("core")["MPCapableSYNRX"]
    refused = lab.controller.metric("steering_refusals_total", reason="internet-side") - before
    lab.agents["outsider"].ask("close", group="outside")
    lab.stop_captures()
    report.expect(
        "from the Internet: the outsider's error", "error" in opened, "an error", opened.get("error", "none")
    )
    report.equal("from the Internet: MP_CAPABLEs that the MCP heard", 0, heard, "kernel")
    answers = frames(capture.file, "tcp.flags.syn == 1 && tcp.flags.ack == 1 && ip.src == 10.8.0.2")
    report.equal("from the Internet: SYN/ACKs of the MCP", 0, answers, "capture")
    report.expect("from the Internet: refused", refused >= 1, "1 or more", f"{refused:.0f}", "REST")


def _spoofed(lab: Lab, report: Report) -> None:
    """packets with sources that do not live where they come in: from an access, and by a gateway that leads to everywhere"""
    inside = address_of(lab.plan.box("ue"), 4)
    cases = (
        ("ue", 0, SPOOFED, "10.9.0.2", "s1:1", "s1:2"),
        ("ue", 0, address_of(lab.plan.box("ue"), 4, 1), "10.9.0.2", "s1:1", "s1:2"),
        ("outsider", 0, inside, "10.2.0.2", "s4:5", "s4:3"),
        ("outsider", 0, SPOOFED, "10.2.0.2", "s4:5", "s4:3"),  # that one is a genuine address of somewhere
    )
    for name, nic, source, target, came, leaves in cases:
        host = lab.host(name)
        device, genuine = host.interface(nic), name == "outsider" and source == SPOOFED
        captures = [lab.capture_port(port, f"icmp and src host {source}") for port in (came, leaves)]
        gateway = "10.9.0.1" if name == "outsider" else "10.1.0.1"
        host.run(
            f"ip route replace {target}/32 via {gateway} dev {device} src {address_of(lab.plan.box(name), 4, nic)}"
        )
        own = source in {address_of(lab.plan.box(name), 4, n) for n in range(len(lab.plan.box(name).nics))}
        rule = f"ip rule add pref 1 from {source} to {target} lookup main"
        host.run(*(() if own else (f"ip addr add {source}/32 dev lo",)), rule)
        host.pexec(f"ping -c {PINGS} -i 0.2 -W 1 -I {source} {target}")
        host.run(
            rule.replace(" add ", " del "),
            f"ip route del {target}/32",
            *(() if own else (f"ip addr del {source}/32 dev lo",)),
        )
        lab.stop_captures()
        sent, passed = (frames(capture.file, "icmp") for capture in captures)
        title = f"source {source} of {name}"
        report.expect(f"{title}: packets that came in", sent >= PINGS, f"{PINGS} or more", sent, "capture")
        wanted = "some" if genuine else "none"
        report.expect(
            f"{title}: packets that left the first switch", bool(passed) == genuine, wanted, passed, "capture"
        )


def _none_left(lab: Lab, report: Report) -> None:
    """no MCP is left: a connection goes its natural way and lives"""
    ports = [lab.interface(box.nics[0].peer) for box in lab.plan.of_kind(Kind.MCP)]
    lab.mark()
    before = lab.controller.metric("steering_refusals_total", reason="no-mcp")
    for port in ports:
        subprocess.run(["ip", "link", "set", port, "down"], check=True)
    until(lambda: not any(mcp["reachable"] for mcp in lab.controller.mcps().values()), GONE_S)
    time.sleep(0.5)
    (opened,) = _open(lab, "natural", SERVICE)
    fell_back = lab.counted("ue")["MPCapableFallbackSYNACK"]
    refused = lab.controller.metric("steering_refusals_total", reason="no-mcp") - before
    for port in ports:
        subprocess.run(["ip", "link", "set", port, "up"], check=True)
    report.equal("no MCP is left: a new connection's error", None, opened.get("error"))
    report.expect(
        "no MCP is left: it was there within a second or two",
        opened.get("connect_s", 9.0) < 2.0,
        "under 2 s",
        opened.get("connect_s"),
    )
    report.equal("no MCP is left: it fell back, for the server has no MPTCP", 1, fell_back, "kernel")
    report.expect("no MCP is left: and that is told", refused >= 1, "1 or more", f"{refused:.0f}", "REST")
    lab.agents["ue"].ask("close", group="natural")


SCENARIO = Scenario(
    name="admission",
    figure="draft-deng Figure 3",
    rows=ROWS,
    summary="what limits, ingress filters and rules keep out: third joins, sessions over quotas, spoofed sources, outsiders",
    plan=PLAN,
    run=run,
    controls=controls(limits="the policy has no limits and no rules"),
)
