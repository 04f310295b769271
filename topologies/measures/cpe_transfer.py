"""A transfer of a host behind a CPE, captured on every leg from the LAN to the server, and the checks of that chain."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from topologies.kit.captures import CAPABLE, JOIN, Capture, Segment, distinct
from topologies.kit.kernel_counters import CounterChanges, FiveTuple, Subflow, subflows
from topologies.kit.lab import Lab, session_entries
from topologies.kit.plan import Kind, address_of
from topologies.kit.report import Report
from topologies.kit.waiting import until
from topologies.networks.hybrid import CPE, LAN_HOSTS, SERVICE

SETTLED_S = 1.5  # seconds into the transfer at which subflows are listed; later while a join is missing
LEFT_S = 1.0  # seconds before its end after which they are not listed any more
REPEATED = (
    1.1  # most bytes of a leg, as a multiple of the transfer: MPTCP sends some data again on another subflow
)
HALF = 1 << 31  # half of the range of TCP's sequence numbers
GAIN = 1.7  # least rate of two equal accesses, as a multiple of the rate of one
WHOLE = 1.6  # the same for a whole download, including its set-up and its end


@dataclass
class ObservedTransfer:
    """The evidence of one transfer of a LAN host. Counters tell their growth during the transfer."""

    done: dict[str, Any]
    captures: dict[str, Capture]
    counted: dict[str, CounterChanges]
    cpe: list[Subflow] = field(default_factory=list)
    mcp: list[Subflow] = field(default_factory=list)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    entries: int = 0  # session entries in all switches
    gain: float = GAIN  # least rate of the transfer, as a multiple of the rate of one access

    @property
    def mbit(self) -> float:
        """Its goodput in Mbit/s."""
        found: float = self.done.get("mbit", 0.0)
        return found

    def count(self, host: str, name: str) -> int:
        """The growth of a host's MPTCP counter during the transfer."""
        return self.counted[host][name]

    def segments(self, where: str) -> list[Segment]:
        """The segments that were captured at a place."""
        return self.captures[where].segments()


def warm_up(lab: Lab) -> None:
    """Have the neighbours of every leg found before anything is measured."""
    target = address_of(lab.plan.box("server"), 4)
    for nic in (1, 2):
        source = address_of(lab.plan.box("cpe"), 4, nic)
        lab.host("cpe").pexec(f"ping -c 3 -i 0.2 -W 1 -I {source} {target}")
    for host in LAN_HOSTS:
        lab.agents[host].ask("ping", dst=target, count=2)


def observed(lab: Lab, host: str, kind: str, seconds: float) -> ObservedTransfer:
    """Run a transfer of a LAN host by plain TCP, and collect its evidence.

    A download has as many bytes as `GAIN` accesses carry in `seconds`, and the server sends no more than that. So
    nothing is under way when the download is over, and every leg has carried the same bytes.
    """
    lab.say(f"{kind} at {host} for {seconds:.0f} s")
    watch = Watch(lab, host)
    order = {"dst": address_of(lab.plan.box("server"), 4), "port": SERVICE, "seconds": seconds}
    order["bytes"] = int(seconds * GAIN * one_access(lab) * 1e6 / 8)
    task = "fetch" if kind == "download" else kind
    lab.agents[host].ask("start", name=kind, kind=task, **order)
    time.sleep(SETTLED_S)
    until(
        watch.sees_a_join, max(0.0, seconds * GAIN / 2 - SETTLED_S - LEFT_S)
    )  # a download may take no longer
    seen = watch.finish(lab.agents[host].finish(kind, seconds + 45))
    seen.gain = WHOLE if task == "fetch" else GAIN
    return seen


def one_access(lab: Lab) -> float:
    """The rate of one of the CPE's accesses, Mbit/s."""
    return lab.plan.box("cpe").nics[1].mbit or 0.0


