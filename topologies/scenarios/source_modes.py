"""All source modes in one network, draft-nam section 5.4: which address the server sees, and that its answers reach
the MCP.

alpha serves `ue1` and beta serves `ue2`, each with pools of its own. alpha also serves port 5002 of both hosts, so
that they share its pool. Relays and controller are started anew for each pair of modes. The checks: all bytes come
back unchanged, over two subflows; the server's peers have addresses of the mode; the server's answers reach their own
MCP's port and no other.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

from topologies.kit import processes
from topologies.kit.captures import Capture
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Box, Kind, Nic, Plan, address_of, site_text
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.networks.two_mcps import ACCESS_MBIT, two_mcps

ROWS = (
    "N-5.4.1.2a", "N-5.4.1b", "N-5.4.1.3", "N-5.4.2a", "N-5.4.2.1a", "N-5.4.2.1b", "N-5.4.2.2", "N-5.4.2.3",
    "N-F11", "N-F12", "D-5.1a", "D-5.1c", "D-6.7.2", "N-5.6.7a",
)  # fmt: skip
BYTES = 2_000_000
FEW = 20_000
PATIENCE_S = 30.0  # for all bytes of an exchange
INTRODUCED_S = 30.0  # for the first answer that a host gets by a controller that has just started
JOINED_S = 30.0  # seconds for the joins of what arrived: a lost SYN is sent again after 1, 3 and 7 s
OWN, COMMON = 5001, 5002
HOSTS = {"ue1": "alpha", "ue2": "beta"}
TRANSLATED = "64:ff9b::"
POLICY = """\
policy: 1
timers: {fin_linger: 1}
rules:
  - {name: shared-port, when: {port: 5002}, then: {mcps: [alpha]}}
  - {name: first, when: {source: [10.1.0.2, "fd00:1::2"]}, then: {mcps: [alpha]}}
  - {name: second, when: {source: [10.1.0.3, "fd00:1::3"]}, then: {mcps: [beta]}}
"""


@dataclass(frozen=True)
class Phase:
    """A pair of modes, the pools of each MCP, and further options of the relays."""

    name: str
    ipv4: str
    ipv6: str
    alpha: tuple[str, ...] = ()
    beta: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    site: str = ""

    def pools(self, mcp: str) -> tuple[str, ...]:
        """The pools of an MCP."""
        return self.alpha if mcp == "alpha" else self.beta

    def source(self, mcp: str) -> str:
        """The keys of an MCP's sources in the site file."""
        pools = ", ".join(f'"{pool}"' for pool in self.pools(mcp))
        return f"source_mode: {{ipv4: {self.ipv4}, ipv6: {self.ipv6}}}, pools: [{pools}]{self.site}"

    def options(self, lab: Lab, mcp: str) -> list[str]:
        """The options of an MCP's relay."""
        words = ["--source-mode", f"ipv4={self.ipv4}", "--source-mode", f"ipv6={self.ipv6}", "--name", mcp]
        for pool in self.pools(mcp):
            words += ["--pool", pool]
        return [*words, *self.more, "--mapping-log", str(log_of(lab, mcp))]


PHASES = (
    Phase("preserved", "transparent", "ipv6-address"),
    Phase(
        "shared and prefix", "shared", "ipv6-prefix",
        ("192.0.2.1/32", "::5354:1:0:0/96"), ("192.0.2.17/32", "::5354:2:0:0/96"),
        ("--sharing-ratio", "4", "--nat64", f"{TRANSLATED}/96"), f', nat64: "{TRANSLATED}/96"',
    ),
    Phase(
        "one-to-one and NPTv6", "one-to-one", "nptv6",
        ("192.0.2.32/28", "2001:db8:a::/56"), ("192.0.2.48/28", "2001:db8:b::/56"),
    ),
)  # fmt: skip


def _plan() -> Plan:
    base = two_mcps("source-modes")
    ue2 = Box(
        "ue2",
        Kind.DUAL,
        (
            Nic("s1:2", ("10.1.0.3/24", "fd00:1::3/64"), ACCESS_MBIT),
            Nic("s2:2", ("10.2.0.3/24", "fd00:2::3/64"), ACCESS_MBIT),
        ),
    )
    boxes = tuple(ue2 if box.name == "ue2" else box for box in base.boxes if box.kind is not Kind.NAT)
    return replace(base, boxes=boxes, policy=POLICY)


PLAN = _plan()


def log_of(lab: Lab, mcp: str) -> Path:
    """The file of an MCP's mapping log."""
    return lab.record.directory / f"{mcp}.mappings"


