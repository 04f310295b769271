"""A device reserves a number of subflows for a session: that many joins are answered, and one more is refused during the lease."""

import time
from functools import partial

from topologies.kit.captures import JOIN
from topologies.kit.device import Answer, Device
from topologies.kit.lab import Lab
from topologies.kit.report import Report
from topologies.kit.waiting import until

LEASE_S, ANSWERED_S = 15, 5.0  # seconds of the lease, and seconds to wait for the answer to a join
GRANTED = 4  # subflows that are granted of the ten asked for


class SubflowSlots:
    """`host` has a live M-session with one subflow, and its `device` may reserve. The host gets `addresses` at its first
    interface, at least two more than subflows are granted."""

    def __init__(
        self, lab: Lab, report: Report, host: str, device: Device, addresses: tuple[str, ...]
    ) -> None:
        self.lab, self.report, self.host, self.device = lab, report, host, device
        self.addresses = addresses

    def judge(self, session: str, access: str, mcp: str, at_mcp: str) -> None:
        """Ask for ten subflows of the session, and accept the offer of four: a fifth join is refused until the lease ends.
        `access`: the host's port; `at_mcp`: the port of the MCP `mcp`."""
        report, lab = self.report, self.lab
        wish = {"level": "subflow", "session": session, "subflows": 10, "lease_s": LEASE_S}
        asked = self.device.ask("POST", "/reservations", wish)
        report.equal(
            "of 10 subflows 4 are offered",
            (201, "offered", GRANTED),
            (*outcome(asked), asked.body.get("subflows", asked.body.get("detail"))),
            "REST",
        )
        taken = self.device.ask("POST", f"/reservations/{asked.body.get('id', 'none')}/accept")
        begun = time.monotonic()
        report.equal("four are accepted", (200, "granted"), outcome(taken), "REST")
        sent, at = lab.capture_port(access), lab.capture_port(at_mcp)
        lab.mark()
        first, beyond, later = self.addresses[:GRANTED], self.addresses[GRANTED], self.addresses[GRANTED + 1]
        self._join(*first, beyond)
        report.equal("joins sent, joins answered", (5, 4), self._joins(), "kernel")
        refused = self._refused()
        report.equal("joins that reached the MCP", 4, lab.counted(mcp)["MPJoinSynRx"], "kernel")
        time.sleep(max(0.0, begun + LEASE_S + 0.5 - time.monotonic()))
        self._join(later)
        report.equal("after the lease one more is answered", (6, 5), self._joins(), "kernel")
        lab.stop_captures()
        tries = sum(s.syn and s.flow.src == beyond for s in sent.segments())
        found = f"{refused} of {tries} SYNs of the fifth"
        # A SYN whose refusal is lost or late is sent again, and refused again.
        report.expect("refused as beyond the reservation", 1 <= refused <= tries, "each SYN", found, "REST")
        sources = {s.flow.src for s in at.segments() if s.syn and JOIN in s.options} & set(self.addresses)
        report.equal("join SYNs seen at the MCP", {*first, later}, sources, "capture")

    def _join(self, *addresses: str) -> None:
        """Give the host one address after the other; each as soon as the join from the one before is answered or refused."""
        host = self.lab.host(self.host)
        for address in addresses:
            before = self._decided()
            host.run(f"ip addr add {address}/24 dev {host.interface(0)}")
            host.run(f"ip mptcp endpoint add {address} dev {host.interface(0)} subflow")
            time.sleep(0.4)
            until(partial(self._has_decided, before + 1), ANSWERED_S)

    def _has_decided(self, wanted: int) -> bool:
        return self._decided() >= wanted

    def _decided(self) -> int:
        return self._joins()[1] + self._refused()

    def _refused(self) -> int:
        return int(self.lab.controller.metric("steering_refusals_total", reason="reserved"))

    def _joins(self) -> tuple[int, int]:
        counted = self.lab.counted(self.host)
        return counted["MPJoinSynTx"], counted["MPJoinSynAckRx"]


def outcome(answer: Answer) -> tuple[int, object]:
    """Status of an answer, and the standing of the reservation of which it tells, else why there is none."""
    standing: object = answer.body.get("standing")
    return answer.status, standing or next((one["code"] for one in answer.body.get("errors", ())), None)
