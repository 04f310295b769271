"""A CPE's lines change while hosts of the home communicate: a new address, a pulled cable, a dead line that still has
a carrier, and no address at all when the relay starts.

All is measured at applications: a stream notes its longest silence, a connection is opened just after the change, and
the report says whether either got an error.
"""

import signal
import subprocess
import time
from collections.abc import Callable

from topologies.kit import processes
from topologies.kit.captures import JOIN
from topologies.kit.lab import Lab, running
from topologies.kit.plan import first_host
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.cpe_transfer import syns, warm_up
from topologies.measures.home_lines import SECOND, check_noticed, first_answer, observed, uplinks
from topologies.networks.hybrid import off_path

ROWS = ("N-5.2.2.1a", "D-1.c")
PLAN = off_path("line-changes")
RENEWED = "10.1.0.77/24"
BACK_S = 30.0  # seconds in which a line that is well again has to be used
JOINED_S = 10.0  # for the relay to use an address that came


def run(options: Options, report: Report) -> None:
    """Make four changes, one after the other."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        if "apply" in options.without:
            lab.relays["cpe"].end(signal.SIGKILL)
            _start_relay(lab, apply=False)
        if "next-uplink" in options.without:
            lab.relays["cpe"].end()
            _start_relay(lab, uplinks=1)
        lab.start_controller(options.without)
        warm_up(lab)
        for case in (check_renewal, check_cable, check_dead_line, check_no_address):
            case(lab, report)
        if options.prompt:
            lab.command_line()
        report.table = _table(report)


def _start_relay(lab: Lab, uplinks: int = 2, apply: bool = True) -> None:
    host, box = lab.host("cpe"), lab.plan.box("cpe")
    lab.relays["cpe"] = processes.upstream_relay(lab.record, host, uplinks + 1, box.relay, apply)


def _uplink(lab: Lab, number: int) -> str:
    return lab.host("cpe").interface(number)


def _give(lab: Lab, number: int, address: str) -> None:
    """Do what a DHCP client does when it has a lease. The ping tells the network where the address is."""
    name, gateway = _uplink(lab, number), first_host(address)
    lab.host("cpe").run(
        f"ip addr add {address} dev {name}",
        f"ip route replace default via {gateway} dev {name} metric {100 * number}",
    )
    lab.host("cpe").pexec(f"ping -c 1 -i 0.2 -w 3 -I {_bare(address)} {gateway}")


def _await(what: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not (held := what()) and time.monotonic() < until:
        time.sleep(0.1)
    return held


def check_renewal(lab: Lab, report: Report) -> None:
    """Give DSL another address, as DHCP may. Live sessions join from it, and new sessions begin with it."""
    lab.say("DSL gets another address")
    wan = lab.plan.box("cpe").nics[1].addresses[0]
    dsl = lab.capture_port("s1:1")

    def change() -> None:
        lab.host("cpe").run(f"ip -4 addr flush dev {_uplink(lab, 1)}")
        _give(lab, 1, RENEWED)

    seen = observed(lab, change)
    used = _await(lambda: uplinks(lab)[0]["ipv4"] == _bare(RENEWED), JOINED_S)
    lab.stop_captures()
    check_noticed(report, "renewal", seen)
    report.equal("renewal: the relay uses the new address", True, used, "kernel")
    joined_there = any(s.flow.src == _bare(RENEWED) for s in syns(dsl.segments(), JOIN))
    report.equal("renewal: the live session joins from the new address", True, joined_there, "capture")
    sessions = [s for s in lab.controller.detailed() if s["subflows"]]
    report.expect(
        "renewal: sessions of the controller", bool(sessions), "at least one", len(sessions), "REST"
    )
    lab.host("cpe").run(f"ip -4 addr flush dev {_uplink(lab, 1)}")
    _give(lab, 1, wan)
    time.sleep(SECOND)


def _bare(address: str) -> str:
    return address.partition("/")[0]


def check_cable(lab: Lab, report: Report) -> None:
    """Pull DSL's cable in the middle of a stream, and plug it in again."""
    lab.say("DSL's cable is pulled")
    port = lab.interface("s1:1")
    seen = observed(lab, lambda: subprocess.run(["ip", "link", "set", port, "down"], check=True))
    check_noticed(report, "cable", seen)
    subprocess.run(["ip", "link", "set", port, "up"], check=True)
    back = _await(lambda: uplinks(lab)[0]["up"], BACK_S)
    report.equal("cable: the line is used again when it is back", True, back, "kernel")
    time.sleep(SECOND)


