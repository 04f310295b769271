"""Six ways to mix the address families of LAN, WANs and server with two explicit proxies (draft-nam section 5.5).

A CPE tells its MCP the destination by Convert, so its WANs need no address of the server's family. The MCP connects
to the server from an address of its own. Draft-nam Figures 6 (second part) and 14. LAN hosts and server speak plain
TCP.
"""

import time
from dataclasses import dataclass, replace

from topologies.kit import processes
from topologies.kit.captures import frames
from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Nic, Plan, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import explicit_mode as em
from topologies.networks.hybrid import ACCESS_MBIT, SERVICE, off_path

ROWS = (
    "N-5.5a", "N-5.5b", "N-5.5t1", "N-5.5t2", "N-5.5t3", "N-5.5t4", "N-5.5t5", "N-5.5t6", "N-F6",
    "N-F14", "S-F3", "S-F4", "S-13", "S-24", "D-5.1b",
)  # fmt: skip
SECONDS = 2.5
GAIN = 1.5
OWN = ("10.8.0.2", "fd00:8::2")  # addresses of the MCP
WANS = ("dsl", "lte")


@dataclass(frozen=True)
class Row:
    """A row of the draft's table: the family `inner` of LAN and server, and the families of the addresses of each
    WAN."""

    id: str
    inner: int
    wans: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def first(self) -> int:
        """The family of the first subflow, which is that of the first WAN."""
        return self.wans[0][0]


TABLE = (
    Row("t1", 4, ((4,), (4,))),
    Row("t2", 4, ((6,), (6,))),
    Row("t3", 4, ((6,), (4,))),
    Row("t4", 6, ((6,), (6,))),
    Row("t5", 6, ((4,), (4,))),
    Row("t6", 6, ((6,), (4,))),
)


def _plan() -> Plan:
    plan = off_path("address-families")

    def fit(nic: Nic) -> Nic:
        return replace(nic, mbit=nic.mbit and ACCESS_MBIT / 2)

    boxes = []
    for box in plan.boxes:
        relay = (
            ("--server-leg", "tcp", "--explicit", f"convert:{em.CONVERT}")
            if box.name == "core"
            else box.relay
        )
        boxes.append(replace(box, relay=relay, nics=tuple(fit(nic) for nic in box.nics)))
    return replace(plan, boxes=tuple(boxes))


PLAN = _plan()


