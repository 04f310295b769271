"""Probes whether MCPs are alive, several times a second.

The controller needs no route to an MCP. A probe leaves from the MCP's own switch port, with the virtual gateway's address as
source. The switch sends answers to that address to the controller. If the site file names a probe port, the probe is a SYN:
a SYN/ACK proves that a process listens there, and is answered by a reset. Without a probe port, the probe is an ARP request
or neighbour solicitation, which only proves that the host is there. That a relay is not frozen, only its own reports can
prove (selection.mcp_health), or its answer to a probe that is carried on (selection.process_proof).

An answer counts if it comes from the MCP's port and address and acknowledges one of the last REMEMBERED probes. If the
controller lags, answers are late, but each still proves that the MCP was alive after the probe.

An unanswered probe does not count as missed at once, because the switch's channel may have been silent. It counts as missed
when the switch has answered a message that was sent after the probe (ProveChannel), or when the switch is off: no link to it
has carrier (network.cables). A switch that only lost its connection forwards on, so nothing is missed then. Probes of a
time when this controller was busy are ignored. Several misses in a row make the MCP gone. If its switch is off, the MCP is gone for new
sessions only: power may be back at once, so live sessions end only when the switch has been off for OFF seconds.

All probes together are at most MOST per second. With more MCPs, each is probed less often.
"""

from collections.abc import Callable, Container, Mapping
from zlib import crc32

from steering.core.counters import Counters, ProbeAnswer
from steering.core.inputs import ChannelProved, Input, ProbeAnswered
from steering.core.network.gateway_messages import VIRTUAL
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.outputs import Output, ProveChannel, SendFrame
from steering.core.part import NEVER, Handler, McpsChange, Part
from steering.core.selection.mcp_health import STALL, McpFault, McpHealth
from steering.model.ids import DatapathId, McpId
from steering.model.network import Address, Mcp
from steering.wire.craft import finish_for, reset_for, tcp_frame
from steering.wire.segment import Flags

MOST = 500.0  # probes per second, to all MCPs
PATIENCE = 0.5  # an answer has to come within this part of the interval
NEVER_SEEN = 10  # factor on the misses that make an MCP gone, if it never answered this controller
# Several ports, so that a connection that was not reset in time does not collide with the next probe.
# Some of them may be taken by questions to a process that is stopped (selection.process_proof).
SOURCE_PORTS = range(64_000, 64_032)
REMEMBERED = 8  # probes of an MCP whose answers still count; fewer than there are source ports
OFF = 0.8  # seconds for which a switch has to be off until its MCPs' live sessions end; they are told within a second
_SEQUENCE = 0xFFFF_FFFF


class McpProbe:
    """One MCP, and the last probes of it."""

    __slots__ = (
        "answered", "asked_at", "doubted", "judge_at", "known", "mcp", "missed", "next", "number", "open", "port", "refused",
        "way",
    )  # fmt: skip

    def __init__(self, mcp: Mcp, at: float) -> None:
        self.mcp = mcp
        self.way = _way(mcp)
        self.next = at
        self.number = self.port = 0
        self.open: dict[tuple[int, int], int] = {}  # source port and acknowledgement number -> probe
        self.asked_at: float | None = None  # time of the last probe; None: no probe is open
        self.judge_at = NEVER  # when the open probe has to be judged
        self.answered = False  # an answer came since the last probe
        self.refused = -REMEMBERED  # number of the last probe that was answered by a reset
        # Time of an unanswered probe, until it is known whether the switch's channel worked. None: no such probe.
        self.doubted: float | None = None
        self.missed = 0  # misses in a row
        self.known = False  # the MCP has answered at least once

    def ask(self, taken: Container[int]) -> tuple[int, int]:
        """The source port and sequence number of one more probe. If REMEMBERED probes are open, the oldest is dropped. `taken`:
        ports with connections, from which a SYN would not be answered; they are fewer than all."""
        self.number += 1
        while (port := SOURCE_PORTS[self.port % len(SOURCE_PORTS)]) in taken:
            self.port += 1
        self.port += 1
        isn = crc32(self.mcp.name.encode(), self.number)
        if len(self.open) >= REMEMBERED:
            del self.open[next(iter(self.open))]
        self.open[port, isn + 1 & _SEQUENCE] = self.number
        return port, isn