def check_dead_line(lab: Lab, report: Report) -> None:
    """Let no answer come by DSL any more while it has a carrier, then let it be well again."""
    lab.say("DSL is dead, with a carrier")
    name, cpe = _uplink(lab, 1), lab.host("cpe")

    def change() -> None:
        cpe.run(
            "nft add table netdev dead",
            f"nft add chain netdev dead in {{ type filter hook ingress device {name} priority 0 ; policy drop ; }}",
        )

    seen = observed(lab, change)
    check_noticed(report, "dead line", seen)
    again, own, error = first_answer(lab)
    report.equal("dead line: the next connection's error", "", error)
    report.expect(
        "dead line: it is remembered, the next connection does not wait",
        own < seen.opened_own_s / 2 or own < SECOND / 5,
        "at once",
        f"{again:.2f} s after {seen.opened_s:.2f} s",
    )
    cpe.run("nft delete table netdev dead")

    def back() -> bool:
        first_answer(lab)
        return not uplinks(lab)[0]["silent"]

    report.equal("dead line: it is used again when it answers", True, _await(back, BACK_S), "kernel")
    report.figures["dead line"]["next_connection_s"] = round(again, 2)


def check_no_address(lab: Lab, report: Report) -> None:
    """Start the relay before any line has an address. It serves as soon as LTE gets one."""
    lab.say("no address at the start")
    wans = [nic.addresses[0] for nic in lab.plan.box("cpe").nics]
    lab.relays["cpe"].end()
    for number in (1, 2):
        lab.host("cpe").run(f"ip -4 addr flush dev {_uplink(lab, number)}")
    _start_relay(lab)
    before, own, error = first_answer(lab)
    report.expect(
        "no address: a connection is told so at once",
        bool(error) and own < SECOND,
        f"an error under {SECOND:g} s",
        f"{error or 'none'} after {before:.2f} s",
    )
    _give(lab, 2, wans[2])
    there = _await(lambda: uplinks(lab)[1]["ipv4"] is not None, JOINED_S)
    report.equal("no address: the one that comes is used", True, there, "kernel")
    opened, own, error = first_answer(lab)
    report.equal("no address: a connection's error when one has come", "", error)
    report.expect(
        "no address: a connection's first answer when one has come",
        own < 2 * SECOND,  # more than a second: the network learns of the host by its first packet
        f"under {2 * SECOND:g} s",
        f"{opened:.2f} s",
    )
    report.figures["no address"] = {"new_connection_s": round(opened, 2), "told_of_an_error": bool(error)}


def _table(report: Report) -> list[list[str]]:
    rows: list[list[str]] = [["case", "longest silence", "new connection", "told of an error"]]
    for case in ("renewal", "cable", "dead line", "no address"):
        found = report.figures[case]
        silence = found.get("longest_silence_s")
        rows.append(
            [
                case,
                "-" if silence is None else f"{silence:.2f} s",
                f"{found['new_connection_s']:.2f} s",
                "yes" if found["told_of_an_error"] else "no",
            ]
        )
    return rows


SCENARIO = Scenario(
    name="line-changes",
    figure="draft-nam Figures 3 and 5",
    rows=ROWS,
    summary="a CPE's lines change: a new address, a pulled cable, a dead line with a carrier, no address at the start",
    plan=PLAN,
    run=run,
    controls=controls(
        apply="the CPE's relay tells the kernel nothing of what changes",
        next_uplink="the CPE has one uplink: there is no next one",
    ),
    alone=True,
)