def run(options: Options, report: Report) -> None:
    """Run row after row. For each, the CPE's relay is started anew with the addresses of the row."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        report.table = [["row", "LAN", "dsl", "lte", "server", "goodput", "subflows", "server sees"]]
        for row in TABLE:
            _row(lab, options, report, row)
        if options.prompt:
            lab.command_line()


def _row(lab: Lab, options: Options, report: Report, row: Row) -> None:
    families = row.wans if "families" not in options.without else ((4, 6), (4, 6))
    lab.say(f"{row.id}: LAN and server IPv{row.inner}, WANs {' and '.join(f'IPv{f[0]}' for f in row.wans)}")
    _readdress(lab, families)
    core = lab.host("core")
    core.run("ip mptcp endpoint flush")
    for family in {
        family for wan in row.wans for family in wan
    }:  # each of these, so that a WAN of another family can join
        core.run(f"ip mptcp endpoint add {OWN[family == 6]} dev {core.interface(0)} signal")
    mcp = OWN[row.first == 6]
    via = f"convert://[{mcp}]:{em.CONVERT}" if row.first == 6 else f"convert://{mcp}:{em.CONVERT}"
    _restart_cpe(lab, via)
    target = address_of(PLAN.box("server"), row.inner)
    _warm_up(lab, families, target)
    wans = [lab.capture_port(port) for port in ("s1:1", "s2:1")]
    server = lab.capture_port(PLAN.box("server").nics[0].peer)
    lab.mark()
    order = {"dst": target, "port": SERVICE, "seconds": SECONDS}
    lab.agents["lan1"].ask("start", name=row.id, kind="upload", **order)
    time.sleep(SECONDS - 1.0)
    seen = [s for s in subflows(lab.host("cpe")) if s.flow.dst in OWN]
    sessions = [s for s in lab.controller.detailed() if s["token"] in {x.peer_token for x in seen if x.join}]
    done = lab.agents["lan1"].finish(row.id, SECONDS + 30)
    lab.stop_captures()

    name = f"{row.id}: "
    report.equal(name + "the transfer succeeds", "", done.get("error", ""))
    mbit = done.get("mbit", 0.0)
    one = ACCESS_MBIT / 2
    report.rate(
        name + "goodput over one WAN", mbit >= GAIN * one, f"at least {GAIN * one:.1f}", f"{mbit:.1f} Mbit/s"
    )
    used = sorted({6 if ":" in s.flow.src else 4 for s in seen})
    wanted = sorted({family for wan in row.wans for family in wan})
    report.equal(name + "one token, subflows of these families", (1, wanted), (len(sessions), used), "kernel")
    report.equal(name + "the controller has them all at core", [("core", len(seen))],
                 [(s["mcp"], len(s["subflows"])) for s in sessions], "REST")  # fmt: skip
    for wan, capture, has in zip(WANS, wans, row.wans, strict=True):
        other = "ip" if has == (6,) else "ipv6"
        report.equal(f"{name}packets of the other family on {wan}", 0, frames(capture.file, other), "capture")
        report.expect(
            f"{name}data on {wan}",
            (got := frames(capture.file, "tcp.len > 0")) > 50,
            "more than 50",
            got,
            "capture",
        )
    with_syn, told = em.first_bytes(wans[0], mcp, em.CONVERT)
    report.equal(name + "the first bytes to the MCP name the server", True, _names(told, target), "capture")
    report.equal(
        name + "and no MPTCP at the server",
        0,
        frames(server.file, "tcp.options.mptcp.subtype && tcp.len > 0"),
        "capture",
    )
    sources = {s.flow.src for s in server.segments() if s.syn and s.flow.dst == target}
    report.equal(name + "the server sees the MCP's own address", {OWN[row.inner == 6]}, sources, "capture")
    report.table.append([row.id, f"v{row.inner}", *("+".join(f"v{f}" for f in wan) for wan in row.wans), f"v{row.inner}",
                         f"{mbit:.1f} Mbit/s", str(len(seen)), ", ".join(sorted(sources))])  # fmt: skip
    report.figures[row.id] = {"goodput_mbit": round(mbit, 2), "subflows": len(seen), "in_syn": with_syn}


def _names(told: bytes, target: str) -> bool:
    """Whether it is a Convert Connect TLV (RFC 8803 section 4.2.5) with this address and the service port. An IPv4
    address is in its IPv4-mapped form."""
    from ipaddress import ip_address

    address = ip_address(target)
    packed = address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed
    return told[4:5] == b"\x0a" and told[6:8] == SERVICE.to_bytes(2, "big") and told[8:24] == packed


def _readdress(lab: Lab, families: tuple[tuple[int, ...], ...]) -> None:
    """Give each WAN of the CPE the addresses of its families, and default routes for them."""
    host, box = lab.host("cpe"), PLAN.box("cpe")
    for number, wanted in zip((1, 2), families, strict=True):
        interface = host.interface(number)
        host.run(
            f"ip addr flush dev {interface} scope global", f"ip -6 addr flush dev {interface} scope global"
        )
        for family in wanted:
            address = next(a for a in box.nics[number].addresses if (":" in a) == (family == 6))
            gateway = address.rpartition("::2/")[0] + "::1" if family == 6 else address.replace(".2/24", ".1")
            six = "-6 " if family == 6 else ""
            host.run(f"ip {six}addr add {address} dev {interface}",
                     f"ip {six}route replace default via {gateway} dev {interface} metric {100 + number}")  # fmt: skip


def _restart_cpe(lab: Lab, via: str) -> None:
    lab.relays["cpe"].end()
    words = (*PLAN.box("cpe").relay, "--via", via)
    lab.relays["cpe"] = processes.upstream_relay(lab.record, lab.host("cpe"), 3, words)


def _warm_up(lab: Lab, families: tuple[tuple[int, ...], ...], target: str) -> None:
    """Have all neighbours found before anything is measured."""
    host, box = lab.host("cpe"), PLAN.box("cpe")
    for number, wanted in zip((1, 2), families, strict=True):
        for family in wanted:
            source = address_of(box, family, number)
            host.pexec(f"ping -c 2 -i 0.2 -W 1 -I {source} {OWN[family == 6]}")
    lab.agents["lan1"].ask("ping", dst=address_of(PLAN.box("cpe"), 6 if ":" in target else 4), count=1)


SCENARIO = Scenario(
    name="address-families",
    figure="draft-nam section 5.5, Figures 6 and 14",
    rows=ROWS,
    summary="a CPE that names its servers by Convert: LAN, WANs and server of either family, all six rows",
    plan=PLAN,
    run=run,
    controls=controls("steering", families="both WANs keep both families"),
)
