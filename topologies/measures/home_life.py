"""The daily life of a home behind its CPE: HTTPS, many sessions at once, traffic that is not relayed, and a cut
access."""

import subprocess
import time
from pathlib import Path
from typing import Any

from topologies.kit.captures import CAPABLE
from topologies.kit.lab import Lab
from topologies.kit.plan import address_of
from topologies.kit.processes import StartedProcess, relay_status
from topologies.kit.report import Report
from topologies.measures.cpe_transfer import Watch, syns
from topologies.networks.hybrid import SECURE, SERVICE, UNSERVED

SESSIONS = 200
RSS_MIB = 40  # most memory of a CPE's relay with so many sessions (S-17a). Python itself takes most of it
BLOCKED_S, STILL, GROWTH_MIB = 12.0, 20_000, 2
STORED = (
    24_000_000  # bytes that the buffers of four kernels can hold: at most 4 MB to send and 6 MB received each
)
STEADY_MBIT, STEADY_S, CUT_S = 8.0, 7.0, 2.5


def check_secure(lab: Lab, report: Report) -> None:
    """S-F1, S-21: HTTPS works end to end, with the server's certificate verified. The MCPs see encrypted bytes only."""
    server = address_of(lab.plan.box("server"), 4)
    directory = lab.record.directory
    certificate, key = directory / "server.pem", directory / "server.key"
    request = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    request += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=server"]
    subprocess.run([*request, "-addext", f"subjectAltName=IP:{server}"], check=True, capture_output=True)
    serve = [
        "openssl",
        "s_server",
        "-accept",
        str(SECURE),
        "-cert",
        str(certificate),
        "-key",
        str(key),
        "-www",
    ]
    web = StartedProcess(lab.record, "https-server", serve, lab.host("server"))
    web.wait_for(lambda: f":{SECURE} " in lab.host("server").pexec("ss -tlnH")[0], 5, "no HTTPS")
    before = _accepted(lab, "cpe"), _accepted(lab, "core")
    asked = f"curl -sS --max-time 10 -o /dev/null -w %{{http_code}}-%{{ssl_verify_result}} https://{server}/"
    output, error, _ = lab.host("lan1").pexec(f"{asked} --cacert {certificate}")
    stranger = lab.host("lan1").pexec(asked)[2]
    taken = _accepted(lab, "cpe") - before[0], _accepted(lab, "core") - before[1]
    web.end()
    report.equal(
        "HTTPS: status and verification, with the server's own certificate", "200-0", output or error
    )
    report.equal("HTTPS: exit status of curl where the certificate is not known", 60, stranger)
    report.equal("HTTPS: both MCPs relayed it, unread", (2, 2), taken, "kernel")


def check_ineligible(lab: Lab, report: Report) -> None:
    """N-3.3: traffic that the CPE does not relay goes out by its NAT, on the natural path, and passes no MCP."""
    server, wan = (address_of(lab.plan.box(name), 4, nic) for name, nic in (("server", 0), ("cpe", 1)))
    before = _accepted(lab, "cpe"), lab.controller.metric("steering_sessions_started_total")
    watch = Watch(lab, "lan1")
    opened = _open(lab, "lan1", UNSERVED)
    watch.look()
    seen = watch.finish({})
    began = {s.flow.src for s in seen.segments("server") if s.syn and s.flow.dport == UNSERVED}
    report.equal("not eligible: served", "", opened.get("error", ""))
    report.equal("not eligible: its address at the server, by NAT", {wan}, began, "capture")
    at_core = sum(UNSERVED in (s.flow.sport, s.flow.dport) for s in seen.segments("core"))
    report.equal(f"not eligible: segments at the MCP, of a connection to {server}", 0, at_core, "capture")
    after = _accepted(lab, "cpe"), lab.controller.metric("steering_sessions_started_total")
    report.equal("not eligible: relayed by the CPE, steered by the controller", before, after, "REST")


def check_memory(lab: Lab, report: Report) -> None:
    """S-17a: a CPE is a simple device, so its relay needs little memory."""
    report.figures["cpe_rss_mib_idle"] = idle = _rss_mib(lab)
    opened = [_open(lab, "lan1", SERVICE, SESSIONS)]
    live = relay_status(lab.record, "cpe")["counters"]["active"]
    report.figures["cpe_rss_mib"] = rss = _rss_mib(lab)
    lab.agents["lan1"].ask("close", group="life", gap=0.005)
    report.equal("memory: sessions that failed", "", opened[0].get("error", ""))
    report.expect("memory: sessions at once in the CPE", live >= SESSIONS, f"{SESSIONS}", live, "kernel")
    report.expect(
        f"memory: of the CPE's relay with {SESSIONS} sessions",
        rss <= RSS_MIB,
        f"at most {RSS_MIB} MiB",
        f"{rss:.1f} MiB, {idle:.1f} without any",
        "kernel",
    )


