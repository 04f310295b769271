"""One transfer over two accesses, with all the evidence of where its subflows went."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from topologies.kit.captures import CAPABLE, JOIN, Capture, distinct
from topologies.kit.controller import flows_of
from topologies.kit.kernel_counters import CounterChanges, Subflow, subflows
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Kind, Plan, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options

SECONDS = 6.0
GAIN = 1.7  # least rate of two equal accesses, as a multiple of the rate of one
SETTLED_S = 1.5  # seconds into the transfer at which subflows are listed; later while a join is missing
LEFT_S = 1.0  # seconds before its end after which they are not listed any more


@dataclass
class Transfer:
    """The evidence of one transfer of `host`. Counters tell their growth during the transfer. `access_bytes`: bytes
    that the host sent into each access network, or received from it where the transfer is a download."""

    mbit: float
    seconds: float
    access_bytes: dict[str, int]
    ue: list[Subflow]
    mcps: dict[str, list[Subflow]]
    counted: dict[str, CounterChanges]
    sessions: list[dict[str, Any]]
    server: Capture
    error: str = ""
    ports: dict[str, Capture] = field(default_factory=dict)
    host: str = "ue"

    def count(self, host: str, name: str) -> int:
        """The growth of a host's MPTCP counter during the transfer."""
        return self.counted[host][name]


def upload(
    lab: Lab,
    family: int,
    seconds: float,
    host: str = "ue",
    server: str = "server",
    kind: str = "upload",
    port: int = 0,
    target: str = "",
    **order: Any,
) -> Transfer:
    """Upload over MPTCP from `host` to `server`, or run another kind of streams.KINDS, and collect the evidence.

    `port`: 0 stands for the plan's first service. `target`: "" stands for the server's first address of that family.
    `order`: further parts of the order to the host's agent.
    """
    plan = lab.plan
    target = target or address_of(plan.box(server), family)
    at_server = lab.capture_port(plan.box(server).nics[0].peer)
    mcps = [box.name for box in plan.of_kind(Kind.MCP)]
    at_mcps = {box.name: lab.capture_port(box.nics[0].peer) for box in plan.of_kind(Kind.MCP)}
    lab.mark()
    down = kind == "download"
    before = access_bytes(lab, host, down)
    lab.say(f"{kind} of {host} for {seconds:.0f} s over IPv{family}")
    agent = lab.agents[host]
    agent.ask(
        "start",
        name="one",
        kind=kind,
        dst=target,
        port=port or plan.services[0],
        seconds=seconds,
        mptcp=True,
        **order,
    )
    begun = time.monotonic()
    time.sleep(min(SETTLED_S, seconds / 2))
    seen = _listed(lab, host, mcps)
    while not seen.settled and time.monotonic() < begun + seconds - LEFT_S:
        time.sleep(0.1)
        later = _listed(lab, host, mcps)
        if agent.ask("status", name="one")["done"]:
            break
        seen = later
    done = agent.finish("one", seconds + 45)
    after = access_bytes(lab, host, down)
    lab.stop_captures()
    return Transfer(
        mbit=done.get("mbit", 0.0),
        seconds=done.get("seconds", 0.0),
        access_bytes={name: after[name] - before[name] for name in after},
        ue=seen.ue,
        mcps=seen.mcps,
        counted={box.name: lab.counted(box.name) for box in plan.boxes},
        sessions=seen.sessions,
        server=at_server,
        error=done.get("error", ""),
        ports=at_mcps,
        host=host,
    )


class Inventory(NamedTuple):
    """Subflows of host and MCPs and the controller's sessions, all of one moment. `settled`: whether nothing is to come: the
    host fell back to plain TCP, or has a join, and its MCPs and the controller (if it lives) have all that it has."""

    ue: list[Subflow]
    mcps: dict[str, list[Subflow]]
    sessions: list[dict[str, Any]]
    settled: bool


def _listed(lab: Lab, host: str, mcps: Sequence[str]) -> Inventory:
    ue, alive = subflows(lab.host(host)), lab.controller.alive()
    at = {name: subflows(lab.host(name)) for name in mcps}
    sessions = lab.controller.detailed() if alive else []
    fell_back = lab.counted(host)["MPCapableFallbackSYNACK"] > 0
    return Inventory(ue, at, sessions, fell_back or settled(ue, at, sessions if alive else None))


