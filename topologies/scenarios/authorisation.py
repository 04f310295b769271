"""Authorisation (draft-nam section 5.3): RADIUS and an HTTP hook that are asked once for each source, access lists
that switches enforce, and closed ports.

cpe  s1 ---- s3 ---- server
lan  s2 ----  |
            core

The hosts good, bad, late and client are attached to s1. FreeRADIUS accepts good and client, and is down when late
connects. The hook decides on hooked and barred, and is down when tardy connects. The access network lan requires
authorisation: stranger is unknown there until the registry allows it. plugged is attached to a port that belongs to
no access network.
"""

import json
import time
from dataclasses import replace
from typing import Any

from topologies.kit.captures import CAPABLE, Capture, frames
from topologies.kit.controller import free_port
from topologies.kit.lab import Lab, ofctl, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.link_cuts import await_
from topologies.programs.http_hook import HttpHook
from topologies.programs.radius_server import RadiusServer

SERVICE = 5001
SESSIONS = 3
LIVE_S = 1.0
IN_FORCE_S = 60.0  # most that a change of the registry is waited for
SLOWEST = 10.0  # times what one request and one ping take: most until the change acts
REFERENCES = 3  # pings for the reference, of which one has to be answered
ANSWER_S, SILENCE_S = 3.0, 0.4  # to wait for a ping's answer that has to come, and for one that must not
MCP, SERVER = "10.8.0.2", "10.9.0.2"
IMSI = "001019999999999"