def check_sluggish(lab: Lab, report: Report) -> None:
    """S-19: the sender waits for a receiver that does not read. Neither MCP stores data meanwhile."""
    lab.say("a download that nobody reads")
    before = {name: _rss_mib(lab, name) for name in ("cpe", "core")}
    began = _sent(lab)
    order = {"dst": address_of(lab.plan.box("server"), 4), "port": SERVICE}
    lab.agents["lan1"].ask("start", name="sluggish", kind="sluggish", **order)
    until, last, now = time.monotonic() + BLOCKED_S, began, began
    while time.monotonic() < until:
        time.sleep(1.0)
        last, now = now, _sent(lab)
        if now > began + STILL and now - last <= STILL:
            break
    growth = {name: _rss_mib(lab, name) - rss for name, rss in before.items()}
    lab.agents["lan1"].ask("stop", name="sluggish")
    done = lab.agents["lan1"].finish("sluggish", 20)
    report.expect(
        "slow reader: its connection stands", done.get("buffered", 0) > 0, "data waits for it", done
    )
    report.expect(
        "slow reader: the sender is blocked",
        STILL < now - began <= STORED and now - last <= STILL,
        f"it sends {STILL / 1e3:.0f} kB to {STORED / 1e6:.0f} MB, then at most {STILL / 1e3:.0f} kB a second",
        f"{(now - began) / 1e6:.2f} MB, then {(now - last) / 1e3:.1f} kB",
        "kernel",
    )
    report.expect(
        "slow reader: growth of the relays",
        max(growth.values()) <= GROWTH_MIB,
        f"at most {GROWTH_MIB} MiB",
        ", ".join(f"{name} {mib:.2f} MiB" for name, mib in growth.items()),
        "kernel",
    )


def check_cut(lab: Lab, report: Report) -> None:
    """K-CONT: DSL, which carries the first subflow, is cut in the middle of a stream. A plain host notices nothing."""
    lab.say(f"a steady stream of lan1, DSL cut after {CUT_S:g} s")
    target = address_of(lab.plan.box("server"), 4)
    order = {"dst": target, "port": SERVICE, "mbit": STEADY_MBIT, "seconds": STEADY_S}
    lab.agents["lan1"].ask("start", name="steady", kind="steady", **order)
    time.sleep(CUT_S)
    subprocess.run(["ip", "link", "set", lab.interface("s1:1"), "down"], check=True)
    lte = lab.capture_port("s2:1")
    opened = _open(lab, "lan2", SERVICE)
    lab.stop_captures()
    done = lab.agents["lan1"].finish("steady", STEADY_S + 45)
    report.equal("cut: the stream's error", "", done.get("error", ""))
    report.equal(
        "cut: seconds without a byte, and wrong bytes",
        (0, False),
        (done.get("empty_seconds"), done.get("wrong")),
    )
    report.equal("cut: a new connection of lan2", "", opened.get("error", ""))
    began = {s.flow.src for s in syns(lte.segments(), CAPABLE) if s.flow.dst == target}
    wanted = {address_of(lab.plan.box("cpe"), 4, 2)}
    report.equal("cut: what the new connection is opened from", wanted, began, "capture")
    report.figures["longest_gap_s"] = round(done.get("longest_gap_s", 0.0), 2)


def count_keys(site: Path) -> int:
    """S-17: how many keys an operator has to write in a site file."""
    return sum(part.count(":") for part in _without_values(site.read_text()))


def _without_values(text: str) -> list[str]:
    return [word for word in text.replace("{", " ").replace(",", " ").split() if word.endswith(":")]


def _open(lab: Lab, host: str, port: int, count: int = 1) -> dict[str, Any]:
    """Open connections that echo once and stay open; the answer of the first that failed, or of the last."""
    order = {"group": "life", "dst": address_of(lab.plan.box("server"), 4), "ports": [port], "count": count}
    opened: list[dict[str, Any]] = lab.agents[host].ask("open", first=True, **order)["opened"]
    return next((one for one in opened if "error" in one), opened[-1])


def _accepted(lab: Lab, name: str) -> int:
    found: int = relay_status(lab.record, name)["counters"]["accepted"]
    return found


def _rss_mib(lab: Lab, name: str = "cpe") -> float:
    text = Path(f"/proc/{lab.relays[name].popen.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def _sent(lab: Lab) -> int:
    """Bytes that the server's interface has sent."""
    text, _, _ = lab.host("server").pexec(
        f"cat /sys/class/net/{lab.host('server').interface(0)}/statistics/tx_bytes"
    )
    return int(text)