def settled(
    ue: Sequence[Subflow],
    mcps: Mapping[str, Sequence[Subflow]],
    sessions: Sequence[dict[str, Any]] | None,
) -> bool:
    """Whether a host has a join, all of its subflows are established, and MCPs have as many joins of it and the controller
    (where there is one) those very subflows."""
    joins = sum(one.join for one in ue)
    known = None if sessions is None else {flow for session in sessions for flow in flows_of(session)}
    return (
        joins > 0
        and all(one.state == "ESTAB" for one in ue)
        and sum(one.join and one.state == "ESTAB" for rows in mcps.values() for one in rows) >= joins
        and (known is None or {one.flow for one in ue} <= known)
    )


def access_bytes(lab: Lab, name: str = "ue", received: bool = False) -> dict[str, int]:
    """Bytes that a host has sent into each of its access networks (or received from it), by the network's name.

    Where the wire of an interface ends at another host, the name of that end stands in place of the network's name.
    """
    host, box = lab.host(name), lab.plan.box(name)
    links = json.loads(host.pexec("ip -j -s link show")[0])
    which = "rx" if received else "tx"
    counted = {link["ifname"]: link["stats64"][which]["bytes"] for link in links}
    by_port = {port: access.name for access in lab.plan.accesses for port in access.ports}
    return {by_port.get(nic.peer, nic.peer): counted[host.interface(n)] for n, nic in enumerate(box.nics)}


def off_then_on(plan: Plan, family: int, options: Options, report: Report) -> None:
    """The demo: the same upload twice, first with natural routing only, then with steering."""
    seconds = options.seconds or SECONDS
    access = min(nic.mbit or 0.0 for nic in plan.box("ue").nics)
    chosen = plan.points[0].name
    with running(plan, options.say, options.without, options.keep) as lab:
        lab.start_services()
        options.say("controller with steering off")
        lab.start_controller(("steering",))
        warm_up(lab, family)
        off = upload(lab, family, seconds)
        lab.controller.stop()
        options.say("controller with steering on")
        lab.start_controller(options.without)
        warm_up(lab, family)
        on = upload(lab, family, seconds)
        if options.prompt:
            lab.command_line()
        _tabulate(report, plan, off, on)
        check_off(report, off, access)
        check_on(report, on, access, chosen, address_of(plan.box("ue"), family))


def warm_up(lab: Lab, family: int) -> None:
    """Have all neighbours found before anything is measured: no check is about the time that this takes."""
    target = address_of(lab.plan.box("server"), family)
    lab.agents["ue"].ask("ping", dst=target, count=5)


def check_off(report: Report, off: Transfer, access: float) -> None:
    """Check natural routing: the server declines MPTCP, and one access carries everything."""
    report.equal("off: the transfer succeeds", "", off.error)
    report.rate(
        "off: goodput of one access",
        0.6 * access <= off.mbit <= 1.05 * access,
        f"{0.6 * access:.0f} to {1.05 * access:.0f} Mbit/s",
        f"{off.mbit:.1f} Mbit/s",
    )
    report.equal(
        "off: the server's SYN/ACK declined MPTCP", 1, off.count("ue", "MPCapableFallbackSYNACK"), "kernel"
    )
    report.equal(
        "off: MP_CAPABLE SYNs at any MCP", 0, sum(off.count(m, "MPCapableSYNRX") for m in off.mcps), "kernel"
    )


def check_on(report: Report, on: Transfer, access: float, chosen: str, ue_address: str) -> None:
    """Check steering by the views of kernel, capture and REST."""
    report.equal("on: the transfer succeeds", "", on.error)
    report.rate(
        "on: goodput over one access",
        on.mbit >= GAIN * access,
        f"at least {GAIN * access:.0f} Mbit/s",
        f"{on.mbit:.1f} Mbit/s",
    )
    check_pinned(report, on, chosen)
    data = [s for s in on.server.segments() if s.length > 0]
    report.equal(
        "on: the server's data segments with an MPTCP option",
        0,
        sum(bool(s.options) for s in data),
        "capture",
    )
    report.expect(
        "on: data reaches the server from the host's own address",
        bool(data) and {s.flow.src for s in data if s.flow.dport == 5001} == {ue_address},
        ue_address,
        sorted({s.flow.src for s in data if s.flow.dport == 5001}),
        "capture",
    )
    begun = [s for seen in (on.ports[chosen], on.server) for s in seen.segments() if s.syn]
    report.equal(
        "on: legs, told apart by their first sequence numbers",
        2,
        len({s.sequence for s in begun if JOIN not in s.options}),
        "capture",
    )
    paths = sorted(s["path"] for session in on.sessions for s in session["subflows"])
    report.equal(
        "on: one subflow on its natural path, one redirected", ["natural", "redirected"], paths, "REST"
    )


