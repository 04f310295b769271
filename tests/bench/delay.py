"""What steering adds to a connection's first SYN, in the off-path lab: real kernel, real switches, real relay.

One host opens MPTCP connections to one server, by turns to a port that the policy has eligible (the SYN goes
up to the controller and then to the MCP, whose kernel answers) and to one that it has not (no rule punts it: it
takes the natural path). The time from SYN to SYN/ACK is read from a capture at the host's own interface.
"""

import dataclasses
import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

ELIGIBLE, NATURAL = 5001, 5002
POLICY = f'policy: 1\neligible: {{ports: ["{ELIGIBLE}"]}}\n'
GAP = 0.01  # seconds between connections
SETTLE = 2.0  # seconds in which late segments still come
WARM_UP = 10  # connections of each kind that are not counted: neighbours, caches


class DelayError(RuntimeError):
    """This machine cannot measure it; one line that says why."""


def measure(connections: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Delays in milliseconds over `connections` of each kind. Raises DelayError."""
    # Without Mininet or root the other benchmarks run all the same.
    from topologies.kit import environment

    try:
        environment.require()
    except environment.NotReady as error:
        raise DelayError(str(error)) from None
    from topologies.kit import lab, records
    from topologies.kit.processes import LabError
    from topologies.kit.report import Progress
    from topologies.networks.off_path import PLAN

    plan = dataclasses.replace(PLAN, services=(ELIGIBLE, NATURAL), policy=POLICY)
    say(f"delay: {connections} steered and {connections} natural connections in the off-path lab")
    try:
        with lab.running(plan, Progress()) as made:
            made.start_services()
            made.start_controller()
            segments = _capture(made, connections)
    except (LabError, records.Busy) as error:
        raise DelayError(str(error)) from None
    return _result(segments)


def _capture(made: Any, connections: int) -> list[Any]:
    """Open them, by turns, and return what the host's first interface saw."""
    from topologies.kit.network import drop_endpoints
    from topologies.kit.plan import address_of
    from topologies.kit.processes import LabError

    host = made.host("ue")
    drop_endpoints(host)  # one subflow each: a join would be a second SYN
    order = {"dst": address_of(made.plan.box("server"), 4), "ports": [ELIGIBLE, NATURAL], "mptcp": True}
    _wait_until_both_answer(made, order)
    made.agents["ue"].ask("open", group="warm", count=2 * WARM_UP, gap=GAP, **order)
    capture = made.capture_host("ue")
    answer = made.agents["ue"].ask("open", group="delay", count=2 * connections, gap=GAP, **order)
    failed = [one["error"] for one in answer["opened"] if "error" in one]
    if failed:
        raise LabError(f"{len(failed)} connections failed, the first with: {failed[0]}")
    time.sleep(SETTLE)
    made.stop_captures()
    return list(capture.segments())


def _wait_until_both_answer(made: Any, order: dict[str, Any]) -> None:
    """The MCPs have to be known before the first connection can be steered."""
    limit = time.monotonic() + 20.0
    while time.monotonic() < limit:
        made.agents["ue"].ask("open", group="first", count=2, **order)
        if made.controller.sessions():
            return
        time.sleep(0.5)


def _result(segments: list[Any]) -> dict[str, Any]:
    """First SYN and first SYN/ACK of each connection."""
    asked: dict[tuple[Any, ...], float] = {}
    answered: dict[tuple[Any, ...], float] = {}
    again = 0
    for segment in segments:
        flow = segment.flow
        if segment.syn:
            key = (flow.src, flow.sport, flow.dst, flow.dport)
            again += key in asked
            asked.setdefault(key, segment.time)
        elif segment.syn_ack:
            answered.setdefault((flow.dst, flow.dport, flow.src, flow.sport), segment.time)
    found: dict[int, list[float]] = {ELIGIBLE: [], NATURAL: []}
    for key, began in asked.items():
        if key in answered and key[3] in found:
            found[key[3]].append((answered[key] - began) * 1000)
    steered, natural = (_spread(found[port]) for port in (ELIGIBLE, NATURAL))
    return {
        "syn_delay_added_p50_ms": round(steered["p50_ms"] - natural["p50_ms"], 3),
        "syn_delay_added_p95_ms": round(steered["p95_ms"] - natural["p95_ms"], 3),
        "steered": steered,
        "natural": natural,
        "syns_sent_again": again,
    }


def _spread(values: list[float]) -> dict[str, Any]:
    if len(values) < 2:
        raise DelayError(f"only {len(values)} connections were answered")
    p95 = quantiles(values, n=20, method="inclusive")[-1]
    return {"connections": len(values), "p50_ms": round(median(values), 3), "p95_ms": round(p95, 3)}
