"""Two access networks at one switch port, and the gateway at another, each with a VLAN tag of its own (IEEE 802.1Q).

LTE is tag 20 and WLAN tag 30 of s1:1, the gateway tag 100 of s4:1. Tag 40 belongs to no attachment: packets with it are dropped at
s1 and counted.
"""

import time
from dataclasses import replace

from topologies.kit import kernel_counters
from topologies.kit.captures import frames
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.vlans import has_vlan_interfaces, remove_trunk, trunk
from topologies.kit.waiting import until
from topologies.measures import aggregation
from topologies.networks import off_path

ROWS = ("D-F3", "D-1.a")
LTE, WLAN, NOBODY, UPLINK = 20, 30, 40, 100
ACCESS, GATEWAY = "s1:1", "s4:1"
TAGGED = {ACCESS: {"ue:0": LTE, "ue:1": WLAN, "stranger:0": NOBODY}, GATEWAY: {"server:0": UPLINK}}
SECONDS, LEFT_S = 5.0, 1.0  # of the download, and before its end when subflows are listed at last
PINGS = 5


def _plan(shift: int) -> Plan:
    """The site file's tags are those of the access switches, or others by `shift`."""
    plan = off_path.PLAN
    places = {"ue": ("s1:5", "s1:6"), "server": ("s4:5",)}

    def moved(box: Box) -> Box:
        nics = zip(box.nics, places.get(box.name, [nic.peer for nic in box.nics]), strict=True)
        return replace(box, nics=tuple(replace(nic, peer=peer) for nic, peer in nics))

    def at(attachment: Attachment, port: str, tag: int) -> Attachment:
        return replace(attachment, ports=(f"{port}.{tag + shift}",))

    lte, wlan = plan.accesses
    return replace(
        plan,
        name="vlans",
        boxes=(*map(moved, plan.boxes), Box("stranger", Kind.PLAIN, (Nic("s1:7", ("10.1.0.9/24",)),))),
        accesses=(at(lte, ACCESS, LTE), at(wlan, ACCESS, WLAN)),
        gateways=(at(plan.gateways[0], GATEWAY, UPLINK),),
    )


PLAN = _plan(0)


def run(options: Options, report: Report) -> None:
    """Run a download over both tags, then send packets with a tag of no attachment."""
    plan = _plan(1) if "tags" in options.without else PLAN
    with running(plan, options.say, options.without, options.keep) as lab:
        report.environment["tagged_by"] = "802.1Q interfaces" if has_vlan_interfaces() else "access ports"
        try:
            for port, tags in TAGGED.items():
                trunk(lab, port, tags)
            lab.start_services()
            lab.start_controller(options.without)
            _download(lab, report)
            _nobodys(lab, report)
            if options.prompt:
                lab.command_line()
        finally:
            for port in TAGGED:
                remove_trunk(lab, port)


def _download(lab: Lab, report: Report) -> None:
    plan, ue = lab.plan, lab.agents["ue"]
    aggregation.warm_up(lab, 4)
    what = "tcp or (vlan and tcp)"
    trunks = [lab.capture_port(port, what) for port in TAGGED]
    inside = lab.capture_port("s3:1", what)
    lab.mark()
    order = {"dst": address_of(plan.box("server"), 4), "port": plan.services[0], "seconds": SECONDS}
    ue.ask("start", name="down", kind="download", mptcp=True, **order)
    time.sleep(SECONDS / 2)
    until(
        lambda: (
            lab.counted("core")["MPJoinAckRx"] > 0
            and any(len(one["subflows"]) == 2 for one in lab.controller.detailed())
        ),
        SECONDS / 2 - LEFT_S,
    )
    subflows = kernel_counters.subflows(lab.host("ue"))
    sessions = lab.controller.detailed()
    done = ue.finish("down", SECONDS + 30)
    counted = lab.counted("core")
    lab.stop_captures()
    report.equal("the download's error", "", done.get("error", ""))
    report.equal("subflows of the host", 2, len(subflows), "kernel")
    report.equal("joins completed at the MCP", 1, counted["MPJoinAckRx"], "kernel")
    led = [(one["mcp"], len(one["subflows"])) for one in sessions]
    report.equal("MCP and subflows of the session", [("core", 2)], led, "REST")
    access, gateway = (capture.file for capture in trunks)
    for name, file, tag in (("LTE", access, LTE), ("WLAN", access, WLAN), ("the gateway", gateway, UPLINK)):
        for way, more in (
            ("to", f"tcp.srcport == {order['port']}"),
            ("from", f"tcp.dstport == {order['port']}"),
        ):
            seen = frames(file, f"vlan.id == {tag} && {more}")
            report.expect(f"segments {way} {name} with its tag", seen > 0, "some", seen, "capture")
    for name, file in (("access", access), ("gateway", gateway)):
        report.equal(
            f"segments without a tag at the {name}'s trunk", 0, frames(file, "tcp && !vlan"), "capture"
        )
    report.equal("segments with a tag at the MCP", 0, frames(inside.file, "vlan"), "capture")
    report.figures["mbit"] = done.get("mbit")


def _nobodys(lab: Lab, report: Report) -> None:
    """Check that packets with a tag of no attachment are dropped at the switch where they come in."""
    stranger = address_of(lab.plan.box("stranger"), 4)
    before = lab.controller.metric("steering_tags_refused_total", switch="s1")
    leaving = lab.capture_port("s1:2", f"host {stranger} or arp")
    host = lab.host("stranger")
    host.pexec("ip neigh replace 10.1.0.1 lladdr 02:53:47:00:00:01 dev stranger-eth0")
    answered = " 0 received" not in host.pexec(f"ping -c {PINGS} -i 0.2 -W 1 10.9.0.2")[0]
    told = lab.controller.settled("steering_tags_refused_total", before + PINGS, 15.0, switch="s1") - before
    lab.stop_captures()
    report.equal("nobody's tag: its pings are answered", False, answered, "kernel")
    report.equal(
        "nobody's tag: its packets beyond the first switch",
        0,
        frames(leaving.file, f"ip.addr == {stranger}"),
        "capture",
    )
    report.expect(
        "nobody's tag: refused packets that are counted",
        told >= PINGS,
        f"{PINGS} or more",
        f"{told:.0f}",
        "REST",
    )


SCENARIO = Scenario(
    name="vlans",
    figure="draft-deng Figure 3",
    rows=ROWS,
    summary="two access networks and a gateway as tags of trunk ports; tags of nobody are refused and counted",
    plan=PLAN,
    run=run,
    controls=controls(tags="the site file names other tags than the trunks have"),
)
