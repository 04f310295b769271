"""Data that may not leave the local domain (draft-nam section 7.1) is put into the network, and then searched for: in
packets on the Internet side, in logs, and in all resources that a reader may GET. The data are two IMSIs, a link id,
credentials, keys, and the MCP's own address, which its kernel would announce to servers as well.

    lte   s1 ------ s3 (core) ------ s4  server (speaks MPTCP, accepts announced addresses)
    wlan  s2 ------ s3
"""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from topologies.kit import processes
from topologies.kit.captures import CAPABLE, Capture, frames
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls

IMSI, OTHER_IMSI, LINK = "001019999999999", "001018888888888", "link-dsl-0815-4711"
MCP, SERVER, SERVICE = "10.8.0.2", "10.9.0.2", 5001
ADD_ADDR = "tcp.options.mptcp.subtype == 3"

ROWS = ("N-7.1",)
PLAN = Plan(
    name="privacy",
    switches=("s1", "s2", "s3", "s4"),
    wires=(Wire("s1:2", "s3:2"), Wire("s2:2", "s3:3"), Wire("s3:4", "s4:2")),
    boxes=(
        Box("ue", Kind.DUAL, (Nic("s1:1", ("10.1.0.2/24",)), Nic("s2:1", ("10.2.0.2/24",)))),
        Box("core", Kind.MCP, (Nic("s3:1", ("10.8.0.2/24",)),), relay=("--verbose", "--plain-ttl", "0")),
        Box("server", Kind.SERVER, (Nic("s4:1", ("10.9.0.2/24",)),)),
    ),
    accesses=(
        Attachment("lte", ("10.1.0.0/24",), ("s1:1",), "cellular"),
        Attachment("wlan", ("10.2.0.0/24",), ("s2:1",), "wlan"),
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24",), ("s4:1",)),),
    points=(Point("core", "s3:1", (MCP,)),),
    services=(SERVICE,),
    # With a limit of one session, reaching the limit is reported too. Keys are learnt, so that they can be searched
    # for.
    policy=f"""policy: 1
keep_keys: true
over_limit: refuse
authorization: {{authorizers: [acl, registry]}}
subscribers:
  - {{id: "{IMSI}", prefixes: [10.1.0.0/28], quotas: {{sessions_per_subscriber: 1}}}}
  - {{id: {LINK}, prefixes: [10.2.0.0/28]}}
""",
)


def run(options: Options, report: Report) -> None:
    """Open a session, have another refused, register an MCP, then search."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        _prepare(lab, "discretion" in options.without)
        lab.start_controller(options.without)
        reader = _token(lab, "reader")
        operator = (_state(lab) / "token").read_text().strip()
        lab.agents["ue"].ask("ping", dst=SERVER, count=3)
        near, mcp = lab.capture_port("s1:1"), lab.capture_port("s3:1")
        outside = lab.capture_port("s4:1", "ip or ip6 or arp", snap=0)
        lab.mark()
        _rest(lab, operator, "POST", "/v1/registry", {"subscriber": OTHER_IMSI, "addresses": ["10.1.0.2"]})
        order = {"dst": SERVER, "ports": [SERVICE], "mptcp": True, "first": True}
        first, second = lab.agents["ue"].ask("open", group="one", count=2, **order)["opened"]
        report.equal(
            "one session, and one over the limit", (False, True), ("error" in first, "error" in second)
        )
        time.sleep(1.5)
        lab.agents["ue"].ask("echo", group="one")
        answers = _everything(lab, reader)
        joined = lab.counted("server")["MPJoinSynTx"]
        lab.agents["ue"].ask("close", group="one")
        lab.stop_captures()
        if options.prompt:
            lab.command_line()
        options.say("searching")
        keys = {s.key for s in near.segments() if s.key and CAPABLE in s.options}
        planted = _planted(lab, reader, operator, keys)
        report.expect("planted", len(keys) >= 2, "names, tokens, and keys of both sides", sorted(planted))
        _judge_outside(lab, report, outside, mcp, planted, joined)
        _judge_words(lab, report, answers, planted)


def _prepare(lab: Lab, without: bool) -> None:
    """Have the server speak MPTCP and accept announced addresses, and the MCP announce its own address."""
    server, core = lab.host("server"), lab.host("core")
    lab.servers["server"].end()
    server.run("sysctl -qw net.mptcp.enabled=1", "ip mptcp limits set subflows 8 add_addr_accepted 8")
    lab.servers["server"] = processes.serve(lab.record, server, PLAN.services, mptcp=True)
    core.run(f"ip mptcp endpoint add {MCP} dev {core.interface(0)} signal")
    if without:
        core.run("nft flush chain inet steering_relay discretion")


def _state(lab: Lab) -> Path:
    return lab.record.directory / "controller"


def _token(lab: Lab, role: str) -> str:
    """Make a token of a role, as an operator would; the token."""
    command = [
        sys.executable,
        "-m",
        "steering",
        "token",
        "add",
        "--role",
        role,
        "--state-dir",
        str(_state(lab)),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=processes.REPOSITORY)
    made: str = json.loads(done.stdout)["token"]
    return made


def _rest(lab: Lab, token: str, method: str, path: str, body: Any = None) -> tuple[int, str]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{lab.controller.rest_port}{path}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _everything(lab: Lab, reader: str) -> dict[str, tuple[int, str]]:
    """All resources that a reader can GET: path -> status and body. Where a path has an id, those of all sessions."""
    paths = json.loads(_rest(lab, reader, "GET", "/v1/openapi.json")[1]).get("paths", {})
    plain = [
        p for p, methods in paths.items() if "get" in methods and "{" not in p and not p.endswith("/events")
    ]
    ids = [session["id"] for session in lab.controller.sessions()]
    named = [f"/v1/{kind}/{number}" for kind in ("sessions", "decisions") for number in ids]
    return {path: _rest(lab, reader, "GET", path) for path in (*plain, *named)}


def _planted(lab: Lab, reader: str, operator: str, keys: set[str]) -> dict[str, tuple[bytes, ...]]:
    """The data to search for, each in all forms that it may have."""
    words = {name: name for name in (IMSI, OTHER_IMSI, LINK)}
    words |= {"token of a reader": reader, "token of the operator": operator}
    found: dict[str, tuple[bytes, ...]] = {name: (text.encode(),) for name, text in words.items()}
    for file in ("pseudonym.key", "lldp.key"):
        text = (_state(lab) / file).read_text().strip()
        found[file] = (text.encode(), bytes.fromhex(text))
    for number, key in enumerate(sorted(keys)):
        found[f"MPTCP key {number}"] = (key.encode(), bytes.fromhex(key))
    return found


def _found(data: bytes, planted: dict[str, tuple[bytes, ...]]) -> list[str]:
    return sorted(name for name, forms in planted.items() if any(form in data for form in forms))


def _judge_outside(
    lab: Lab,
    report: Report,
    outside: Capture,
    mcp: Capture,
    planted: dict[str, tuple[bytes, ...]],
    joined: int,
) -> None:
    data = outside.file.read_bytes()
    served = frames(
        outside.file, "tcp.options.mptcp.subtype == 0 && tcp.flags.syn == 1 && tcp.flags.ack == 1"
    )
    report.expect("the server leg is MPTCP", served >= 1, "at least 1 SYN/ACK", served, "capture")
    announced = frames(mcp.file, f"{ADD_ADDR} && ip.dst == 10.1.0.2")
    report.expect(
        "the MCP announces its address to the host", announced >= 1, "at least 1", announced, "capture"
    )
    report.equal("announcements on the Internet side", 0, frames(outside.file, ADD_ADDR), "capture")
    report.equal(
        "packets with the MCP's address there", 0, frames(outside.file, f"ip.addr == {MCP}"), "capture"
    )
    report.equal("joins of the server to the MCP", 0, joined, "kernel")
    report.equal("what of the planted is there", [], _found(data, planted), "capture")
    # To show that the search can find something, it looks for a key where one has to be.
    inside = _found(mcp.file.read_bytes(), planted)
    report.expect(
        "the search finds keys inside", any("key" in name for name in inside), "some", inside, "capture"
    )


def _judge_words(
    lab: Lab, report: Report, answers: dict[str, tuple[int, str]], planted: dict[str, tuple[bytes, ...]]
) -> None:
    leaks = {p: names for p, (_, text) in answers.items() if (names := _found(text.encode(), planted))}
    read = sum(status == 200 for status, _ in answers.values())
    report.expect("resources that a reader read", read >= 12, "at least 12", read, "REST")
    report.equal("what of the planted a reader is shown", {}, leaks, "REST")
    nothing = (0, "{}")
    text_of_policy = answers.get("/v1/policy", nothing)
    report.equal("the policy's text is not for readers", 403, text_of_policy[0], "REST")
    full = json.loads(answers.get("/v1/limits", nothing)[1]).get("last_full")
    report.expect("a limit was reached and is told of", bool(full), "it is", full, "REST")
    logs = {path.name: _found(path.read_bytes(), planted) for path in lab.record.directory.glob("*.log")}
    said = sum(path.stat().st_size for path in lab.record.directory.glob("*.log"))
    report.expect(
        "logs were written", said > 1000, "more than 1000 bytes", f"{said} in {len(logs)} files", "log"
    )
    report.equal("logs with something of the planted", {}, {n: f for n, f in logs.items() if f}, "log")


SCENARIO = Scenario(
    name="privacy",
    figure="draft-nam section 7.1",
    rows=ROWS,
    summary="IMSIs, link ids, credentials, keys, the MCP's address: planted, and searched for where they must not be",
    plan=PLAN,
    run=run,
    controls=controls("redaction", discretion="the MCP's kernel announces its address to servers too"),
)
