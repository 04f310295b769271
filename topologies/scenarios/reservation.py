"""Reservations (draft-deng section 6.4 g) at a bottleneck of 20 Mbit/s that another host fills.

    ue, guest  s1 ===== s2  MCP core        s1-s2 carries 20 Mbit/s, the detour by s4 6 Mbit/s.
    rival      s1 ----- s4 ----- s2         `rival` sends datagrams at 16 Mbit/s, and six uploads.
                        s2 ----- s3  server

`ue` uploads in one M-session. Its device agent reserves 12 Mbit/s for the session, and also asks for more than there
is. Meanwhile the controller is killed and started again. Then the lease ends. Then two sessions of one subscriber
share a reserved rate, while one subflow of another subscriber has a rate of its own. `guest` negotiates its number of
subflows.
"""

import contextlib
import time

from topologies.kit.controller import Gone
from topologies.kit.device import Answer, Device
from topologies.kit.kernel_counters import Subflow, subflows
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures.subflow_slots import SubflowSlots, outcome

ROWS = ("D-6.4g",)
LINK_MBIT, ROUND_MBIT = 20.0, 6.0
RESERVED_MBIT, KEPT_MBIT = 12, 10.0
SHARED_MBIT, SHARED_KEPT_MBIT, SHARED_MOST_MBIT = (
    9,
    7.2,
    10.0,
)  # Mbit/s of a subscriber for all of its sessions: reserved, kept at least, and most
ALONE_MBIT, ALONE_KEPT_MBIT, BESIDE_MBIT = (
    6,
    4.0,
    3.0,
)  # of one subflow (TCP fills no small meter), and of one beside it
SOME_MBIT = (
    0.1  # least of each session: of two connections under one meter, the later may be slow to get its share
)
SMALL_MBIT = 7.0  # a session with more than this is not starved
FLOOD_MBIT, UPLOADS = 16.0, 6  # of `rival`: datagrams, and the number of its uploads by plain TCP
LEASE_S, LAST_S, SETTLE_S, MEASURE_S = 120.0, 3.0, 2.0, 4.0  # the last renewal of a lease is for `LAST_S`
# Checks that TCP's rates in a few seconds decide.
SHARE = "goodput of two sessions of one subscriber, which share its rate"
BESIDE = "goodput of one subflow, which has a rate, and of one beside it from the same host, which has none"
UPLOAD_S = 180
ENDING_S = 20.0
GUEST_LEASE_S = 90.0  # as long as offers take at most, echoes through the flood among them
ECHO_S = 30.0  # through the flood a segment may be lost five times
CARRYING_S, CARRIED = 15.0, 10_000  # two sessions have to carry so many bytes in so many seconds
SPARES = (
    3  # most sessions that are begun in place of one whose SYN is lost so often that its host gives up MPTCP
)
RISE_S = 5.0  # seconds that TCP needs to rise from almost nothing
SERVER = "10.9.0.2"
EXTRA = tuple(f"10.4.0.{number}" for number in range(11, 18))  # further addresses of `guest`

POLICY = """\
policy: 1
limits: {subflows_per_session: 8}
reservations: {share: 1.0, subflows: 4, offer: 5}
subscribers:
  - {id: house-7, prefixes: [10.1.0.2/32, 10.2.0.2/32]}
  - {id: guest-1, prefixes: [10.4.0.0/24]}
"""