def check_pinned(report: Report, on: Transfer, chosen: str, label: str = "on") -> None:
    """Check that every join of the one session is at the MCP that has its key, and at no other MCP."""
    others = [name for name in on.mcps if name != chosen]
    sent, accepted = on.count(on.host, "MPJoinSynTx"), on.count(on.host, "MPJoinSynAckRx")
    report.expect(
        f"{label}: joins sent and answered",
        sent == accepted >= 1,
        "as many, and at least one",
        f"{sent} sent, {accepted} answered",
        "kernel",
    )
    report.equal(
        f"{label}: joins completed at {chosen}", max(1, sent), on.count(chosen, "MPJoinAckRx"), "kernel"
    )
    report.equal(
        f"{label}: joins at other MCPs", 0, sum(on.count(m, "MPJoinSynRx") for m in others), "kernel"
    )
    report.equal(
        f"{label}: joins captured at {chosen}", max(1, sent), len(_syns(on.ports[chosen], JOIN)), "capture"
    )
    strays = sum(len(_syns(on.ports[m], kind)) for m in others for kind in (JOIN, CAPABLE))
    report.equal(f"{label}: first segments captured at other MCPs", 0, strays, "capture")
    joins = [s for s in on.ue if s.join]
    keys = {s.own_token for s in on.mcps[chosen] if s.join}
    report.expect(
        f"{label}: tokens at host and MCP",
        bool(joins) and {s.peer_token for s in joins} == keys,
        f"those of {chosen}: {sorted(keys)}",
        sorted({s.peer_token for s in joins}),
        "kernel",
    )
    live = [s for s in on.sessions if s["token"] in keys]
    report.expect(
        f"{label}: the controller has that token at {chosen}",
        len(live) == 1 and live[0]["mcp"] == chosen,
        f"one session at {chosen}",
        [(s["token"], s["mcp"]) for s in on.sessions],
        "REST",
    )
    flows = {flow for session in live for flow in flows_of(session)}
    report.equal(f"{label}: the controller's subflows are the host's", {s.flow for s in on.ue}, flows, "REST")


def _syns(capture: Capture, kind: str) -> list[Any]:
    """SYNs with an MPTCP option, of which TCP may have sent some more than once."""
    return distinct(s for s in capture.segments() if s.syn and kind in s.options)


def _tabulate(report: Report, plan: Plan, off: Transfer, on: Transfer) -> None:
    accesses = [access.name for access in plan.accesses]
    report.table = [
        [
            "steering",
            "goodput",
            "subflows",
            *(f"at {m}" for m in on.mcps),
            "joins refused",
            *(f"sent by {a}" for a in accesses),
            "server sees",
        ]
    ]
    for name, seen in (("off", off), ("on", on)):
        refused = seen.count("ue", "MPJoinSynTx") - seen.count("ue", "MPJoinSynAckRx")
        plain = not any(s.options for s in seen.server.segments() if s.length)
        landed = [str(sum(s.flow.sport in plan.services for s in rows)) for rows in seen.mcps.values()]
        megabytes = [f"{seen.access_bytes[a] / 1e6:.1f} MB" for a in accesses]
        report.table.append(
            [
                name,
                f"{seen.mbit:.1f} Mbit/s",
                str(max(1, len(seen.ue))),
                *landed,
                str(refused),
                *megabytes,
                "plain TCP" if plain else "MPTCP",
            ]
        )
        report.figures[name] = {
            "goodput_mbit": round(seen.mbit, 2),
            "access_bytes": seen.access_bytes,
            "subflows": [[s.flow.src, s.flow.sport, s.join] for s in seen.ue],
            "counters": seen.counted,
        }
