"""An MCP dies in several ways, each time with live sessions and while new ones begin. Then it comes back, in some cases before its
death was noticed. At the end an operator aborts sessions of a live MCP.

The lab measures at applications whether and when each connection at the MCP was told of its end, and how long a new connection
took. Hosts have connections that receive, that send, and that are idle. A server counts as told when its kernel has none of them.
What the machine kept a thread of the lab waiting is subtracted from what is promised within a second.
"""

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from topologies.kit import processes
from topologies.kit.controller import Gone
from topologies.kit.lab import Lab, running
from topologies.kit.network import drop_endpoints
from topologies.kit.plan import address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import PATIENCE_S, until
from topologies.measures.priorities import way_to_controller
from topologies.networks.two_mcps import MCPS, SERVICES, two_mcps
from topologies.programs.lateness import Lateness

ROWS = ("D-6.7.1",)
VICTIM, OTHER = MCPS
POLICY = """\
policy: 1
keep_keys: true
selection: {hysteresis: 0.0, weights: {location: 1.0, type: 0.0, load: 0.0}}
timers: {fin_linger: 2, health_hold: 0.2}
"""
_PLAN = two_mcps("mcp-death")
PLAN = replace(
    _PLAN,
    policy=POLICY,
    points=tuple(replace(point, probe=f"{{port: {SERVICES[0]}}}") for point in _PLAN.points),
)
SECOND = 1.0
MODES = {"taking": "D", "sending": "S", "idle": "E"}
BEFORE_S, AFTER_S = 1.5, 5.0
LATER_S = 3.0  # seconds after a death until which new sessions go to another MCP, also on a slow machine
GAP_S = 0.05  # seconds between new connections
SAID_S = 10.0  # seconds for the controller's account
FORGOTTEN_S = 6.0  # seconds after which the controller tells no end any more
BACK_S = 40.0

Try = dict[str, Any]


class Death(NamedTuple):
    """One way to die: how it is done, and how it is undone."""

    name: str
    die: Callable[["Deaths"], object]
    come_back: Callable[["Deaths"], object]
    tells: bool = True  # whether sessions that live there are ended


