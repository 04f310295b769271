"""The segment size (draft-nam section 5.6.4, draft-deng section 6.7): the MCP lowers the MSS on both legs, so that a
path with an MTU of 1400 bytes needs no fragments. The policy switches that off and on again while the relay runs.

The narrow link is between the second host and its NAT. The NAT clears DF, like routers that fragment and do not tell
the sender.
"""

from dataclasses import replace
from pathlib import Path

from topologies.kit.captures import frames
from topologies.kit.lab import Lab
from topologies.kit.plan import Box, Kind, Plan, address_of
from topologies.kit.processes import LabError, relay_status
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures.priorities import managed
from topologies.networks.two_mcps import MCPS, POLICY, SERVICES, two_mcps

ROWS = ("D-6.7.5a", "D-6.7.5b", "N-5.6.4")
PATH_MTU, CLAMP, USUAL = 1400, 1360, 1460
SECONDS = 4.0
HEARD_S = 30.0  # for the relays to have what the policy says
CLEAR_DF = (
    "add table ip clear_df",
    "add chain ip clear_df prerouting { type filter hook prerouting priority raw ; }",
    "add rule ip clear_df prerouting ip protocol tcp ip frag-off set 0",
)
FRAGMENTS = "ip.flags.mf == 1 || ip.frag_offset > 0"


def _clamped(clamp: str) -> Plan:
    plan = two_mcps("mss")

    def fit(box: Box) -> Box:
        return replace(box, relay=("--mss-clamp", clamp)) if box.kind is Kind.MCP else box

    return replace(plan, boxes=tuple(fit(box) for box in plan.boxes))


PLAN = _clamped(str(CLAMP))


def run(options: Options, report: Report) -> None:
    """Run the same download three times: with the policy's default, with the mechanism off, and with it on again."""
    plan = _clamped("off") if "clamp" in options.without else PLAN
    with managed(plan, options) as lab:
        ue, nat = lab.host("ue2"), lab.host("nat")
        target = address_of(plan.box("server"), 4)
        lab.agents["ue2"].ask("ping", dst=target, count=3)
        nat.pexec(f"ip link set {nat.interface(0)} mtu {PATH_MTU}")
        for line in CLEAR_DF:
            _, error, status = nat.pexec(f"nft {line}")
            if status:
                raise LabError(f"nat: nft {line}: {error.strip()}")
        report.table = [["avoid_fragmentation", "MSS to the server", "MSS to the host", "fragments"]]
        for avoid in (True, False, True):
            _tell(lab, report, avoid)
            _download(lab, report, avoid, target)
        ping = ue.pexec(f"ping -c 2 -W 2 -s 3000 -I {address_of(plan.box('ue2'), 4)} {target}")[0]
        report.expect("a large ping, fragmented, passes", "2 received" in ping, "2 received", ping[-120:])
        if options.prompt:
            lab.command_line()


def _tell(lab: Lab, report: Report, avoid: bool) -> None:
    version = lab.controller.put_policy(POLICY + f"avoid_fragmentation: {str(avoid).lower()}\n")
    until(lambda: not _deaf(lab, avoid), HEARD_S)
    found = (lab.controller.health()["policy_version"], _deaf(lab, avoid))
    report.equal(
        f"avoid_fragmentation {avoid}: policy in force, and heard by the relays", (version, []), found, "REST"
    )


def _deaf(lab: Lab, avoid: bool) -> list[str]:
    """MCPs whose relays have not heard that avoid_fragmentation is so."""
    return [n for n in MCPS if relay_status(lab.record, n)["agent"]["avoids_fragments"] is not avoid]


def _download(lab: Lab, report: Report, avoid: bool, target: str) -> None:
    how = "on" if avoid else "off"
    lab.say(f"a download over the narrow link, avoid_fragmentation {how}")
    before = _fragmented(lab)
    far, near = lab.capture_host("server"), lab.capture_host("ue2", 1)
    task = {"dst": target, "port": SERVICES[0], "mptcp": True, "seconds": SECONDS}
    agent = lab.agents["ue2"]
    agent.ask("start", name=f"down-{avoid}", kind="download", src=address_of(PLAN.box("ue2"), 4, 1), **task)
    done = agent.finish(f"down-{avoid}", 30)
    lab.stop_captures()
    wanted = CLAMP if avoid else USUAL
    found = frames(near.file, FRAGMENTS)
    to_server = _sizes(
        lab, far.file, f"tcp.flags.syn == 1 && tcp.flags.ack == 0 && tcp.dstport == {SERVICES[0]}"
    )
    to_host = _sizes(
        lab, near.file, f"tcp.flags.syn == 1 && tcp.flags.ack == 1 && tcp.srcport == {SERVICES[0]}"
    )
    report.expect(
        f"{how}: the download succeeds", done.get("bytes", 0) > 500_000, "more than 500,000 bytes",
        done.get("error") or done.get("bytes"),
    )  # fmt: skip
    report.equal(f"{how}: segment size of the MCP's SYN to the server", {wanted}, to_server, "capture")
    report.equal(f"{how}: segment size of the MCP's SYN/ACK to the host", {wanted}, to_host, "capture")
    some = "none" if avoid else "some"
    report.expect(f"{how}: fragments at the host", (found == 0) is avoid, some, found, "capture")
    made = _fragmented(lab) - before
    report.expect(f"{how}: datagrams the router fragmented", (made == 0) is avoid, some, made, "kernel")
    report.table.append([how, str(sorted(to_server)), str(sorted(to_host)), str(found)])


def _sizes(lab: Lab, file: Path, which: str) -> set[int]:
    return {
        size for size in (CLAMP, USUAL) if frames(file, f"({which}) && tcp.options.mss_val == {size}")
    } | ({0} if frames(file, f"({which}) && !(tcp.options.mss_val in {{{CLAMP}, {USUAL}}})") else set())


def _fragmented(lab: Lab) -> int:
    """How many datagrams the NAT had to fragment (its counter FragOKs)."""
    rows = [
        x.split() for x in lab.host("nat").pexec("cat /proc/net/snmp")[0].splitlines() if x.startswith("Ip:")
    ]
    return int(rows[1][rows[0].index("FragOKs")])


SCENARIO = Scenario(
    name="mss",
    figure="draft-nam section 5.6.4",
    rows=ROWS,
    summary="path MTU 1400: no fragments while the MCP lowers the segment size; the policy switches it live",
    plan=PLAN,
    run=run,
    controls=controls(clamp="the relay leaves the segment size as it is"),
)