def run(options: Options, report: Report) -> None:
    """Run each pair of modes in turn."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        report.table = [["mode", "host", "MCP", "host's address", "server sees"]]
        for number, phase in enumerate(PHASES):
            options.say(phase.name)
            _restart(lab, phase, options.without, first=number == 0)
            _introduce(lab)
            _exchange(lab, phase, report)
            if phase.ipv4 == "shared":
                _share(lab, report)
        if options.prompt:
            lab.command_line()


def _restart(lab: Lab, phase: Phase, without: tuple[str, ...], first: bool) -> None:
    """Start relays with other options, and a controller whose site file says the same."""
    if not first:
        lab.controller.stop()
    points = tuple(replace(point, source=phase.source(point.name)) for point in PLAN.points)
    lab.controller.site.write_text(site_text(replace(PLAN, points=points)))
    for mcp, old in list(lab.relays.items()):
        old.end()
        lab.relays[mcp] = processes.relay(
            lab.record, lab.host(mcp), PLAN.services, PLAN.server_prefixes(), phase.options(lab, mcp)
        )
    lab.start_controller(without)


def _introduce(lab: Lab) -> None:
    """Have hosts send ARP and ND, by which a new controller learns them."""
    for host in HOSTS:
        lab.host(host).run("ip neigh flush all", "ip -6 neigh flush all")
        for nic in PLAN.box(host).nics:
            for text in nic.addresses:
                source = ip_interface(text)
                target = address_of(PLAN.box("server"), source.version)
                ping = f"ping -c 1 -W 2 -I {source.ip} {target}"
                until(lambda host=host, ping=ping: lab.host(host).pexec(ping)[2] == 0, INTRODUCED_S)  # type: ignore[misc]


def _exchange(lab: Lab, phase: Phase, report: Report) -> None:
    """Transfer at once for both hosts and both families."""
    at_server = lab.capture_port(PLAN.box("server").nics[0].peer)
    at_mcp = {mcp: lab.capture_port(PLAN.box(mcp).nics[0].peer) for mcp in HOSTS.values()}
    for host, family in _all():
        target = address_of(PLAN.box("server"), family)
        lab.agents[host].ask(
            "start", name=f"x{family}", kind="exchange", dst=target, port=OWN, mptcp=True, bytes=BYTES,
            patience=PATIENCE_S, hold=True,
        )  # fmt: skip
    time.sleep(1.5)
    until(
        lambda: all(_whole(lab.agents[host].ask("status", name=f"x{family}")) for host, family in _all()),
        PATIENCE_S + 2,
    )
    until(lambda: all(_joined(lab, host, family) for host, family in _all()), JOINED_S)
    relays = {mcp: processes.relay_status(lab.record, mcp)["sessions"] for mcp in HOSTS.values()}
    sessions = lab.controller.detailed()
    peers = _established(lab)
    for host, family in _all():
        lab.agents[host].ask("stop", name=f"x{family}")
    done = {(host, family): lab.agents[host].finish(f"x{family}", PATIENCE_S + 10) for host, family in _all()}
    lab.stop_captures()
    for host, family in _all():
        mcp, mode = HOSTS[host], phase.ipv4 if family == 4 else phase.ipv6
        own = address_of(PLAN.box(host), family)
        title = f"{mode}, {host} over IPv{family}"
        result = done[host, family]
        report.equal(
            f"{title}: the same bytes came back", (True, ""), (result.get("same"), result.get("error", ""))
        )
        leg = next((s for s in relays[mcp] if s["client"] == result.get("local")), None)
        source = "" if leg is None else str(leg["source"][0])
        report.equal(f"{title}: subflows at {mcp}", 2, leg and leg["subflows"], "kernel")
        report.equal(f"{title}: the server's peer is the relay's source", True, source in peers, "kernel")
        wanted = _wanted(mode, own, [p for p in phase.pools(mcp) if (":" in p) == (family == 6)])
        report.expect(
            f"{title}: whom the server sees", _as_wanted(mode, source, own, wanted), wanted, source, "kernel"
        )
        _judge_captures(report, title, source, mcp, at_server, at_mcp)
        known = [s for s in sessions if s["mcp"] == mcp and any(f["src"] == own for f in s["subflows"])]
        account = [
            len(s["subflows"])
            for s in known
            if s["subflows"][0]["sport"] == (result.get("local") or [0, 0])[1]
        ]
        report.equal(f"{title}: the controller's subflows at {mcp}", [2], account, "REST")
        report.table.append([mode, host, mcp, own, source or "nobody"])


def _whole(status: dict[str, Any]) -> bool:
    return bool(status["done"] or status.get("same") is not None)


def _joined(lab: Lab, host: str, family: int) -> bool:
    """Whether relay and controller have both subflows of a host's transfer, or it failed."""
    status, mcp = lab.agents[host].ask("status", name=f"x{family}"), HOSTS[host]
    if status.get("error"):
        return True
    local = status.get("local")
    rows = processes.relay_status(lab.record, mcp)["sessions"]
    known = [s["subflows"] for s in lab.controller.detailed() if s["mcp"] == mcp and s["subflows"]]
    return any(row["client"] == local and row["subflows"] == 2 for row in rows) and any(
        len(flows) == 2 and [flows[0]["src"], flows[0]["sport"]] == local for flows in known
    )


def _all() -> Iterator[tuple[str, int]]:
    return ((host, family) for host in HOSTS for family in (4, 6))


