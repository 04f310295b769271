"""An MCP that is asked whether it lives: what its machine answers, and when the answer arrives."""

from dataclasses import replace

from steering.core.inputs import ChannelProved, LinkUp, Tick
from steering.core.outputs import ProveChannel
from steering.core.selection.mcp_health import Health
from steering.model.network import PortRef, Probe
from steering.wire.craft import tcp_frame
from steering.wire.segment import Flags, Segment, read_segment
from tests.support.fakes.network import Delivery
from tests.support.sites import off_path_site
from tests.support.switched import MCP_MAC
from tests.support.wired import Wired, raw

SERVICE = 5201


class Probed(Wired):
    """`hosts`: MCPs whose machine answers ARP; `listens`: whether somebody does at the port that is probed. `cables`: whether
    the site file names links. `discovers`: whether links are found instead."""

    def __init__(
        self,
        port: int | None = SERVICE,
        outside: PortRef | None = None,
        cables: bool = True,
        discovers: bool = False,
        interval: float = 0.2,
        **more,
    ) -> None:
        self.hosts, self.listens, self.questions = set[str](), True, 0  # nobody answers while it is made
        self.last: Segment | None = None
        self.lag = 0.0  # seconds after which answers reach the controller
        self.underway: list[tuple[float, Segment]] = []
        # Whether the channel to the MCP's switch carries nothing, and is not lost either.
        self.is_silent = False
        core, edge = off_path_site().mcps
        core = replace(core, probe=Probe(port, interval), outside=outside or core.outside)
        told = {} if cables and not discovers else {"links": (), "discover": discovers}
        super().__init__(off_path_site(mcps=(core, edge), **told), **more)
        for one in off_path_site().links if discovers else ():
            self.apply(self.give(LinkUp(one.a, one.b)) + self.give(LinkUp(one.b, one.a)))
        self.hosts |= {"core", "edge"}
        super().mcps_answer()

    def mcps_answer(self) -> None:
        everyone = self.site.mcps
        # Only those whose machine is there; the attribute is there from the first call on.
        self.site = replace(self.site, mcps=tuple(m for m in everyone if m.name in self.hosts))
        super().mcps_answer()
        self.site = replace(self.site, mcps=everyone)

    def _carry(self, result) -> list[Delivery]:
        deliveries = super()._carry(result)
        for delivery in result.deliveries:
            if (delivery.dpid, delivery.port) == (3, 1) and delivery.packet.tcp_flags == Flags.SYN:
                self.questions += 1
                self.last = read_segment(delivery.packet.frame)
                if "core" in self.hosts and self.lag:
                    self.underway.append((self.now + self.lag, self.last))
                elif "core" in self.hosts:
                    deliveries += self.answer(self.last)
        return deliveries

    def answer(self, asked: Segment, **other) -> list[Delivery]:
        flags = Flags.SYN | Flags.ACK if self.listens else Flags.RST | Flags.ACK
        values = {"seq": 99, "ack": asked.seq + 1, "flags": int(flags)} | other
        frame = tcp_frame(
            asked.dst, asked.src, asked.dport, asked.sport, src_mac=raw(MCP_MAC), dst_mac=raw("02:53:47:00:00:01"), **values,
        )  # fmt: skip
        return self.arrive(3, 1, frame)

    def pass_by(self, seconds: float, step: float = 0.05) -> None:
        for _ in range(round(seconds / step)):
            self.now += step
            self.mcps_answer()
            while self.underway and self.underway[0][0] <= self.now + 1e-9:
                self.answer(self.underway.pop(0)[1])
            outputs = self.give(Tick())
            if not self.is_silent:
                self.apply(outputs)
                for proof in (output for output in outputs if isinstance(output, ProveChannel)):
                    self.apply(self.give(ChannelProved(proof.dpid, self.now)))

    @property
    def core(self):
        return self.engine.chooser.health[self.site.mcps[0].id]

    def state(self) -> Health:
        return self.engine.chooser.state(self.site.mcps[0].id, self.now)