class McpProbes(Part):
    """Probes all MCPs. `health`: of each MCP, by id. `is_off`: whether a switch that does not answer is off. `is_elsewhere`: whether
    another controller decides for a switch. `enabled`: False for the negative control."""

    def __init__(
        self,
        sitemap: SiteMap,
        neighbours: Neighbours,
        switches: Switches,
        health: Mapping[McpId, McpHealth],
        counters: Counters,
        is_off: Callable[[DatapathId], bool],
        is_elsewhere: Callable[[DatapathId], bool],
        enabled: bool,
    ) -> None:
        self._map = sitemap
        self._neighbours = neighbours
        self._switches = switches
        self._health = health
        self._counters = counters
        self.enabled = enabled
        self._probes: dict[McpId, McpProbe] = {}
        self._is_off = is_off
        self._is_elsewhere = is_elsewhere
        self._off: dict[DatapathId, float] = {}  # MCPs' switches that are off -> since when
        self._slower = 1.0  # factor on all intervals
        self._ticked = 0.0
        self._begin(0.0)

    def takes(self) -> Mapping[type[Input], Handler]:
        return {ProbeAnswered: self.answer, ChannelProved: self.proved}

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """The site has other MCPs. A replaced MCP is probed as a new one."""
        for number in {*change.gone, *change.others}:
            self._probes.pop(number, None)
        self._begin(now)
        return []

    def _begin(self, now: float) -> None:
        mcps = self._map.mcps
        self._slower = max(1.0, sum(1 / mcp.probe.interval for mcp in mcps.values()) / MOST)
        before, self._probes = self._probes, {}
        for place, (number, mcp) in enumerate(mcps.items()):
            known = before.get(number)
            if known is None or known.mcp != mcp:
                # Spread the first probes over one interval.
                known = McpProbe(mcp, now + mcp.probe.interval * self._slower * place / len(mcps))
            self._probes[number] = known

    def answers(self, mcp: McpId) -> bool:
        """Whether an MCP has answered a probe, of this controller or of the one before."""
        return mcp in self._probes and self._probes[mcp].known

    def recall(self, mcp: McpId) -> None:
        """An MCP has answered probes of the controller before this one. So it is gone after as few misses as any other."""
        if mcp in self._probes:
            self._probes[mcp].known = True

    # ---- answers --------------------------------------------------------------------------------

    def answer(self, given: ProbeAnswered, now: float) -> list[Output]:
        """A segment came to the address from which probes are sent."""
        attachment, handshake = self._map.at.get((given.dpid, given.port)), given.handshake
        probe = (
            self._probes.get(attachment.part.id) if attachment and isinstance(attachment.part, Mcp) else None
        )
        if probe is not None and (outputs := self._process_said(probe, given, now)) is not None:
            return outputs
        question = None if probe is None else self._question(probe, given)
        if probe is None or question is None:
            self._counters.probe_answers[ProbeAnswer.STRAY] += 1
            return []
        if question != probe.number:
            self._counters.probe_answers[ProbeAnswer.LATE] += 1
        if handshake.flags & Flags.RST:
            probe.refused = max(probe.refused, question)
            self._counters.probe_answers[ProbeAnswer.REFUSED] += 1
            return []
        probe.answered = True
        self._counters.probe_answers[ProbeAnswer.OPEN] += 1
        health = self._health[probe.mcp.id]
        self._lives(probe, health, now)
        if question != probe.number or not health.asks_process(now):
            return [SendFrame(given.dpid, given.port, reset_for(given.frame))]
        carried_on = SendFrame(given.dpid, given.port, finish_for(given.frame))
        given_up = health.process.asked(handshake.dport, handshake.ack + 1 & _SEQUENCE, now)
        return [carried_on] if given_up is None else [carried_on, self._reset(given, *given_up)]

    @staticmethod
    def _reset(given: ProbeAnswered, port: int, seq: int) -> SendFrame:
        """Ends the connection of a question that was given up: from its source port no SYN would be answered any more."""
        handshake = given.handshake
        frame = tcp_frame(
            handshake.dst, handshake.src, port, handshake.sport, seq=seq, flags=Flags.RST, src_mac=VIRTUAL,
            dst_mac=given.frame[6:12],
        )  # fmt: skip
        return SendFrame(given.dpid, given.port, frame)

    def _process_said(self, probe: McpProbe, given: ProbeAnswered, now: float) -> list[Output] | None:
        """Take a segment of a connection by which an MCP's process is asked. Only the process ends it: what else comes is its
        kernel's acknowledgement. None for another segment."""
        handshake, process = given.handshake, self._health[probe.mcp.id].process
        flags, question = handshake.flags, (handshake.dport, handshake.ack)
        if not (flags & Flags.ACK and process.is_asked(*question) and self._is_from(probe, given)):
            return None
        if not flags & (Flags.FIN | Flags.RST):
            return []
        process.answered(*question, now)
        self._counters.probe_answers[ProbeAnswer.ENDED] += 1
        return [] if flags & Flags.RST else [SendFrame(given.dpid, given.port, reset_for(given.frame))]

    @staticmethod
    def _is_from(probe: McpProbe, given: ProbeAnswered) -> bool:
        """Whether a segment comes from the port that is probed, at the MCP's place."""
        handshake, mcp = given.handshake, probe.mcp
        if (mcp.inside.dpid, mcp.inside.port) != (given.dpid, given.port) or probe.way is None:
            return False
        gateway, address = probe.way
        said = (handshake.src, handshake.sport, handshake.dst)
        return said == (address.packed, mcp.probe.port, gateway.packed)

    @staticmethod
    def _question(probe: McpProbe, given: ProbeAnswered) -> int | None:
        """The number of the remembered probe that a segment answers, None for none."""
        handshake = given.handshake
        if not McpProbes._is_from(probe, given):
            return None
        if not (handshake.flags & Flags.ACK and handshake.flags & (Flags.SYN | Flags.RST)):
            return None
        return probe.open.get((handshake.dport, handshake.ack))

    # ---- probes ---------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Output]:
        """Judge the probes whose time is over, and send the next ones."""
        since, self._ticked = now - self._ticked, now
        stalled = since > STALL
        self._look_at_switches(stalled, now)
        outputs: list[Output] = []
        doubtful: dict[DatapathId, None] = {}  # switches, in order
        for number, probe in self._probes.items() if self.enabled else ():
            if stalled:
                self._health[number].process.stalled(since, now)
            if stalled and probe.asked_at is not None:
                probe.asked_at, probe.judge_at, probe.next = None, NEVER, now
            interval = probe.mcp.probe.interval * self._slower
            if probe.judge_at <= now:
                self._judge(probe, self._health[number], now)
                if probe.doubted is not None:
                    doubtful[probe.mcp.inside.dpid] = None
            if probe.next <= now:
                probe.next = max(probe.next, now - interval / 2) + interval
                self._heed_late(probe, self._health[number], now)
                outputs += self._ask(probe, now)
                if probe.asked_at is None and self._is_lost(probe.mcp.inside.dpid):
                    self._miss(probe, self._health[number], now)
                probe.judge_at = NEVER if probe.asked_at is None else now + interval * PATIENCE
        return [*outputs, *map(ProveChannel, doubtful)]

    def _heed_late(self, probe: McpProbe, health: McpHealth, now: float) -> None:
        """Take an answer that came after its probe was judged: it also proves that the MCP is alive."""
        in_doubt = probe.missed or probe.doubted is not None
        if probe.asked_at is not None and in_doubt and self._is_answered(probe, probe.asked_at):
            self._lives(probe, health, now)

    @staticmethod
    def _lives(probe: McpProbe, health: McpHealth, now: float) -> None:
        """The MCP is alive: it has answered a probe."""
        probe.missed, probe.known, probe.doubted = 0, True, None
        health.probed(None, now)

    def _is_answered(self, probe: McpProbe, asked_at: float) -> bool:
        if probe.mcp.probe.port is None or probe.way is None:
            return self._neighbours.transit.heard(self._map.inside[probe.mcp.id].id) >= asked_at
        return probe.answered

    def _judge(self, probe: McpProbe, health: McpHealth, now: float) -> None:
        """Judge the last probe. If it has no answer, perhaps it never reached the switch: then it is `doubted`."""
        probe.judge_at = NEVER
        if probe.asked_at is None:
            return
        if self._is_answered(probe, probe.asked_at):
            self._lives(probe, health, now)
        elif probe.mcp.inside.dpid in self._off:
            self._miss(probe, health, now)
        else:
            probe.doubted = probe.asked_at

    def proved(self, given: ChannelProved, now: float) -> list[Output]:
        """A switch's channel works, so its doubted probes that were sent before count as missed."""
        for number, probe in self._probes.items():
            if probe.mcp.inside.dpid != given.dpid or probe.doubted is None or probe.doubted > given.asked_at:
                continue
            if self._is_answered(probe, probe.doubted):
                self._lives(probe, self._health[number], now)
            else:
                self._miss(probe, self._health[number], now)
        return []

    def _look_at_switches(self, stalled: bool, now: float) -> None:
        """Note which switches of MCPs are off. When such a switch is back, missed probes of its MCPs do not count any more. After a stall
        of this controller, the time for which a switch was off begins again: messages of its neighbours may still be unread."""
        before = self._off
        switches = dict.fromkeys(probe.mcp.inside.dpid for probe in self._probes.values())
        self._off = {
            dpid: now if stalled else before.get(dpid, now)
            for dpid in switches
            if self.enabled and self._is_off(dpid)
        }
        if not before and not self._off:
            return
        for number, probe in self._probes.items():
            dpid, health = probe.mcp.inside.dpid, self._health[number]
            if dpid in before and dpid not in self._off:
                probe.missed = 0
            elif dpid in self._off and now >= self._off[dpid] + OFF:
                if health.waits_for_switch or self._is_lost(dpid):
                    health.probed(McpFault.HOST_GONE, now)

    def _is_lost(self, dpid: DatapathId) -> bool:
        """Whether a switch is off, and its connection to this controller is lost: no probe is possible."""
        return dpid in self._off and not self._switches.is_connected(dpid) and not self._is_elsewhere(dpid)

    def _fault(self, dpid: DatapathId, refused: bool, health: McpHealth, now: float) -> McpFault:
        if refused:
            return McpFault.PROCESS_GONE
        was_dead = health.fault in (McpFault.HOST_GONE, McpFault.PROCESS_GONE)  # before its switch was off
        if not was_dead and dpid in self._off and now < self._off[dpid] + OFF:
            return McpFault.SWITCH_OFF
        return McpFault.HOST_GONE

    def _miss(self, probe: McpProbe, health: McpHealth, now: float) -> None:
        probe.doubted = None
        probe.missed += 1
        self._counters.probe_answers[ProbeAnswer.MISSED] += 1
        if probe.missed >= probe.mcp.probe.misses * (1 if probe.known else NEVER_SEEN):
            refused = probe.number - probe.refused < REMEMBERED
            health.probed(self._fault(probe.mcp.inside.dpid, refused, health, now), now)

    def _ask(self, probe: McpProbe, now: float) -> list[Output]:
        port, waypoint = probe.mcp.inside, self._map.inside[probe.mcp.id].id
        mac = self._neighbours.transit.mac_of(waypoint)
        switch = self._switches.get(port.dpid)
        if mac is None or switch is None or not switch.filled or not switch.ports.get(port.port, False):
            probe.asked_at = None  # a probe is not possible; other parts report why
            return []
        probe.asked_at, probe.answered = now, False
        if probe.mcp.probe.port is None or probe.way is None:
            return self._neighbours.transit.question(waypoint)
        sport, isn = probe.ask(self._health[probe.mcp.id].process.ports())
        gateway, address = probe.way
        frame = tcp_frame(
            gateway.packed, address.packed, sport, probe.mcp.probe.port, seq=isn, src_mac=VIRTUAL, dst_mac=mac,
        )  # fmt: skip
        return [SendFrame(port.dpid, port.port, frame)]


def _way(mcp: Mcp) -> tuple[Address, Address] | None:
    """Source and destination of a SYN probe: an address of the virtual gateway, and one of the MCP of the same family. None
    if there is no such pair."""
    pairs = ((gateway, address) for address in mcp.addresses for gateway in mcp.gateways)
    return next((pair for pair in pairs if pair[0].version == pair[1].version), None)