def _wanted(mode: str, own: str, pools: list[str]) -> str:
    if mode in ("transparent", "ipv6-address"):
        return own
    return f"{own}/64 with {pools[0]}" if mode == "ipv6-prefix" else pools[0]


def _as_wanted(mode: str, source: str, own: str, wanted: str) -> bool:
    if not source:
        return False
    seen = ip_address(source)
    if mode in ("transparent", "ipv6-address"):
        return source == own
    if mode != "ipv6-prefix":
        return seen in ip_network(wanted)
    pool = ip_network(wanted.rpartition(" ")[2])
    low = IPv6Address(int(seen) & (1 << 64) - 1)
    return seen in ip_network(f"{own}/64", strict=False) and source != own and low in pool


def _judge_captures(
    report: Report, title: str, source: str, mcp: str, at_server: Capture, at_mcp: dict[str, Capture]
) -> None:
    """Check that the server's answers to a source are at its MCP's port, and none at the other MCP's."""
    sent = [s for s in at_server.segments() if s.flow.dst == source and s.flow.sport == OWN]
    report.expect(f"{title}: the server's answers", bool(sent), "more than 0", len(sent), "capture")
    flows = {s.flow for s in sent}
    for name, capture in at_mcp.items():
        answers = [s for s in capture.segments() if s.flow in flows]
        if name == mcp:
            report.expect(
                f"{title}: answers at {name}", bool(answers), "more than 0", len(answers), "capture"
            )
        else:
            report.equal(f"{title}: answers at {name}", 0, len(answers), "capture")


def _established(lab: Lab) -> set[str]:
    """The addresses of the server's peers now."""
    rows = lab.host("server").pexec("ss -tnH state established")[0].splitlines()
    found = set()
    for row in rows:
        address = ip_address(row.split()[3].rpartition(":")[0].strip("[]").partition("%")[0])
        found.add(str(getattr(address, "ipv4_mapped", None) or address))
    return found


def _share(lab: Lab, report: Report) -> None:
    """Two subscribers share an MCP and an address: they get disjoint blocks of ports, which the log tells apart
    (D-6.7.2). Also checks NAT64."""
    server = address_of(PLAN.box("server"), 4)
    orders = (("ue1", server), ("ue2", server), ("ue1", TRANSLATED + server))
    for number, (host, target) in enumerate(orders):
        lab.agents[host].ask(
            "start", name=f"s{number}", kind="exchange", dst=target, port=COMMON, mptcp=True, bytes=FEW,
            patience=PATIENCE_S, hold=True,
        )  # fmt: skip
    time.sleep(1.0)
    names = [(host, f"s{number}") for number, (host, _) in enumerate(orders)]
    until(lambda: len(_sources(lab, names)) == len(names), PATIENCE_S)
    sources = _sources(lab, names)
    for host, name in names:
        lab.agents[host].ask("stop", name=name)
    now = time.time()
    done = [lab.agents[host].finish(f"s{n}", PATIENCE_S + 10) for n, (host, _) in enumerate(orders)]
    report.equal(
        "shared: two hosts, and one by NAT64: the same bytes", [True] * 3, [d.get("same") for d in done]
    )
    report.equal(
        "shared: all of them by alpha's one address", ["192.0.2.1"] * 3, [a for a, _ in sources], "kernel"
    )
    owners = [_owner(lab, port, now) for _, port in sources]
    report.equal(
        "shared: the log names each by port and time", ["10.1.0.2", "10.1.0.3", "fd00:1::/64"], owners
    )
    blocks = {(port - 1024) // (64512 // 4) for _, port in sources}
    report.equal("shared: blocks of ports", 3, len(blocks), "kernel")
    log = log_of(lab, "alpha")
    lines = log.read_text().splitlines() if log.exists() else []
    begun = [line for line in lines if '"end": null' in line and '"192.0.2.1"' in line]
    report.equal("shared: lines of the log, one a block", 3, len(begun))


def _sources(lab: Lab, names: list[tuple[str, str]]) -> list[tuple[str, int]]:
    """By which addresses and ports alpha goes to the server for these tasks of hosts, of those that it has."""
    rows = processes.relay_status(lab.record, "alpha")["sessions"]
    local = [lab.agents[host].ask("status", name=name).get("local") for host, name in names]
    return [tuple(row["source"]) for own in local for row in rows if row["client"] == own]


def _owner(lab: Lab, port: int, at: float) -> str:
    """The host that had a port at a time, by `steering mappings`."""
    command = [sys.executable, "-m", "steering", "mappings", "find", "192.0.2.1", str(port)]
    command += ["--log", str(log_of(lab, "alpha")), "--at", str(at)]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=processes.REPOSITORY)
    return told.stdout.partition(" ")[0]


SCENARIO = Scenario(
    name="source-modes",
    figure="draft-nam Figures 11 and 12",
    rows=ROWS,
    summary="six source modes in turn: whom the server sees, and that its answers find the MCP",
    plan=PLAN,
    run=run,
    controls=controls("pool-routes"),
)
