"""Which MCP every subflow of many sessions reached, by three views: of kernels, of captures and of the controller.

Each view is collected and judged by itself. None takes the answer of another for granted.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from topologies.kit.captures import CAPABLE, JOIN, Segment
from topologies.kit.controller import flows_of
from topologies.kit.kernel_counters import FiveTuple, Subflow
from topologies.kit.report import Report


@dataclass
class KernelView:
    """`pinned`: sessions whose two subflows are at one MCP, by that MCP. `wrong`: a line for each session where they
    are not."""

    pinned: dict[str, list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )  # MCP -> tokens of its sessions
    wrong: list[str] = field(default_factory=list)
    flows: set[FiveTuple] = field(default_factory=set)


def kernel_view(
    hosts: Mapping[str, Sequence[Subflow]], mcps: Mapping[str, Sequence[Subflow]], services: Iterable[int]
) -> KernelView:
    """Match the hosts' subflows with those of the MCPs: by token, and by 5-tuple where no NAT stands between them.

    A host lists its own token on all subflows of a session, and the MCP's token on the later ones only.
    """
    view = KernelView()
    served = set(services)
    at: dict[str, dict[str, list[Subflow]]] = defaultdict(lambda: defaultdict(list))
    for name, rows in mcps.items():
        for row in rows:
            if row.flow.sport in served and row.state == "ESTAB":
                at[row.own_token][name].append(row)
                view.flows.add(row.flow.reversed())
    homes = {
        row.flow.reversed(): (name, token)
        for token, by in at.items()
        for name, rows in by.items()
        for row in rows
    }
    for host, rows in hosts.items():
        sessions: dict[str, list[Subflow]] = defaultdict(list)
        for row in rows:
            view.flows.add(row.flow)
            if row.state == "ESTAB":
                sessions[row.own_token].append(row)
        for own, subflows in sessions.items():
            problem = _judge(subflows, homes, at, view)
            if problem:
                view.wrong.append(f"{host} {own}: {problem}")
    return view


def _judge(
    subflows: list[Subflow],
    homes: Mapping[FiveTuple, tuple[str, str]],
    at: Mapping[str, Mapping[str, list[Subflow]]],
    view: KernelView,
) -> str:
    initial = [s for s in subflows if not s.join]
    joins = [s for s in subflows if s.join]
    if len(initial) != 1 or len(joins) != 1:
        return f"{len(initial)} initial and {len(joins)} later subflows"
    home = homes.get(initial[0].flow)
    if home is None:
        return f"no MCP has its initial subflow {initial[0].flow}"
    name, token = home
    if joins[0].peer_token != token:
        return f"its join carries {joins[0].peer_token}, its MCP {name} has {token}"
    where = {mcp: len(rows) for mcp, rows in at[token].items()}
    if where != {name: 2}:
        return f"subflows by MCP {where}, wanted two at {name}"
    view.pinned[name].append(token)
    return ""


@dataclass
class CaptureView:
    """The view of captures: first segments at access ports, segments at MCP ports, and segments on natural links."""

    steered: set[FiveTuple] = field(default_factory=set)
    natural: set[FiveTuple] = field(default_factory=set)
    joins: int = 0
    mispinned: list[str] = field(default_factory=list)
    undelivered: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    natural_seen: int = 0
    natural_at_mcps: int = 0


def capture_view(
    access: Iterable[Segment], mcps: Mapping[str, Sequence[Segment]], links: Iterable[Segment]
) -> CaptureView:
    """Segments of captures: `access` at access ports (behind any NAT), `mcps` at MCP ports, `links` on natural
    links."""
    view = CaptureView()
    wanted: dict[FiveTuple, str] = {}
    for segment in access:
        if segment.syn and segment.options:
            view.steered.add(segment.flow)
            if JOIN in segment.options:
                wanted[segment.flow] = segment.token
        elif segment.syn:
            view.natural.add(segment.flow)
    view.joins = len(wanted)
    keeper: dict[str, str] = {}
    came: dict[FiveTuple, set[str]] = defaultdict(set)
    for name, segments in mcps.items():
        for segment in segments:
            if segment.syn_ack and CAPABLE in segment.options and segment.key:
                # An MCP's port also shows the server's answers. No host ever joins with the token of a server's key.
                keeper.setdefault(token_of(segment.key), name)
            elif segment.syn and JOIN in segment.options:
                came[segment.flow].add(name)
            elif segment.flow in view.natural or segment.flow.reversed() in view.natural:
                view.natural_at_mcps += 1
    for flow, token in wanted.items():
        home = keeper.get(token)
        if came[flow] - {home or ""}:
            view.mispinned.append(f"{flow} token {token} of {home} came to {sorted(came[flow])}")
        elif not came[flow]:
            view.undelivered.append(f"{flow} token {token} of {home}")
    seen: set[FiveTuple] = set()
    for segment in links:
        flow, back = segment.flow, segment.flow.reversed()
        if flow in view.steered or back in view.steered or (segment.syn and JOIN in segment.options):
            view.leaked.append(f"{flow} flags {segment.flags:#x} length {segment.length}")
        elif flow in view.natural:
            seen.add(flow)
    view.natural_seen = len(seen)
    return view


def token_of(key: str) -> str:
    """The token of a key of MPTCP version 1 (RFC 8684 section 3.2). Key and token are in hex."""
    return hashlib.sha256(bytes.fromhex(key)).hexdigest()[:8]


def judge_kernel(
    report: Report,
    view: KernelView,
    sessions: int,
    counted: Mapping[str, Mapping[str, int]],
    hosts: Sequence[str],
    mcps: Sequence[str],
) -> None:
    """Judge the kernels' view, which is tokens and counters: so many sessions, each with one join at its MCP."""
    report.equal(
        "mis-pinned or missing joins",
        [],
        view.wrong[:5] + [f"... {len(view.wrong)}"] * (len(view.wrong) > 5),
        "kernel",
    )
    report.equal(
        "sessions with both subflows at one MCP", sessions, sum(map(len, view.pinned.values())), "kernel"
    )
    report.expect(
        "every MCP has some of them",
        all(view.pinned[m] for m in mcps),
        "more than 0 each",
        {m: len(view.pinned[m]) for m in mcps},
        "kernel",
    )
    sent = sum(counted[h]["MPJoinSynTx"] for h in hosts)
    answered = sum(counted[h]["MPJoinSynAckRx"] for h in hosts)
    arrived = sum(counted[m]["MPJoinSynRx"] for m in mcps)
    completed = sum(counted[m]["MPJoinAckRx"] for m in mcps)
    unknown = sum(counted[m]["MPJoinNoTokenFound"] for m in mcps)
    report.equal("joins sent, answered, completed", (sessions,) * 3, (sent, answered, completed), "kernel")
    report.expect("joins arrived at MCPs", arrived >= sessions, f"at least {sessions}", arrived, "kernel")
    report.equal("joins that came to an MCP without their token", 0, unknown, "kernel")


