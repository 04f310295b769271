"""Network access type information and offload act on live subflows, for two classes of subscribers at once.

The off-path network with two hosts that begin on WLAN and join from LTE. `ue` is a home, and gets only the cheaper
network while that is available. `office` is a business, and gets both (draft-deng sections 1, 3.2, 6.3e).
"""

import time
from dataclasses import replace

from topologies.kit.lab import Lab
from topologies.kit.plan import Attachment, Box, Kind, Nic, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.priorities import WatchedTransfer, cable, expect_priority, expect_wanted, managed
from topologies.networks.off_path import ACCESS_MBIT
from topologies.networks.off_path import PLAN as OFF_PATH

CLASSES, TYPES, OFFLOAD = 5001, 5002, 5003
UE_WLAN_PORT = "s2:1"
STEP_S = 4.0  # seconds between two changes: of these an MP_PRIO on a busy machine takes one or two
STOPPED_S = 0.8  # seconds after an MP_PRIO in which the last data of the host arrives
MOVED = 500_000  # bytes that a subflow in use carries in a step, at least
POLICY = """\
policy: 1
classes: [{name: business}]
subscribers:
  - {id: house-1, prefixes: [10.1.0.2/32, 10.2.0.2/32]}
  - {id: office-1, class: business, prefixes: [10.1.0.3/32, 10.2.0.3/32]}
rules:
  - {name: business, when: {class: business}, then: {usage_mode: native}}
  - {name: cheapest-first, then: {usage_mode: active-backup, pooling: {preferred: [fixed, wlan, cellular]}}}
"""

ROWS = ("D-1.u2", "D-3.2b", "D-3.2d", "D-5.1f", "D-6.3.0", "D-6.3e", "N-0.a", "N-5.6.2c")


def _host(name: str, number: int, port: int) -> Box:
    nics = (
        Nic(f"s2:{port}", (f"10.2.0.{number}/24",), ACCESS_MBIT),
        Nic(f"s1:{port}", (f"10.1.0.{number}/24",), ACCESS_MBIT),
    )
    return Box(name, Kind.DUAL, nics)


PLAN = replace(
    OFF_PATH,
    name="access-type",
    boxes=(_host("ue", 2, 1), _host("office", 3, 5), *(b for b in OFF_PATH.boxes if b.name != "ue")),
    accesses=(
        Attachment("lte", ("10.1.0.0/24", "fd00:1::/64"), ("s1:1", "s1:5"), "cellular"),
        Attachment("wlan", ("10.2.0.0/24", "fd00:2::/64"), ("s2:1", "s2:5"), "wlan"),
    ),
    services=(CLASSES, TYPES, OFFLOAD),
    policy=POLICY,
)


def run(options: Options, report: Report) -> None:
    """Check classes, then access types, then an offload and its end."""
    with managed(PLAN, options) as lab:
        target = address_of(PLAN.box("server"), 4)
        for name in ("ue", "office"):
            lab.agents[name].ask("ping", dst=target, count=5)
        for part in (classes, types, offload):
            options.say(part.__doc__ or "")
            part(lab, report)
        if options.prompt:
            lab.command_line()


def classes(lab: Lab, report: Report) -> None:
    """two classes: the house gets WLAN until its cable is pulled, the business both"""
    house, office = WatchedTransfer(lab, "ue"), WatchedTransfer(lab, "office")
    for seen in (house, office):
        seen.upload(CLASSES, 6.0)
    time.sleep(3.0)
    cut = time.time()
    cable(lab, UE_WLAN_PORT, False)
    done = [seen.finish(CLASSES).get("error") for seen in (house, office)]
    lab.stop_captures()
    cable(lab, UE_WLAN_PORT, True)
    report.equal("classes: both transfers succeed", [None, None], done)
    joined = house.joined("lte", CLASSES, 0.0)
    told = expect_priority(report, "classes: house", house, "lte", CLASSES, joined, True)
    waiting = house.sent_anew("lte", CLASSES, told + STOPPED_S, cut)
    report.equal("classes: house's data bytes on LTE while WLAN works", 0, waiting, "capture")
    slipped = house.sent("lte", CLASSES, 0, told + STOPPED_S)
    after = house.sent("lte", CLASSES, cut)
    report.expect(
        "classes: house's data bytes on LTE after the cut", after > MOVED, f"> {MOVED}", after, "capture"
    )
    both = {name: office.sent(name, CLASSES, 0) for name in ("lte", "wlan")}
    least = min(both.values()) / max(1, sum(both.values()))
    report.expect("classes: office's lesser access's part", least > 0.1, "> 10 %", f"{least:.0%}", "capture")
    report.figures["classes"] = {"slipped": slipped, "after_cut": after, "office": both}


