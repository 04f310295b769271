"""Relays whose reports are missing: by their own port it is told whether their process runs."""

from typing import Any

import pytest

from steering.core.counters import ProbeAnswer
from steering.core.inputs import McpReport, ProbeAnswered, Tick
from steering.core.selection.mcp_health import McpFault
from steering.core.selection.process_proof import MISSING_LATER, MOST_OPEN
from steering.model.decision import FilterReason
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import PortRef
from steering.model.policy import Policy
from steering.wire.craft import tcp_frame
from steering.wire.handshake import read_handshake
from steering.wire.segment import Flags, Segment, read_segment
from tests.support.fakes.network import Delivery
from tests.support.probed_mcp import SERVICE, Probed

PACE = 0.2
ACK, FIN, RST = int(Flags.ACK), int(Flags.FIN), int(Flags.RST)


class Relay(Probed):
    """The relay of the first MCP, with a session. `runs`: its process is not stopped. `ends`: it ends a connection to its own
    address, by these flags, 0: never; `slow`: after so many seconds; `lost`: so many ends are lost that it sends next. `reporting`:
    the MCPs whose reports arrive; the second one has none that could be asked."""

    def __init__(self, ends: int = RST | ACK, slow: float = 0.0, **more: Any) -> None:
        self.slow, self.lost, self.ending = slow, 0, list[tuple[float, Segment]]()
        self.runs, self.ends, self.asked = True, ends, 0
        self.reporting = {"core", "edge"}
        self.sent_back: list[Segment] = []
        # Source ports of connections that the process has not ended -> the sequence number of a reset that ends them.
        self.queued = dict[int, int]()
        super().__init__(policy=Policy(max_stretch=9), **more)
        self.pinned = self.established()
        self.goes_on(2.0)

    def _carry(self, result: Any) -> list[Delivery]:
        deliveries = super()._carry(result)
        for delivery in result.deliveries:
            if (delivery.dpid, delivery.port) != (3, 1) or delivery.packet.tcp_flags is None:
                continue
            segment = read_segment(delivery.packet.frame)
            if segment.sport >= 64_000 and segment.flags & RST:
                self.sent_back.append(segment)
                if self.queued.get(segment.sport) == segment.seq:
                    del self.queued[segment.sport]
            if segment.flags == FIN | ACK and "core" in self.hosts:
                self.asked += 1
                deliveries += self.answer(segment, seq=segment.ack, ack=segment.seq + 1, flags=ACK)
                if not self.runs or not self.ends:
                    self.queued[segment.sport] = segment.seq + 1
                elif self.lost:
                    self.lost -= 1
                elif self.slow:
                    self.ending.append((self.now + self.slow, segment))
                else:
                    deliveries += self.end(segment)
        return deliveries

    def end(self, asked: Segment) -> list[Delivery]:
        return self.answer(asked, seq=asked.ack, ack=asked.seq + 1, flags=self.ends)

    def answer(self, asked: Segment, **other: Any) -> list[Delivery]:
        """A kernel answers no SYN of a connection that it has."""
        return (
            [] if asked.flags == Flags.SYN and asked.sport in self.queued else super().answer(asked, **other)
        )

    def goes_on(self, seconds: float) -> None:
        for step in range(round(seconds / 0.05)):
            for place, mcp in enumerate(self.site.mcps):
                runs = self.runs or mcp.name != "core"
                if mcp.name in self.reporting and runs and step % 4 == 2 * place:
                    self.give(McpReport(mcp.id, True, 0.1, PACE))
            while self.ending and self.ending[0][0] <= self.now:
                self.end(self.ending.pop(0)[1])
            self.pass_by(0.05)

    @property
    def lives(self) -> bool:
        return self.pinned.id in self.table.by_id and not self.pinned.ending

    @property
    def excluded(self) -> FilterReason | None:
        return self.engine.chooser.excluded.get(self.site.mcps[0].id)


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("ends", [RST | ACK, FIN | ACK])
@pytest.mark.parametrize("others", [set(), {"edge"}])
def test_a_relay_whose_reports_alone_are_lost_gets_no_sessions_and_keeps_its_own(
    ends: int, others: set[str]
) -> None:
    relay = Relay(ends)
    relay.reporting = others
    relay.goes_on(1.0)
    assert (relay.core.fault, relay.excluded) == (McpFault.FROZEN, FilterReason.DOWN)
    relay.goes_on(20.0)
    assert relay.lives and relay.core.fault is McpFault.FROZEN
    relay.reporting = {"core", "edge"}
    relay.goes_on(4.0)
    assert relay.lives and relay.excluded is None


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("phase", [0.05, 0.1, 0.15, 0.2])
@pytest.mark.parametrize("others", [set(), {"edge"}])
def test_a_frozen_relays_sessions_end_within_a_second_also_if_no_other_one_reports(
    phase: float, others: set[str]
) -> None:
    relay = Relay()
    relay.goes_on(phase)
    relay.runs, relay.reporting = False, others
    relay.goes_on(0.95)
    assert relay.excluded is FilterReason.DOWN and not relay.lives