def judge_capture(report: Report, view: CaptureView, sessions: int, natural: int) -> None:
    """Judge the captures' view: the token of every join belongs to the MCP that it reached, and no steered segment is
    on a natural link."""
    report.equal("joins captured at access ports", sessions, view.joins, "capture")
    report.equal("joins captured at an MCP whose key is another", [], view.mispinned[:5], "capture")
    report.equal("joins that came to no MCP", [], view.undelivered[:5], "capture")
    report.expect(
        "segments of steered 5-tuples on natural links",
        not view.leaked,
        "0",
        f"{len(view.leaked)} {view.leaked[:3] if view.leaked else ''}".strip(),
        "capture",
    )
    report.expect(
        "plain connections on natural links",
        view.natural_seen >= natural,
        f"at least {natural}",
        view.natural_seen,
        "capture",
    )
    report.equal("segments of plain connections at MCPs", 0, view.natural_at_mcps, "capture")


def judge_rest(report: Report, sessions: Sequence[dict[str, Any]], kernel: KernelView) -> None:
    """Judge the controller's account: it agrees with the kernels' view, by tokens and by 5-tuples."""
    account = {session["token"]: session for session in sessions}
    different: list[str] = []
    for name, tokens in kernel.pinned.items():
        for token in tokens:
            session = account.get(token)
            if session is None or session["mcp"] != name or len(session["subflows"]) != 2:
                seen = session and (session["mcp"], len(session["subflows"]))
                different.append(f"{token} at {name}: the controller says {seen}")
    report.equal("sessions of which the controller says otherwise", [], different[:5], "REST")
    # Behind a NAT, a subflow has another 5-tuple at its host than in the network. The MCP sees that of the network.
    unknown = {flow for s in sessions for flow in flows_of(s) if s["state"] == "established"} - kernel.flows
    report.equal(
        "5-tuples of the controller that no MCP or host has", [], sorted(map(str, unknown))[:5], "REST"
    )