def types(lab: Lab, report: Report) -> None:
    """access types: LTE is told to be WLAN and cellular again, then the house has an order of its own"""
    ctl, path = lab.controller, "/v1/access-networks/lte"
    joins = _joined(lab)
    seen = WatchedTransfer(lab, "ue")
    seen.upload(TYPES, 4 * STEP_S + 6)
    expect_wanted(lab, report, "types: at first", TYPES, {"lte": "backup", "wlan": "active"})
    time.sleep(STEP_S)
    as_wlan = time.time()
    first, _ = ctl.ask("PUT", path, {"type": "wlan", "trust": "operator", "sequence": 1})
    expect_wanted(lab, report, "types: LTE is WLAN", TYPES, {"lte": "active", "wlan": "active"})
    kinds = {s["access_type"] for one in ctl.detailed() for s in one["subflows"] if s["dport"] == TYPES}
    report.equal("types: the record has the new type", {"wlan"}, kinds, "REST")
    stale, _ = ctl.ask("PUT", path, {"type": "cellular", "trust": "operator", "sequence": 1})
    report.equal("types: update 1, and update 1 again", (200, 409), (first, stale), "REST")
    time.sleep(STEP_S)
    as_cellular = time.time()
    ctl.ask("PUT", path, {"type": "cellular", "trust": "operator", "sequence": 2})
    time.sleep(STEP_S)
    known = ctl.get("/v1/subscribers")["subscribers"]
    whose = next((s["id"] for s in known if s["class"] == "default"), "nobody")
    ordered = time.time()
    update = {"preferred": ["cellular", "wlan"], "sequence": 1}
    answers = [ctl.ask("PUT", f"/v1/subscribers/{whose}/access", update)[0] for _ in (1, 2)]
    report.equal("types: the subscriber's update, and the same again", [200, 409], answers, "REST")
    done = seen.finish(TYPES)
    ended = time.time()
    lab.stop_captures()
    report.equal("types: the transfer succeeds", None, done.get("error"))
    report.expect("types: joins at the MCP", (n := _joined(lab) - joins) == 1, 1, n, "kernel")
    on = expect_priority(report, "types: LTE is WLAN", seen, "lte", TYPES, as_wlan, False)
    off = expect_priority(report, "types: LTE is cellular", seen, "lte", TYPES, as_cellular, True)
    _carries(report, "types: LTE as WLAN", seen, "lte", TYPES, on, as_cellular)
    _waits(report, "types: LTE as cellular", seen, "lte", TYPES, off, ordered)
    expect_priority(report, "types: own order", seen, "lte", TYPES, ordered, False)
    off = expect_priority(report, "types: own order", seen, "wlan", TYPES, ordered, True)
    _waits(report, "types: WLAN by own order", seen, "wlan", TYPES, off, ended)
    ctl.ask("PUT", f"/v1/subscribers/{whose}/access", {"sequence": 2})


def _joined(lab: Lab) -> int:
    """Joins that MCPs have accepted so far."""
    return sum(lab.counted(box.name)["MPJoinAckRx"] for box in PLAN.of_kind(Kind.MCP))


def offload(lab: Lab, report: Report) -> None:
    """offload: what goes by LTE moves to WLAN, and the other way"""
    seen = WatchedTransfer(lab, "office")
    seen.upload(OFFLOAD, 3 * STEP_S + 1)
    time.sleep(STEP_S)
    there = time.time()
    lab.controller.ask("POST", "/v1/offload", {"from": "lte", "to": "wlan"})
    time.sleep(STEP_S)
    back = time.time()
    lab.controller.ask("POST", "/v1/offload", {"from": "wlan", "to": "lte"})
    expect_wanted(lab, report, "offload: back", OFFLOAD, {"lte": "active", "wlan": "backup"})
    done = seen.finish(OFFLOAD)
    ended = time.time()
    lab.stop_captures()
    lab.controller.ask("POST", "/v1/offload", {"from": "wlan", "to": None})
    report.equal("offload: the transfer succeeds", None, done.get("error"))
    off = expect_priority(report, "offload: there", seen, "lte", OFFLOAD, there, True)
    _waits(report, "offload: LTE there", seen, "lte", OFFLOAD, off, back)
    _carries(report, "offload: WLAN there", seen, "wlan", OFFLOAD, there, back)
    on = expect_priority(report, "offload: back", seen, "lte", OFFLOAD, back, False)
    off = expect_priority(report, "offload: back", seen, "wlan", OFFLOAD, back, True)
    _carries(report, "offload: LTE back", seen, "lte", OFFLOAD, on, ended)
    _waits(report, "offload: WLAN back", seen, "wlan", OFFLOAD, off, ended)


def _waits(
    report: Report, what: str, seen: WatchedTransfer, access: str, port: int, since: float, until: float
) -> None:
    sent = seen.sent_anew(access, port, since + STOPPED_S, until)
    report.equal(f"{what}: data bytes", 0, sent, "capture")


def _carries(
    report: Report, what: str, seen: WatchedTransfer, access: str, port: int, since: float, until: float
) -> None:
    sent = seen.sent(access, port, since, until)
    report.expect(f"{what}: data bytes", sent > MOVED, f"> {MOVED}", sent, "capture")


SCENARIO = Scenario(
    name="access-type",
    figure="draft-deng sections 3.2 and 6.3e",
    rows=ROWS,
    summary="two classes, access types, a subscriber's order and an offload, acting on live subflows",
    plan=PLAN,
    run=run,
    controls=controls(agent="the MCP is not told what policy wants of live subflows"),
)