def run(options: Options, report: Report) -> None:
    """One death after the other; `sessions` of the options is how many of them. Then the aborts."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        more = {name: way_to_controller(lab, name) for name in MCPS}
        lab.start_services(more)
        for name in ("ue1", "ue2"):
            drop_endpoints(lab.host(name))
        lab.start_controller(options.without)
        with Lateness() as late:
            test = Deaths(lab, report, more, late)
            for death in DEATHS[: options.sessions or len(DEATHS)]:
                test.dies(death)
            test.aborts()
        report.table = test.table()
        if options.prompt:
            lab.command_line()


def _only(words: dict[str, str]) -> dict[str, str]:
    return {mode: word for mode, word in words.items() if word}


def judge_told(
    report: Report,
    late: Lateness,
    name: str,
    died: float,
    told: dict[str, float | None],
    words: dict[str, str],
    server_s: float | None,
) -> None:
    """Whether both ends of each session were told of an error, and how soon: seconds after `died`, None for never."""
    untold = {mode: words[mode] for mode in MODES if told[mode] is None or "reset" not in words[mode]}
    report.equal(f"{name}: hosts that were not told of a reset", {}, untold)
    report.expect(f"{name}: the server is told", server_s is not None, "yes", server_s, "kernel")
    times = [*told.values(), server_s]
    report.expect(
        f"{name}: all are told within a second",
        all(at is not None and at - late.during(died, died + at) < SECOND for at in times),
        f"under {SECOND:g} s", f"hosts {told}, server {server_s and round(server_s, 2)}",
    )  # fmt: skip


class Deaths:
    """`more`: a relay's way to its controller, by MCP."""

    def __init__(self, lab: Lab, report: Report, more: dict[str, list[str]], late: Lateness) -> None:
        self.lab, self.report, self.more, self.late = lab, report, more, late
        self.old, self.new = lab.agents["ue1"], lab.agents["ue2"]
        self.target = address_of(PLAN.box("server"), 4)
        self.rows: list[list[str]] = []
        self.starting: threading.Thread | None = None

    # ---- one death ------------------------------------------------------------------------------

    def dies(self, death: Death) -> None:
        """Open sessions at the victim, begin to open new ones, and have it die."""
        lab = self.lab
        self.wait_well()
        locals_ = self.open_sessions()
        self.new.ask(
            "start", name="tries", kind="tries", dst=self.target, port=SERVICES[0], mptcp=True, gap=GAP_S, wait=8.0
        )  # fmt: skip
        time.sleep(BEFORE_S)
        lab.say(f"{VICTIM} dies: {death.name}")
        begun = time.monotonic()
        death.die(self)
        died = time.monotonic()  # what it took to bring it about is no time of the product
        server_s = self.until_server_is_told(locals_, died) if death.tells else None
        time.sleep(max(0.0, died + AFTER_S - time.monotonic()))
        self.new.ask("stop", name="tries")
        tries: list[Try] = self.new.finish("tries", 20.0)["tries"]
        ends = {mode: self.ended(mode) for mode in MODES}
        early = [one for one in tries if one["error"] and one["at"] + one["took"] < begun]
        self.report.equal(f"{death.name}: new sessions that failed before", [], early[:2])
        self.judge(death, died, tries, ends, server_s)
        death.come_back(self)

    def wait_well(self) -> None:
        """Wait until both MCPs serve and their present relays have reported it. Where MCPs are not probed, the controller considers
        a frozen MCP well until 15 s after its last report, and would otherwise end the sessions of the next case then."""
        if not until(self.are_well, BACK_S, 0.2):
            raise processes.LabError("the MCPs do not come back")

    def are_well(self) -> bool:
        """Whether both MCPs serve, by the controller's account and by a report of each relay."""
        known = self.lab.controller.mcps().values()
        return all(one["health"] == "up" and one["reachable"] for one in known) and all(
            processes.relay_status(self.lab.record, name)["counters"]["session_sets_reported"]
            for name in MCPS
        )

    def open_sessions(self) -> list[int]:
        """Open one session of each mode at the victim; the hosts' ports."""
        self.lab.controller.request("POST", f"/v1/mcps/{OTHER}/drain")
        time.sleep(0.3)
        for mode, letter in MODES.items():
            self.old.ask(
                "start", name=mode, kind="listener", mode=letter, dst=self.target, port=SERVICES[1], mptcp=True
            )  # fmt: skip
        limit = time.monotonic() + PATIENCE_S
        found: dict[str, int] = {}
        while len(found) < len(MODES) and time.monotonic() < limit:
            states = {mode: self.old.ask("status", name=mode) for mode in MODES}
            found = {mode: one["local"][1] for mode, one in states.items() if one.get("heard_at")}
            time.sleep(0.05)
        self.lab.controller.request("POST", f"/v1/mcps/{OTHER}/undrain")
        homes = {
            row["mcp"] for row in self.lab.controller.sessions() if row["client"].startswith("10.1.0.2:")
        }
        self.report.equal(
            "sessions that live at the MCP that dies", ({VICTIM}, 3), (homes, len(found)), "REST"
        )
        return list(found.values())

    def until_server_is_told(self, locals_: list[int], died: float) -> float | None:
        """Seconds until the server's kernel has none of these connections; None for never."""
        ours = {f":{port}" for port in locals_}
        while time.monotonic() < died + FORGOTTEN_S:
            listed = self.lab.host("server").pexec("ss -tnHO state established")[0].splitlines()
            if not any(line.split()[3].endswith(tuple(ours)) for line in listed if len(line.split()) > 3):
                return time.monotonic() - died
            time.sleep(0.02)
        return None

    def ended(self, mode: str) -> Try:
        """The result of a session's connection, which is ended here if it still lives."""
        self.old.ask("stop", name=mode)
        return self.old.finish(mode, 10.0)

    # ---- judging --------------------------------------------------------------------------------

    def judge(
        self, death: Death, died: float, tries: list[Try], ends: dict[str, Try], server_s: float | None
    ) -> None:
        """What hosts, the server and new connections had of it."""
        report, name = self.report, death.name
        told = {mode: one["told_at"] and round(one["told_at"] - died, 2) for mode, one in ends.items()}
        words = {mode: one["word"] for mode, one in ends.items()}
        if not death.tells:
            until(lambda: self.lab.controller.mcps()[VICTIM]["health"] == "sick", SAID_S)
        health = self.lab.controller.mcps()[VICTIM]["health"]
        if death.tells:
            judge_told(report, self.late, name, died, told, words, server_s)
        else:
            report.equal(f"{name}: sessions that live there are left alone", {}, _only(words), "kernel")
            report.equal(f"{name}: the controller says so", "sick", health, "REST")
        noticed = SECOND + self.late.during(died, died + SECOND)
        after, later = ([one for one in tries if one["at"] > died + wait] for wait in (noticed, LATER_S))
        for begun, what in (
            (after, "new sessions go through an MCP within a second"),
            (later, f"new sessions of {LATER_S:g} s later go through an MCP"),
        ):
            wrong = [one for one in begun if one["error"] or not one["mptcp"]]
            right = len(begun) - len(wrong)
            found = f"{right} of {len(begun)}, not {wrong[:2]}"
            report.expect(f"{name}: {what}", bool(begun) and not wrong, f"all of {len(begun)}", found)
        longest = max((one["took"] for one in after), default=None)
        own = [one["took"] - self.late.during(one["at"], one["at"] + one["took"]) for one in after]
        report.expect(
            f"{name}: they are there within a second", bool(own) and max(own) < SECOND,
            f"under {SECOND:g} s", longest and round(longest, 2),
        )  # fmt: skip
        moving = [one for mode, one in ends.items() if mode != "idle" and one["told_at"]]
        silence = max((one["told_at"] - one["heard_at"] for one in moving), default=None)
        meanwhile = max((one["took"] for one in tries if died <= one["at"] <= died + SECOND), default=None)
        report.figures[name] = {
            "told_s": told, "words": words, "server_told_s": server_s and round(server_s, 2),
            "longest_silence_s": silence and round(silence, 2), "told_of_an_error": bool(_only(words)), "new_session_s": longest and round(longest, 3),
            "new_session_meanwhile_s": meanwhile and round(meanwhile, 2), "health": health,
        }  # fmt: skip
        shown = [*(told[mode] for mode in MODES), server_s, silence]
        cells = [("never" if death.tells else "-") if at is None else f"{at:.2f} s" for at in shown]
        self.rows.append([name, *cells, "-" if longest is None else f"{longest:.2f} s", health])

    def aborts(self) -> None:
        """The operator ends each session while its MCP lives."""
        self.wait_well()
        locals_ = self.open_sessions()
        rows = [row for row in self.lab.controller.sessions() if row["client"].startswith("10.1.0.2:")]
        self.lab.say(f"{len(rows)} sessions are aborted")
        begun = time.monotonic()
        for row in rows:
            with suppress(Gone):  # one that has ended meanwhile has no outcome, which is judged
                self.lab.controller.request("DELETE", f"/v1/sessions/{row['id']}")
        server_s = self.until_server_is_told(locals_, begun)
        time.sleep(0.5)
        wanted = [{"host": "closed", "server": "closed"}] * len(MODES)
        until(lambda: self.outcomes(rows) == wanted, SAID_S)
        ends = {mode: self.ended(mode) for mode in MODES}
        told = {mode: one["told_at"] and round(one["told_at"] - begun, 2) for mode, one in ends.items()}
        words = {mode: one["word"] for mode, one in ends.items()}
        judge_told(self.report, self.late, "aborted", begun, told, words, server_s)
        said = self.outcomes(rows)
        self.report.equal("aborted: what the controller says of each session's ends", wanted, said, "REST")
        moving = [one for mode, one in ends.items() if mode != "idle" and one["told_at"]]
        silence = max((one["told_at"] - one["heard_at"] for one in moving), default=None)
        self.report.figures["aborted"] = {
            "told_s": told, "server_told_s": server_s and round(server_s, 2),
            "longest_silence_s": silence and round(silence, 2), "told_of_an_error": any(told.values()),
        }  # fmt: skip
        shown = [*(told[mode] for mode in MODES), server_s]
        self.rows.append(
            ["aborted", *("never" if at is None else f"{at:.2f} s" for at in shown), "-", "-", "up"]
        )

    def outcomes(self, rows: list[dict[str, Any]]) -> list[dict[str, str]]:
        """The controller's account of both ends of each aborted session; sessions that it no longer knows are left out."""
        return [self.outcome(row["id"]) for row in rows]

    def outcome(self, session: str) -> dict[str, str]:
        try:
            said = self.lab.controller.get(f"/v1/aborts/{session}")
        except Gone:
            return {}
        return {end["end"]: end["outcome"] for end in said["ends"]}

    def table(self) -> list[list[str]]:
        """What was measured, one death a row."""
        head = ["death", *(f"{mode} host told" for mode in MODES), "server told", "longest silence"]
        return [[*head, "new session", "health"], *self.rows]

    # ---- ways to die ----------------------------------------------------------------------------

    def relay(self, number: int) -> None:
        self.lab.relays[VICTIM].popen.send_signal(number)

    def restart_relay(self) -> None:
        lab, box = self.lab, PLAN.box(VICTIM)
        lab.relays[VICTIM].end(signal.SIGKILL)
        # The dead relay's socket file: the start of the next relay is recognised by its own socket.
        processes.status_path(lab.record, VICTIM).unlink(missing_ok=True)
        lab.relays[VICTIM] = processes.relay(
            lab.record, lab.host(VICTIM), PLAN.services, PLAN.server_prefixes(), (*box.relay, *self.more[VICTIM])
        )  # fmt: skip

    def supervised(self) -> None:
        """Kill the relay and start it again at once, before three probes are missed."""
        self.relay(signal.SIGKILL)
        self.start_again()

    def supervised_and_unheard(self) -> None:
        """Kill the relay and start it again at once, while the resets of its kernel to hosts and server are lost."""
        self.deaf_and_dumb()
        self.lab.relays[VICTIM].end(signal.SIGKILL)
        self.lab.host(VICTIM).run("nft delete table netdev gone")
        self.start_again()

    def start_again(self) -> None:
        """Start the victim again, while hosts and server are watched."""
        self.starting = threading.Thread(target=self.restart_relay)
        self.starting.start()

    def is_back(self) -> None:
        if self.starting is not None:
            self.starting.join()

    def link(self, state: str) -> None:
        subprocess.run(["ip", "link", "set", self.lab.interface("s3:1"), state], check=True)

    def deaf_and_dumb(self) -> None:
        """Let nothing in or out of the MCP while its link stays up, as of a crashed host."""
        device = self.lab.host(VICTIM).interface(0)
        rules = [
            f"nft add chain netdev gone {hook} {{ type filter hook {hook} device {device} priority 0 ; policy drop ; }}"
            for hook in ("ingress", "egress")
        ]
        self.lab.host(VICTIM).run("nft add table netdev gone", *rules)

    def answers_no_host(self) -> None:
        """Drop the MCP's SYN/ACKs to hosts. Its answers to probes and its reports still arrive."""
        self.lab.host(VICTIM).run(
            "nft add table inet sick",
            "nft add chain inet sick out { type filter hook output priority 0 ; }",
            "nft add rule inet sick out ip daddr 10.1.0.0/24 tcp flags & (syn|ack) == (syn|ack) drop",
        )

    def answers_again(self) -> None:
        self.lab.host(VICTIM).run("nft delete table inet sick")
        self.restart_relay()  # and its sessions end

    def hears_again(self) -> None:
        self.lab.host(VICTIM).run("nft delete table netdev gone")
        self.restart_relay()


DEATHS = (
    Death("frozen (SIGSTOP)", lambda on: on.relay(signal.SIGSTOP), Deaths.restart_relay),
    Death("host gone", Deaths.deaf_and_dumb, Deaths.hears_again),
    Death("sick", Deaths.answers_no_host, Deaths.answers_again, tells=False),
    Death("process gone", lambda on: on.relay(signal.SIGKILL), Deaths.restart_relay),
    Death("port down", lambda on: on.link("down"), lambda on: on.link("up")),
    Death("restarted at once", Deaths.supervised, Deaths.is_back),
    Death("restarted at once, last words lost", Deaths.supervised_and_unheard, Deaths.is_back),
)

SCENARIO = Scenario(
    name="mcp-death",
    figure="draft-nam Figure 2",
    rows=ROWS,
    summary="an MCP dies in each way that there is: who lived there is told, new sessions go to another one",
    plan=PLAN,
    run=run,
    controls=controls("mcp-probes"),
    alone=True,
)