@pytest.mark.row("D-6.7.1")
def test_a_relay_that_freezes_while_its_reports_are_lost_is_told_by_its_silence() -> None:
    relay = Relay()
    relay.reporting = {"edge"}
    relay.goes_on(5.0)
    assert relay.lives
    relay.runs = False
    relay.goes_on(0.95)
    assert not relay.lives


@pytest.mark.parametrize("others, lives", [(set(), True), ({"edge"}, False)])
def test_of_one_that_never_answers_like_that_the_others_reports_decide(others: set[str], lives: bool) -> None:
    relay = Relay(ends=0)
    relay.reporting = others
    relay.goes_on(1.0)
    assert relay.lives is lives


def test_while_reports_come_it_is_asked_once() -> None:
    relay = Relay()
    relay.goes_on(130.0)
    assert relay.asked == relay.engine.counters.probe_answers[ProbeAnswer.ENDED] == 1
    assert relay.engine.counters.probe_answers[ProbeAnswer.STRAY] == 0
    silent = Relay(ends=0)
    silent.goes_on(130.0)
    assert silent.asked == 3, "once a minute, as long as it never answered"


@pytest.mark.row("D-6.7.1")
def test_two_lost_ends_while_reports_are_missing_end_no_session() -> None:
    relay = Relay()
    relay.reporting = set()
    relay.goes_on(5.0)
    for _ in range(3):
        relay.lost = 2
        relay.goes_on(1.0)
        assert not relay.lost and relay.lives
    relay.runs = False
    relay.goes_on(0.95)
    assert not relay.lives


@pytest.mark.row("D-6.7.1")
def test_the_last_question_has_its_time_however_seldom_the_process_is_asked() -> None:
    relay = Relay(interval=1.0)
    relay.reporting, relay.lost, relay.slow = set(), 1, 0.1
    relay.goes_on(10.0)
    assert not relay.lost and relay.lives


@pytest.mark.row("D-6.7.1")
def test_a_process_that_ends_connections_late_is_not_judged_by_that() -> None:
    relay = Relay(slow=2.0)
    relay.goes_on(3.0)
    assert relay.engine.counters.probe_answers[ProbeAnswer.ENDED]
    relay.reporting = set()
    relay.goes_on(10.0)
    assert relay.lives, "what is not there within a quarter of a second is no sign"


@pytest.mark.row("D-6.7.1")
def test_ends_that_a_busy_controller_has_not_read_are_not_missing() -> None:
    relay = Relay()
    relay.reporting = set()
    relay.goes_on(5.0)
    relay.slow = 1.0
    while relay.core.process.unanswered < MISSING_LATER:
        relay.goes_on(0.05)
    relay.now += 1.0
    relay.give(Tick())
    assert relay.lives
    relay.slow = 0.0
    relay.goes_on(5.0)
    assert relay.lives


def test_a_process_that_never_ends_its_connections_is_no_host_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steering.core.selection.process_proof.AGAIN", 0.5)
    relay = Relay(ends=0)
    for _ in range(40):
        relay.goes_on(1.0)
        assert relay.core.fault is None and len(relay.queued) <= MOST_OPEN
    assert relay.asked > 32 and relay.lives
    assert relay.engine.counters.probe_answers[ProbeAnswer.MISSED] == 0


def test_of_a_stopped_process_few_connections_wait_in_its_kernel() -> None:
    relay = Relay()
    relay.runs = False
    relay.goes_on(30.0)
    assert 3 <= relay.asked - 1 <= MOST_OPEN
    assert relay.core.fault is McpFault.FROZEN, "and they hide the answers to no further probe"
    assert relay.engine.counters.probe_answers[ProbeAnswer.MISSED] == 0


def test_a_connection_that_the_process_ends_by_a_fin_is_reset() -> None:
    relay = Relay(FIN | ACK)
    last = relay.sent_back[-1]
    relay.reporting = set()
    relay.goes_on(0.6)
    assert relay.asked > 1
    assert [one.flags & RST for one in relay.sent_back] and relay.sent_back[-1] != last


@pytest.mark.parametrize("other", ["ack", "flags", "kernel", "port", "right"])
def test_only_the_end_of_the_connection_at_its_own_port_is_a_proof(other: str) -> None:
    relay = Relay(ends=0)
    relay.reporting = set()
    relay.goes_on(0.6)
    process, way = relay.core.process, relay.engine.probes._probes[relay.site.mcps[0].id].way
    assert way is not None and not process.answers
    (gateway, address), (port, ack) = way, [*process._open][-1]
    flags = {"flags": RST, "kernel": ACK}.get(other, RST | ACK)
    frame = tcp_frame(
        address.packed, gateway.packed, SERVICE, port, seq=1, ack=5 if other == "ack" else ack, flags=flags
    )  # fmt: skip
    place = PortRef(DatapathId(3), PortNumber(2 if other == "port" else 1))
    relay.give(ProbeAnswered(place.dpid, place.port, read_handshake(frame), frame))
    assert process.answers is (other == "right")
