"""A host leaves its cell while it has connections. Which connections survive depends on where their MCP is.

The connections are steady echoes: an echo needs both directions, and shows every silence. What was under way on the access
that is gone is sent again by the kernels of both ends, each after its own time-out. The lab gives the host and the MCPs larger
receive buffers before their sockets are made (receive_buffers).
"""

import time
from collections.abc import Mapping
from typing import Any

from topologies.kit.controller import flows_of
from topologies.kit.kernel_counters import FiveTuple, subflows
from topologies.kit.lab import Lab
from topologies.kit.network import add_endpoints
from topologies.kit.plan import address_of
from topologies.kit.report import Report

MBIT = 1.0
STAY_S, OVERLAP_S, AFTER_S = 2.5, 2.0, 6.0
BREAK_S = 2.0  # longest silence in seconds: the two kernels took 0.2 to 1.6 s in 32 runs of lab nanocell


def leave(
    lab: Lab, report: Report, wanted: Mapping[int, tuple[str, str, bool]], old: int = 0, new: int = 1
) -> dict[int, dict[str, Any]]:
    """Open steady connections from `ue`, then add its access `new`, then cut its access `old`.

    `wanted`: service port -> (server, MCP that must serve the connection, whether the connection survives). Returns
    the last status of each connection.
    """
    agent, ue, box = lab.agents["ue"], lab.host("ue"), lab.plan.box("ue")
    seconds = STAY_S + OVERLAP_S + AFTER_S
    lab.mark()
    refused = lab.controller.metric("steering_refusals_total", reason="out-of-reach")
    for port, (server, _, _) in wanted.items():
        target = address_of(lab.plan.box(server), 4)
        order = {"kind": "steady", "dst": target, "port": port, "mbit": MBIT, "seconds": seconds}
        agent.ask("start", name=f"to {port}", mptcp=True, src=address_of(box, 4, old), **order)
    time.sleep(STAY_S)
    _placed(lab, report, wanted, {row.flow for row in subflows(ue)})
    lab.say("the host comes within reach of the next cell, and joins over it")
    add_endpoints(ue, box.nics[new], new)
    time.sleep(OVERLAP_S)
    here = {row.flow.dport for row in subflows(ue) if row.join and row.state == "ESTAB"}
    lives = {port for port, (_, _, life) in wanted.items() if life}
    report.equal("connections that joined over the next cell", lives, here, "kernel")
    lab.say("the host leaves its cell")
    ue.run(f"ip link set {ue.interface(old)} down")
    done = {port: agent.finish(f"to {port}", seconds + 20) for port in wanted}
    for port, (_, mcp, life) in wanted.items():
        _judge(report, f"port {port} at {mcp}", done[port], life)
    breaks = len(wanted) - len(lives)
    now = lab.controller.metric("steering_refusals_total", reason="out-of-reach") - refused
    report.expect(
        "joins refused because their MCP is not within reach of the next cell",
        now >= breaks if breaks else now == 0,
        f"at least {breaks}" if breaks else "0",
        f"{now:.0f}",
        "REST",
    )
    return done


def _placed(
    lab: Lab, report: Report, wanted: Mapping[int, tuple[str, str, bool]], live: set[FiveTuple]
) -> None:
    """Check that each connection is at its MCP, by the controller's account and by the MCPs' kernels.

    `live`: the connections that the host has. The controller may also list some that have just ended.
    """
    ours = {f"{address_of(lab.plan.box(s), 4)}:{port}": m for port, (s, m, _) in wanted.items()}
    rows = [s for s in lab.controller.detailed() if s["server"] in ours and s["token"]]
    report.equal("the MCP of each connection", ours, {s["server"]: s["mcp"] for s in rows}, "REST")
    flows = {flow: s["mcp"] for s in rows for flow in flows_of(s) if flow in live}
    at = {
        row.flow.reversed(): name
        for name in lab.relays
        for row in subflows(lab.host(name))
        if row.state == "ESTAB" and row.flow.reversed() in flows
    }
    report.equal("the same, by the kernels that have the subflows", flows, at, "kernel")


def _judge(report: Report, what: str, done: dict[str, Any], life: bool) -> None:
    empty, gap = done.get("empty_seconds"), done.get("longest_gap_s", float("inf"))
    if life:
        own = done.get("own_gap_s", gap)  # without what this machine was late in it
        report.expect(
            f"{what} lives on: no byte wrong, no long silence",
            not done.get("error") and not done.get("wrong") and own < BREAK_S,
            f"no error, no silence of {BREAK_S:.0f} s",
            f"error '{done.get('error', '')}', {empty} empty seconds, longest silence {gap:.2f} s, own {own:.2f} s",
            "kernel",
        )
    else:
        report.expect(
            f"{what} breaks, as it must",
            bool(done.get("error")),
            "an error",
            f"error '{done.get('error', '')}', {empty} empty seconds",
            "kernel",
        )