class Watch:
    """Captures on every leg of the chain, from now until `finish`."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._lab = lab
        plan = lab.plan
        ports = {access.name: access.ports[0] for access in plan.accesses}
        ports["server"] = plan.box("server").nics[0].peer
        ports |= {box.name: box.nics[0].peer for box in plan.of_kind(Kind.MCP)}
        self._captures = {name: lab.capture_port(port) for name, port in ports.items()}
        self._captures["lan"] = lab.capture_host(host)
        self.looked: dict[str, Any] = {}
        lab.mark()

    def look(self) -> None:
        """List subflows and sessions now, in the middle of a transfer."""
        lab = self._lab
        self.looked = {
            "cpe": subflows(lab.host("cpe")),
            "mcp": [s for box in lab.plan.of_kind(Kind.MCP) for s in subflows(lab.host(box.name))],
            "sessions": [s for s in lab.controller.detailed() if s["subflows"]],
            "entries": session_entries(lab),
        }

    def sees_a_join(self) -> bool:
        """Look, and tell whether CPE and MCP have a join, and the controller a session with it."""
        self.look()
        joined = (any(s.join and s.state == "ESTAB" for s in self.looked[end]) for end in ("cpe", "mcp"))
        return all(joined) and any(len(s["subflows"]) > 1 for s in self.looked["sessions"])

    def finish(self, done: dict[str, Any]) -> ObservedTransfer:
        """End the captures; all the evidence."""
        self._lab.stop_captures()
        counted = {box.name: self._lab.counted(box.name) for box in self._lab.plan.boxes}
        return ObservedTransfer(done, self._captures, counted, **self.looked)


def syns(segments: list[Segment], *kinds: str) -> list[Segment]:
    """SYNs with one of these MPTCP options, of repeated ones the first. Without `kinds`: SYNs without any MPTCP option."""
    return distinct(
        s for s in segments if s.syn and (any(k in s.options for k in kinds) if kinds else not s.options)
    )


def payload(segments: list[Segment], port: int = SERVICE) -> int:
    """Bytes of data to or from a service port. Bytes that TCP sent again count once."""
    spans: dict[FiveTuple, list[tuple[int, int]]] = {}
    for s in segments:
        if s.length and port in (s.flow.sport, s.flow.dport):
            spans.setdefault(s.flow, []).append((s.sequence, s.length))
    return sum(_covered(sent) for sent in spans.values())


def _covered(sent: list[tuple[int, int]]) -> int:
    """Distinct bytes of one direction. `sent`: (sequence number, length) of its segments. Sequence numbers may wrap;
    all of them are less than 2 GiB apart."""
    first = sent[0][0]
    placed = sorted(((number - first + HALF) % (2 * HALF) - HALF, length) for number, length in sent)
    found, end = 0, placed[0][0]
    for start, length in placed:
        found += max(0, start + length - max(start, end))
        end = max(end, start + length)
    return found


def check_dual(
    report: Report, title: str, seen: ObservedTransfer, lab: Lab, mcp: str, path: str = "redirected"
) -> None:
    """K-DUAL: plain TCP in the LAN and at the server, and between the two MCPs one M-session over both accesses."""
    server = address_of(lab.plan.box("server"), 4)
    check_chain(report, title, seen, lab, mcp, (server, server))
    paths = sorted({s["path"] for session in seen.sessions for s in session["subflows"]})
    report.equal(f"{title}: paths of the session's subflows", [path], paths, "REST")


def check_chain(
    report: Report,
    title: str,
    seen: ObservedTransfer,
    lab: Lab,
    mcp: str,
    to: tuple[str, str],
    port: int = SERVICE,
) -> None:
    """K-DUAL for any way in which a CPE finds its MCP: the first subflow is opened to `to[0]`, joins go to `to[1]`."""
    plan = lab.plan
    server, wans = address_of(plan.box("server"), 4), [address_of(CPE, 4, nic) for nic in (1, 2)]
    accesses = [access.name for access in plan.accesses]
    report.equal(f"{title}: the transfer succeeds", "", seen.done.get("error", ""))
    wanted = seen.gain * one_access(lab)
    report.rate(
        f"{title}: goodput over one access",
        seen.mbit >= wanted,
        f"at least {wanted:.0f} Mbit/s",
        f"{seen.mbit:.1f} Mbit/s",
    )
    outside = [s for access in accesses for s in seen.segments(access)]
    first, later = (
        {(s.flow.src, s.flow.dst, s.flow.dport) for s in syns(outside, kind)} for kind in (CAPABLE, JOIN)
    )
    report.expect(
        f"{title}: the CPE opens on {accesses[0]} and joins from {accesses[1]}",
        first == {(wans[0], to[0], port)} and later == {(wans[1], to[1], port)},
        f"MP_CAPABLE {wans[0]} to {to[0]}, MP_JOIN {wans[1]} to {to[1]}, port {port}",
        f"{sorted(first)}, {sorted(later)}",
        "capture",
    )
    report.expect(
        f"{title}: joins sent by the CPE are completed at {mcp}",
        seen.count("cpe", "MPJoinSynTx") == seen.count(mcp, "MPJoinAckRx") >= 1,
        "as many, and at least one",
        f"{seen.count('cpe', 'MPJoinSynTx')} sent, {seen.count(mcp, 'MPJoinAckRx')} completed",
        "kernel",
    )
    keys = {s.own_token for s in seen.mcp if s.join}
    report.expect(
        f"{title}: CPE, {mcp} and controller have one token",
        bool(keys)
        and {s.peer_token for s in seen.cpe if s.join} == keys == {s["token"] for s in seen.sessions},
        f"those of {mcp}: {sorted(keys)}",
        f"{sorted({s.peer_token for s in seen.cpe if s.join})}, {[s['token'] for s in seen.sessions]}",
        "REST",
    )
    for where in ("lan", "server"):
        told = sum(bool(s.options) for s in seen.segments(where))
        report.equal(f"{title}: segments with an MPTCP option at the {where}", 0, told, "capture")
    peers = {
        a for s in seen.segments("lan") for a in (s.flow.src, s.flow.dst) if not a.startswith("192.168.")
    }
    report.equal(f"{title}: whom the LAN's host talks to", {server}, peers, "capture")
    begun = [s for where in ("lan", *accesses, "server") for s in syns(seen.segments(where), CAPABLE)]
    begun += [s for where in ("lan", "server") for s in syns(seen.segments(where)) if s.flow.dport == SERVICE]
    report.equal(
        f"{title}: legs, told apart by their first sequence numbers",
        3,
        len({s.sequence for s in begun}),
        "capture",
    )
    check_bytes(report, title, seen, accesses, port)
    check_overhead(report, title, outside, seen.segments(mcp), mcp)


def check_bytes(
    report: Report, title: str, seen: ObservedTransfer, accesses: Sequence[str], port: int = SERVICE
) -> None:
    """S-F2: every leg carries the payload and nothing else. The middle leg (to `port`) carries it over both
    accesses."""
    sent = seen.done.get("bytes", 0)
    legs = {name: payload(seen.segments(name)) for name in ("lan", "server")}
    each = [payload(seen.segments(access), port) for access in accesses]
    middle = sum(each)
    report.expect(
        f"{title}: payload on each leg",
        sent > 0 and all(sent <= leg <= REPEATED * sent for leg in (legs["lan"], middle, legs["server"])),
        f"the {sent / 1e6:.1f} MB of the transfer on each",
        f"lan {legs['lan'] / 1e6:.1f}, accesses {middle / 1e6:.1f}, server {legs['server'] / 1e6:.1f} MB",
        "capture",
    )
    share = min(each) / middle if middle else 0.0
    report.expect(f"{title}: share of the lesser access", share > 0.1, "over 10 %", f"{share:.0%}", "capture")


def check_overhead(
    report: Report, title: str, outside: Sequence[Segment], at_mcp: Sequence[Segment], mcp: str
) -> None:
    """S-19: all packets that the CPE sent and the network steered to the MCP arrive there, and no packet has grown."""
    sent = {_same(s): s.size for s in outside}
    wans = {address_of(CPE, 4, nic) for nic in (1, 2)}
    came = [s for s in at_mcp if s.flow.src in wans and s.options]
    added = {s.size - sent.get(_same(s), 0) for s in came}
    report.equal(f"{title}: bytes added to what is steered to {mcp}", {0}, added, "capture")


def _same(segment: Segment) -> tuple[object, ...]:
    return segment.flow, segment.sequence, segment.length, segment.flags, segment.raw_options