ROWS = ("N-5.3.0", "N-5.3a", "N-5.3b", "N-5.3d", "N-5.3f", "N-7.2d", "S-14")
PLAN = Plan(
    name="authorisation",
    switches=("s1", "s2", "s3"),
    wires=(Wire("s1:2", "s3:2"), Wire("s2:2", "s3:3")),
    boxes=(
        Box("good", Kind.DUAL, (Nic("s1:1", ("10.1.0.2/24",)),)),
        Box("bad", Kind.DUAL, (Nic("s1:3", ("10.1.0.3/24",)),)),
        Box("late", Kind.DUAL, (Nic("s1:4", ("10.1.0.4/24",)),)),
        Box("client", Kind.DUAL, (Nic("s1:5", ("10.1.0.5/24",)),)),
        Box("hooked", Kind.DUAL, (Nic("s1:6", ("10.1.0.6/24",)),)),
        Box("barred", Kind.DUAL, (Nic("s1:7", ("10.1.0.7/24",)),)),
        Box("tardy", Kind.DUAL, (Nic("s1:8", ("10.1.0.8/24",)),)),
        Box("stranger", Kind.PLAIN, (Nic("s2:1", ("10.2.0.2/24",)),)),
        Box("plugged", Kind.PLAIN, (Nic("s2:9", ("10.2.0.9/24",)),)),
        Box("core", Kind.MCP, (Nic("s3:1", ("10.8.0.2/24",)),)),
        Box("server", Kind.SERVER, (Nic("s3:4", ("10.9.0.2/24",)),)),
    ),
    accesses=(
        Attachment("cpe", ("10.1.0.0/24",), tuple(f"s1:{port}" for port in (1, *range(3, 9))), "fixed"),
        Attachment("lan", ("10.2.0.0/24",), ("s2:1",), "wlan"),
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24",), ("s3:4",)),),
    points=(Point("core", "s3:1", (MCP,)),),
    services=(SERVICE,),
)


def policy(without: tuple[str, ...]) -> str:
    """The policy, without the part that a negative control leaves out."""
    return (
        "policy: 1\n"
        "authorization:\n"
        f"  authorizers: [acl, {'' if 'hook' in without else 'http, '}radius]\n"
        f"  fail_open: [{'http, radius' if 'fail-closed' in without else ''}]\n"
        f"  required: [{'' if 'gate' in without else 'lan'}]\n"
        f"cpe_acl: {{block: {'false' if 'cpe-acl' in without else 'true'}, clients: [10.1.0.5]}}\n"
    )


def run(options: Options, report: Report) -> None:
    """Check RADIUS, explicit mode, the access list, the closed access network, and the unknown port."""
    plan = replace(PLAN, policy=policy(options.without))
    with running(plan, options.say, options.without, options.keep) as lab:
        port = free_port()
        radius = RadiusServer(lab.record, port, ["10.1.0.2", "10.1.0.5"])
        hook = HttpHook(allowed={"10.1.0.6"}, denied={"10.1.0.7"})
        with lab.controller.site.open("a") as site:
            site.write(
                f"aaa:\n  radius: {{host: 127.0.0.1, port: {port}, secret_file: {radius.secret_file}}}\n"
                f"  http: {{url: {hook.url}}}\n"
            )
        lab.start_services()
        lab.start_controller(options.without)
        _radius(lab, report, radius)
        _hook(lab, report, hook)
        _explicit(lab, report)
        _list(lab, report, "acl" in options.without)
        _closed(lab, report)
        options.say("judging: RADIUS down")
        radius.stop()
        mcp = lab.capture_port("s3:1")
        _refused(report, "late, while RADIUS is down", _open(lab, "late"))
        lab.stop_captures()
        report.equal("SYNs of it at the MCP", 0, _syns(mcp, "10.1.0.4"), "capture")
        report.equal("RADIUS: answers that failed", 1, _failed(lab, "radius"), "REST")
        options.say("judging: the hook down")
        hook.stop()
        mcp = lab.capture_port("s3:1")
        _refused(report, "tardy, while the hook is down", _open(lab, "tardy"))
        _served(report, "hooked, while the hook is down: its answer lasts", _open(lab, "hooked"))
        lab.stop_captures()
        report.equal("SYNs of tardy at the MCP", 0, _syns(mcp, "10.1.0.8"), "capture")
        report.equal("hook: answers that failed", 1, _failed(lab, "http"), "REST")
        if options.prompt:
            lab.command_line()


def _open(lab: Lab, name: str, count: int = 1, dst: str = SERVER) -> list[dict[str, Any]]:
    order = {"group": f"{name}-{dst}", "dst": dst, "ports": [SERVICE], "mptcp": True, "wait": 10.0}
    opened: list[dict[str, Any]] = lab.agents[name].ask("open", **order, first=True, count=count)["opened"]
    return opened


def _refused(report: Report, who: str, opened: list[dict[str, Any]]) -> None:
    errors = [one.get("error", "it was served") for one in opened]
    held = all("refused" in error for error in errors)
    report.expect(f"{who}: refused by a reset", held, "connection refused", errors)


def _syns(capture: Capture, source: str) -> int:
    return sum(s.syn and s.flow.src == source for s in capture.segments())


def _answers(lab: Lab, outcome: str, authorizer: str = "radius") -> float:
    return lab.controller.metric("steering_authorisations_total", authorizer=authorizer, outcome=outcome)


def _failed(lab: Lab, authorizer: str) -> int:
    return int(sum(_answers(lab, outcome, authorizer) for outcome in ("error", "timeout")))


def _served(report: Report, who: str, opened: list[dict[str, Any]]) -> None:
    report.equal(who, [], [one["error"] for one in opened if "error" in one])


def _hook(lab: Lab, report: Report, hook: HttpHook) -> None:
    """The hook allows one host, whose second session needs no further request, and denies another. RADIUS decides on
    hosts about which the hook has no opinion."""
    lab.say("HTTP hook: one allowed, one denied")
    mcp = lab.capture_port("s3:1")
    lab.mark()
    _served(report, "hook: a session of the allowed one", _open(lab, "hooked"))
    _served(report, "hook: its further sessions", _open(lab, "hooked", SESSIONS - 1))
    _refused(report, "denied by the hook", _open(lab, "barred"))
    lab.stop_captures()
    served = lab.counted("core")["MPCapableSYNRX"]
    report.equal("hook: sessions of the allowed one at the MCP", SESSIONS, served, "kernel")
    report.equal("hook: SYNs of the denied one at the MCP", 0, _syns(mcp, "10.1.0.7"), "capture")
    asked = [hook.asked_about(f"10.1.0.{host}") for host in (6, 7)]
    report.equal("the hook was asked once about each", [1, 1], asked, "HTTP")
    wanted = {"subscriber": None, "address": "10.1.0.6", "access_network": "cpe"}
    report.equal("and told address and access network", True, wanted in hook.requests, "HTTP")
    answers = [int(_answers(lab, outcome, "http")) for outcome in ("allow", "deny", "no-opinion")]
    report.equal("allowed, denied, no opinion on what RADIUS knows", [1, 1, 2], answers, "REST")


def _radius(lab: Lab, report: Report, radius: RadiusServer) -> None:
    """RADIUS accepts one host with three sessions, and rejects another."""
    lab.say("RADIUS: one accepted, one rejected")
    mcp = lab.capture_port("s3:1")
    lab.mark()
    opened = _open(lab, "good", SESSIONS)
    report.equal("accepted: its sessions", [], [one for one in opened if "error" in one])
    _refused(report, "rejected", _open(lab, "bad"))
    lab.stop_captures()
    served = lab.counted("core")["MPCapableSYNRX"]
    report.equal("accepted: its sessions at the MCP", SESSIONS, served, "kernel")
    report.equal("rejected: its SYNs at the MCP", 0, _syns(mcp, "10.1.0.3"), "capture")
    asked = [request[0] for request in radius.requests]
    report.equal("FreeRADIUS was asked once for each source", ["10.1.0.2", "10.1.0.3"], asked, "RADIUS")
    wanted = ["10.1.0.2", "10.1.0.2", "steering", "10.1.0.2", "cpe"]
    report.equal("and told address, NAS, station and access network", [wanted], radius.requests[:1], "RADIUS")
    report.equal("accepted, rejected", (1, 1), (_answers(lab, "allow"), _answers(lab, "deny")), "REST")


def _explicit(lab: Lab, report: Report) -> None:
    """Open MPTCP to the MCP's own address, from a host that is allowed and from one that is not."""
    lab.say("explicit mode: one client of the MCP, and one that is none")
    mcp = lab.capture_port("s3:1")
    _open(lab, "client", dst=MCP)
    _refused(report, "MPTCP to the MCP by no client of it", _open(lab, "good", dst=MCP))
    lab.stop_captures()
    seen = [s.flow.src for s in mcp.segments() if s.syn and CAPABLE in s.options and s.flow.dst == MCP]
    report.equal("who came to the MCP's own address", {"10.1.0.5"}, set(seen), "capture")
    refused = lab.controller.metric("steering_refusals_total", reason="cpe-acl")
    report.expect("refused as no client", refused >= 1, "at least 1", refused, "REST")


def _pings(lab: Lab, name: str, dst: str, count: int = 2, wait: float = ANSWER_S) -> int:
    answered: int = lab.agents[name].ask("ping", dst=dst, count=count, wait=wait)["answered"]
    return answered


def _silent(lab: Lab, name: str, dst: str) -> int:
    """Answers to two pings that shall have none."""
    return _pings(lab, name, dst, wait=SILENCE_S)


def _list(lab: Lab, report: Report, without: bool) -> None:
    """Replace the access list (PUT /v1/acl) while packets flow."""
    lab.say("PUT /v1/acl: good may not reach the MCP any more")
    before = _pings(lab, "good", MCP)
    began = time.monotonic()
    if not without:
        entry = {"name": "unpaid", "action": "deny", "source": ["10.1.0.2"]}
        lab.controller.request("PUT", "/v1/acl", {"entries": [entry]})
    last = sent = began  # when the last ping that was answered was sent
    while _pings(lab, "good", MCP, 1) and last - began < 2 * LIVE_S:
        last, sent = sent, time.monotonic()
    took = last - began
    after = (_silent(lab, "good", MCP), _pings(lab, "good", SERVER), _pings(lab, "client", MCP))
    report.equal("before: it reaches the MCP", 2, before)
    report.equal("after: MCP, server; another CPE and the MCP", (0, 2, 2), after)
    report.expect(
        "the list is live within a second", took < LIVE_S, f"within {LIVE_S:.0f} s", f"{took:.2f} s"
    )
    flows = ofctl(lab.switch("s1"), "dump-flows", "table=0").splitlines()
    drops = [line for line in flows if f"nw_src=10.1.0.2,nw_dst={MCP}" in line and "actions=drop" in line]
    counted = sum(int(line.split("n_packets=")[1].split(",")[0]) for line in drops)
    report.expect("dropped and counted at the first switch", counted >= 3, "at least 3", counted, "flow")
    _refused(report, "a new session of it", _open(lab, "good"))


def _closed(lab: Lab, report: Report) -> None:
    """Check an access network that requires authorisation, and a port that belongs to no access network."""
    lab.say("an access network that requires authorisation, an unknown port")
    core = lab.capture_port("s2:2", "ip")
    mcp = lab.capture_port("s3:1", "ip")
    report.equal("stranger: pings answered before", 0, _silent(lab, "stranger", SERVER))
    lab.stop_captures()
    passed = frames(core.file, "ip.src==10.2.0.0/24")
    report.equal("stranger: packets past its access switch", 0, passed, "capture")
    report.equal("stranger: packets at the MCP", 0, frames(mcp.file, "ip.addr==10.2.0.0/24"), "capture")
    entry: dict[str, Any] = {"subscriber": IMSI, "addresses": ["10.2.0.2", "10.2.0.9"]}
    reference, told = registered(lab, report, "yes", entry)
    report.expect("kept by a pseudonym", IMSI not in json.dumps(told), "no IMSI", told["id"], "REST")
    took = await_(lambda: _pings(lab, "stranger", SERVER, 1, max(SILENCE_S, reference)) > 0, IN_FORCE_S)
    judge_in_time(report, "stranger: the registry's yes acts in time", took, reference)
    report.equal("stranger: pings answered once registered", 2, _pings(lab, "stranger", SERVER))
    core = lab.capture_port("s2:2", "ip")
    report.equal("plugged into an unknown port: pings answered", 0, _silent(lab, "plugged", SERVER))
    lab.stop_captures()
    passed = frames(core.file, "ip.src==10.2.0.9")
    report.equal("plugged: packets past its access switch", 0, passed, "capture")
    entry = {"subscriber": IMSI, "allowed": False, "addresses": ["10.2.0.2"]}
    reference, _ = registered(lab, report, "no", entry)
    took = await_(lambda: not _pings(lab, "stranger", SERVER, 1, max(SILENCE_S, reference)), IN_FORCE_S)
    judge_in_time(report, "stranger: the registry's no acts in time", took, reference)
    report.equal("stranger: pings answered when struck out", 0, _silent(lab, "stranger", SERVER))


def registered(lab: Lab, report: Report, word: str, entry: dict[str, Any]) -> tuple[float, Any]:
    """Change the registry; a reference in seconds for how soon the change acts, and REST's answer. The reference is the time that
    this machine needs now for the request and for an answered ping of a host that the change does not concern."""
    began = time.monotonic()
    told = lab.controller.request("POST", "/v1/registry", entry)
    reference, answered = time.monotonic() - began, False
    for _ in range(REFERENCES):
        began = time.monotonic()
        answered = _pings(lab, "client", SERVER, 1) > 0
        if answered:
            reference += time.monotonic() - began
            break
    name = f"the registry's {word}: a ping of another host, to compare with, is answered"
    report.expect(name, answered, f"one of {REFERENCES}", "one" if answered else "none")
    return reference, told


def judge_in_time(report: Report, name: str, took: float | None, reference: float) -> None:
    """Check that a change acted, and took no more than SLOWEST times the reference. `took`: seconds, None for never."""
    most = SLOWEST * reference
    found = "never" if took is None else f"{took:.2f} s"
    report.expect(name, took is not None and took <= most, f"within {most:.2f} s", found)


SCENARIO = Scenario(
    name="authorisation",
    figure="draft-nam section 5.3",
    rows=ROWS,
    summary="RADIUS or an HTTP hook once a source and closed when down; live access list; closed ports; explicit clients",
    plan=PLAN,
    run=run,
    controls=controls(
        fail_closed="an authoriser that is down lets everybody pass",
        hook="no HTTP hook is asked",
        acl="no access list is put in force",
        gate="nobody's hosts pass as everybody's",
        cpe_acl="any host may open MPTCP to an MCP",
    ),
)
