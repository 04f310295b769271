"""Where every subflow of many sessions ended up, told three times: by kernels, by captures, by the controller.

Each view is read on its own and judged on its own; none uses another's answer as its truth.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from topologies.kit.captures import CAPABLE, JOIN, Segment
from topologies.kit.controller import flows_of
from topologies.kit.ground import FiveTuple, Subflow
from topologies.kit.report import Report


@dataclass
class KernelView:
    """`pinned`: sessions whose two subflows are at one MCP, by that MCP; `wrong` says what is not so."""

    pinned: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # MCP -> its tokens
    wrong: list[str] = field(default_factory=list)
    flows: set[FiveTuple] = field(default_factory=set)


def kernel_view(
    hosts: Mapping[str, Sequence[Subflow]], mcps: Mapping[str, Sequence[Subflow]], services: Iterable[int]
) -> KernelView:
    """Match the hosts' subflows with the MCPs' by token, and by 5-tuple where no NAT is between.

    A host lists its own token on all subflows of a session, and the MCP's on the later ones.
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
    """From first segments at access ports, and what was captured at MCP ports and on natural links."""

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
    """`access`: segments at access ports, beyond any NAT; `mcps` at MCP ports; `links` on natural links."""
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
                # An MCP's port also shows the server's answers; a token of those is no host's to use.
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
    """The token of a version 1 key (RFC 8684 section 3.2): both as hex."""
    return hashlib.sha256(bytes.fromhex(key)).hexdigest()[:8]


def judge_kernel(
    report: Report,
    view: KernelView,
    sessions: int,
    counted: Mapping[str, Mapping[str, int]],
    hosts: Sequence[str],
    mcps: Sequence[str],
) -> None:
    """Tokens of `ss` and counters: `sessions` sessions, a join each, all at their MCP."""
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
    """Captures alone: every join's token belongs to the MCP it came to, and natural links stay clean."""
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
    """The controller's own account agrees with the kernels', token by token and 5-tuple by 5-tuple."""
    account = {session["token"]: session for session in sessions}
    different: list[str] = []
    for name, tokens in kernel.pinned.items():
        for token in tokens:
            session = account.get(token)
            if session is None or session["mcp"] != name or len(session["subflows"]) != 2:
                seen = session and (session["mcp"], len(session["subflows"]))
                different.append(f"{token} at {name}: the controller says {seen}")
    report.equal("sessions of which the controller says otherwise", [], different[:5], "REST")
    # A subflow behind a NAT has another 5-tuple at its host than in the network; the MCP's is the network's.
    unknown = {flow for s in sessions for flow in flows_of(s) if s["state"] == "established"} - kernel.flows
    report.equal(
        "5-tuples of the controller that no MCP or host has", [], sorted(map(str, unknown))[:5], "REST"
    )