PLAN = Plan(
    name="reservation",
    switches=("s1", "s2", "s3", "s4"),
    wires=(
        Wire("s1:5", "s2:2", LINK_MBIT),
        Wire("s1:6", "s4:1", ROUND_MBIT),
        Wire("s4:2", "s2:4", ROUND_MBIT),
        Wire("s2:3", "s3:2", 45.0),
    ),
    boxes=(
        Box("ue", Kind.DUAL, (Nic("s1:1", ("10.1.0.2/24",)), Nic("s1:2", ("10.2.0.2/24",)))),
        Box("guest", Kind.DUAL, (Nic("s1:3", ("10.4.0.3/24",)),)),
        Box("rival", Kind.PLAIN, (Nic("s1:4", ("10.3.0.2/24",)),)),
        Box("core", Kind.MCP, (Nic("s2:1", ("10.8.0.2/24",)),)),
        Box("server", Kind.SERVER, (Nic("s3:1", ("10.9.0.2/24",)),)),
    ),
    accesses=(
        Attachment("lte", ("10.1.0.0/24",), ("s1:1",), "cellular"),
        Attachment("guests", ("10.4.0.0/24",), ("s1:3",), "wlan"),
        Attachment("wlan", ("10.2.0.0/24",), ("s1:2",), "wlan"),
        Attachment("fixed", ("10.3.0.0/24",), ("s1:4",), "fixed"),
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24",), ("s3:1",)),),
    points=(Point("core", "s2:1", ("10.8.0.2",)),),
    policy=POLICY,
)


class Trial:
    """One run. The methods are its steps, in this order."""

    def __init__(self, lab: Lab, report: Report) -> None:
        self.lab, self.report = lab, report
        self.ue, self.guest = Device(lab.controller, "house-7"), Device(lab.controller, "guest-1")
        self.uploads = ["one", "two"]  # of guest

    def rates(self) -> None:
        """Measure the M-session's share of the bottleneck before, during and after a lease."""
        lab, report = self.lab, self.report
        lab.agents["ue"].ask("ping", dst=SERVER, count=3)
        lab.agents["rival"].ask("ping", dst=SERVER, count=3)
        self._upload("ue", "up")
        limit = time.monotonic() + CARRYING_S
        while self._session("10.1.0.2") == "0" and time.monotonic() < limit:
            time.sleep(0.1)  # under the flood, its SYN might be lost so often that the host gives up MPTCP
        time.sleep(SETTLE_S)
        lab.agents["rival"].ask("start", name="flood", kind="flood", dst=SERVER, port=9, mbit=FLOOD_MBIT)
        for number in range(UPLOADS):
            name = f"up{number}"
            lab.agents["rival"].ask(
                "start", name=name, kind="upload", dst=SERVER, port=5001, seconds=UPLOAD_S
            )
        time.sleep(RISE_S)
        session = self._session("10.1.0.2")
        before = self._measure("before")
        granted = self.ue.ask(
            "POST",
            "/reservations",
            {"level": "session", "session": session, "rate_bps": RESERVED_MBIT * 10**6, "lease_s": LEASE_S},
        )
        report.equal("12 Mbit/s are granted to the session", (201, "granted"), outcome(granted), "REST")
        time.sleep(RISE_S)
        within = self._measure("within")
        alone = self.restart(granted)
        self.offers()
        self._shorten()
        time.sleep(LAST_S + SETTLE_S)
        until(lambda: not lab.controller.get("/v1/reservations")["reservations"])
        left = self.lab.controller.get("/v1/reservations")["reservations"]
        report.equal("after the lease nothing is reserved", [], left, "REST")
        after = self._measure("after")
        report.rate(
            "goodput without a reservation: the session is starved",
            before <= SMALL_MBIT,
            f"at most {SMALL_MBIT} Mbit/s",
            f"{before:.1f} Mbit/s",
            "kernel",
        )
        report.rate(
            "reserved goodput in front of the flood",
            within >= KEPT_MBIT,
            f"at least {KEPT_MBIT} Mbit/s",
            f"{within:.1f} Mbit/s",
            "kernel",
        )
        report.rate(
            "reserved goodput while no controller runs",
            alone >= KEPT_MBIT,
            f"at least {KEPT_MBIT} Mbit/s",
            f"{alone:.1f} Mbit/s",
            "kernel",
        )
        report.rate(
            "goodput after its lease: it is starved again",
            after <= SMALL_MBIT,
            f"at most {SMALL_MBIT} Mbit/s",
            f"{after:.1f} Mbit/s",
            "kernel",
        )
        report.table = [
            ["lease", "M-session"],
            ["before", f"{before:.1f} Mbit/s"],
            ["within", f"{within:.1f} Mbit/s"],
            ["no controller", f"{alone:.1f} Mbit/s"],
            ["after", f"{after:.1f} Mbit/s"],
        ]
        self.levels()
        for host, name in (("ue", "up"), ("ue", "more"), *(("guest", name) for name in self.uploads)):
            lab.agents[host].ask("stop", name=name)
        for name in ("flood", *(f"up{number}" for number in range(UPLOADS))):
            lab.agents["rival"].ask("stop", name=name)

    def restart(self, granted: Answer) -> float:
        """Kill the controller during the lease and start another: the goodput without a controller, and what the next
        one knows."""
        lab = self.lab
        lab.say("kill -9 of the controller")
        lab.controller.kill()
        alone = self._measure("alone")
        lab.start_controller()
        told = {r["id"]: r for r in lab.controller.get("/v1/reservations")["reservations"]}
        again = told.get(granted.body.get("id"), {})
        same = ("standing", "level", "rate_bps", "path_number", "paths")
        self.report.equal(
            "after a restart of the controller the session's reservation is as it was",
            {key: granted.body.get(key) for key in same}, {key: again.get(key) for key in same}, "REST",
        )  # fmt: skip
        left = again.get("remaining_s", 0.0)
        self.report.expect(
            "its lease went on", 0 < left < LEASE_S - MEASURE_S, "less than before", left, "REST"
        )
        return alone

    def _shorten(self) -> None:
        """Renew every lease for the last time."""
        for one in self.lab.controller.get("/v1/reservations")["reservations"]:
            if one["standing"] == "granted":
                with contextlib.suppress(Gone):
                    self.lab.controller.request("PUT", f"/v1/reservations/{one['id']}", {"lease_s": LAST_S})

    def levels(self) -> None:
        """Two sessions of one subscriber share its rate. One subflow of another subscriber has a rate of its own."""
        lab, report = self.lab, self.report
        for name in self.uploads:
            self._upload("guest", name)
        while (
            not until(lambda: len(self._carrying()) == 2, CARRYING_S, 0.5) and len(self.uploads) < 2 + SPARES
        ):
            self.uploads.append(f"spare {len(self.uploads)}")
            self._upload("guest", self.uploads[-1])
        carrying = self._carrying()
        report.equal("two sessions of guest carry data", 2, len(carrying), "kernel")
        if len(carrying) < 2:
            report.rate(SHARE, False, "two sessions that carry data", len(carrying), "kernel")
            report.rate(BESIDE, False, "two sessions that carry data", len(carrying), "kernel")
            return
        shared = self.ue.ask(
            "POST", "/reservations",
            {"level": "subscriber", "subscriber": "house-7", "rate_bps": SHARED_MBIT * 10**6},
        )  # fmt: skip
        report.equal("9 Mbit/s are granted to the subscriber", (201, "granted"), outcome(shared), "REST")
        self._upload("ue", "more")  # its first SYN already counts for the subscriber
        mine, other = (s.flow for s in carrying)
        flow = {"src": mine.src, "sport": mine.sport, "dst": mine.dst, "dport": mine.dport}
        wish = {"level": "subflow", "flow": flow, "rate_bps": ALONE_MBIT * 10**6}
        alone = self.guest.ask("POST", "/reservations", wish)
        report.equal("6 Mbit/s are granted to the subflow", (201, "granted"), outcome(alone), "REST")
        time.sleep(RISE_S)
        lab.say("measuring by level")
        began, first = time.monotonic(), (self._by_session("ue"), self._acked("guest"))
        time.sleep(MEASURE_S)
        seconds = time.monotonic() - began
        ue, guest = (
            {key: (count - before.get(key, 0)) * 8 / seconds / 1e6 for key, count in now.items()}
            for now, before in zip((self._by_session("ue"), self._acked("guest")), first, strict=True)
        )
        of_sessions = sorted(ue.values())[-2:]
        both, own, beside = (
            sum(ue.values()),
            guest.get(str(mine.sport), 0.0),
            guest.get(str(other.sport), 0.0),
        )
        report.figures |= {"shared_mbit": round(both, 2), "subflow_mbit": round(own, 2)}
        report.rate(
            SHARE,
            SHARED_KEPT_MBIT <= both <= SHARED_MOST_MBIT and len(of_sessions) == 2 and of_sessions[0] > SOME_MBIT,
            f"{SHARED_KEPT_MBIT} to {SHARED_MOST_MBIT} Mbit/s together, both some",
            [round(rate, 1) for rate in of_sessions],
            "kernel",
        )  # fmt: skip
        report.rate(
            BESIDE,
            own >= ALONE_KEPT_MBIT and beside <= BESIDE_MBIT,
            f"at least {ALONE_KEPT_MBIT}, at most {BESIDE_MBIT} Mbit/s",
            f"{own:.1f}, {beside:.1f} Mbit/s",
            "kernel",
        )
        for who, answer in ((self.ue, shared), (self.guest, alone)):
            who.ask("DELETE", f"/reservations/{answer.body.get('id')}")

    def _carrying(self) -> list[Subflow]:
        """The subflows of guest's uploads, the busiest first."""
        rows = [
            s for s in subflows(self.lab.host("guest")) if s.flow.dport == 5001 and s.bytes_acked > CARRIED
        ]
        return sorted(rows, key=lambda s: -s.bytes_acked)[:2]

    def _acked(self, host: str) -> dict[str, int]:
        """Bytes that were acknowledged to a host, by its port."""
        return {str(s.flow.sport): s.bytes_acked for s in subflows(self.lab.host(host))}

    def _by_session(self, host: str) -> dict[str, int]:
        """Bytes that were acknowledged to a host, by the token of the M-session."""
        found: dict[str, int] = {}
        for one in subflows(self.lab.host(host)):
            found[one.own_token] = found.get(one.own_token, 0) + one.bytes_acked
        return found

    def _upload(self, host: str, name: str) -> None:
        self.lab.agents[host].ask(
            "start", name=name, kind="upload", dst=SERVER, port=5001, seconds=UPLOAD_S, mptcp=True
        )

    def _measure(self, phase: str) -> float:
        """Measure the goodput of `ue` by what its peers acknowledge, Mbit/s."""
        self.lab.say(f"measuring {phase}")
        began, first = time.monotonic(), sum(self._acked("ue").values())
        time.sleep(MEASURE_S)
        last = sum(self._acked("ue").values())
        mbit = (last - first) * 8 / (time.monotonic() - began) / 1e6
        self.report.figures[f"{phase}_mbit"] = round(mbit, 2)
        return mbit

    def offers(self) -> None:
        """Other subscribers get what is left: an offer of less, the detour, and nothing."""
        report, lab = self.report, self.lab
        own = self._idle(3)
        if not report.equal("M-sessions of guest through the flood", 3, len(own), "REST"):
            return
        ask = [self._rate(own[0], 12)]
        report.equal(
            "of 12 more, 8 are offered", [(201, "offered", 8_000_000)],
            [(*outcome(one), one.body.get("rate_bps")) for one in ask], "REST",
        )  # fmt: skip
        taken = self.guest.ask("POST", f"/reservations/{ask[0].body.get('id', 'none')}/accept")
        report.equal("the offer is accepted", (200, "granted"), outcome(taken), "REST")
        detour = self._rate(own[1], 6)
        ways = {
            tuple(path["switches"]) for path in detour.body.get("paths", ()) if path["between"] == "host-mcp"
        }
        report.equal("6 more go the way round", {("s1", "s4", "s2"), ("s2", "s4", "s1")}, ways, "REST")
        at = lab.capture_port("s4:1")
        time.sleep(1.0)
        echoed = lab.agents["guest"].ask("echo", group="idle", wait=ECHO_S)
        report.equal("the echo of every session of guest comes back", [], echoed["failed"])
        refused = self._rate(own[2], 5)
        reasons = [error["code"] for error in refused.body.get("errors", ())]
        report.equal("of 5 more, nothing", (409, ["no-capacity"]), (refused.status, reasons), "REST")
        lab.stop_captures()
        ports = {s.flow.sport for s in at.segments() if s.length} & {
            int(s["client"].rpartition(":")[2]) for s in lab.controller.sessions()
        }
        want = [int(s["client"].rpartition(":")[2]) for s in lab.controller.sessions() if s["id"] == own[1]]
        report.equal("only the session of that path is seen on the way round", want, sorted(ports), "capture")
        foreign = self.ue.ask("POST", "/reservations", {"level": "session", "session": own[2], "subflows": 1})
        report.equal("a device cannot reserve for another's session", 403, foreign.status, "REST")

    def _idle(self, wanted: int) -> list[str]:
        """Open M-sessions of guest that do nothing, until there are so many; their ids. Under the flood a host may give up
        MPTCP, or the connection."""
        clients: set[str] = set()
        own: list[str] = []
        for _ in range(1 + SPARES):
            order = {
                "group": "idle",
                "dst": SERVER,
                "ports": [5001],
                "count": wanted - len(own),
                "wait": ECHO_S,
            }
            opened = self.lab.agents["guest"].ask("open", mptcp=True, first=True, **order)["opened"]
            clients |= {"{}:{}".format(*one["local"]) for one in opened if one.get("token")}
            own = [s["id"] for s in self.lab.controller.sessions() if s["client"] in clients]
            if len(own) >= wanted:
                break
        return own

    def _rate(self, session: str, mbit: int) -> Answer:
        wish = {"level": "session", "session": session, "rate_bps": mbit * 10**6, "lease_s": GUEST_LEASE_S}
        return self.guest.ask("POST", "/reservations", wish)

    def slots(self) -> None:
        """Once all else is over, reserve a number of subflows for a session of guest."""
        lab = self.lab
        lab.agents["guest"].ask("close", group="idle")
        lab.agents["rival"].finish("flood", ENDING_S)
        # An upload that was stopped still has to empty its buffer, and would join too.
        until(lambda: not self._by_session("guest"), ENDING_S, 0.2)
        order = {"group": "many", "dst": SERVER, "ports": [5001], "wait": ECHO_S}
        (opened,) = lab.agents["guest"].ask("open", mptcp=True, first=True, **order)["opened"]
        client = "{}:{}".format(*opened.get("local", ("", 0)))
        session = next((s["id"] for s in lab.controller.sessions() if s["client"] == client), "0")
        slots = SubflowSlots(lab, self.report, "guest", self.guest, EXTRA)
        slots.judge(session, "s1:3", "core", "s2:1")

    def _session(self, client: str) -> str:
        found = [s["id"] for s in self.lab.controller.sessions() if s["client"].startswith(f"{client}:")]
        return str(found[0]) if found else "0"


def run(options: Options, report: Report) -> None:
    """Reserve rates, then numbers of subflows."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        trial = Trial(lab, report)
        trial.rates()
        trial.slots()
        if options.prompt:
            lab.command_line()


SCENARIO = Scenario(
    name="reservation",
    figure="draft-deng section 6.4 (g)",
    rows=ROWS,
    summary="a session keeps its reserved rate against a flood, for its lease; offers, refusals, numbers of subflows",
    plan=PLAN,
    run=run,
    controls=controls("reservations", "keeping"),
    alone=True,
)
