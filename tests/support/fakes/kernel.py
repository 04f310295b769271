"""Ends of TCP connections that answer as a kernel does (RFC 9293 3.10.7.4, RFC 5961), and the network that brings it
to them."""

from steering.core.inputs import Tick
from steering.model.rules import VIRTUAL_MAC
from steering.wire.craft import tcp_frame
from steering.wire.decode import mptcp_options
from steering.wire.mptcp import MpFastclose
from steering.wire.segment import Flags, Segment, read_segment
from tests.support.fakes.network import Delivery
from tests.support.sites import SERVER, UE_LTE, packed
from tests.support.switched import SERVER_MAC
from tests.support.wired import ISN, MACS, MCP_ISN, Wired, raw

ACK, RST, SYN = Flags.ACK, Flags.RST, Flags.SYN
_SEQUENCE = 1 << 32


class TcpEnd:
    """`place`: where its segments come in (datapath id, port). `mute`: a firewall lets nothing of it out but data;
    `key`: of MPTCP, without which MP_FASTCLOSE is no more than a reset."""

    def __init__(
        self, address: str, port: int, peer: str, peer_port: int, place: tuple[int, int], mac: str, *,
        sends: int, expects: int, listens: bool = False, mute: bool = False, key: bytes = b"",
    ) -> None:  # fmt: skip
        self.flow = (packed(address), port, packed(peer), peer_port)
        self.place, self.mac = place, mac
        self.sends, self.expects = sends % _SEQUENCE, expects % _SEQUENCE
        self.listens, self.mute, self.key = listens, mute, key
        self.lives = True
        self.told_by: Segment | None = None  # the reset that it believed
        self.heard: list[Segment] = []

    @property
    def fastclosed(self) -> bool:
        """Whether it was told by MP_FASTCLOSE with its own key."""
        return self.told_by is not None and mptcp_options(self.told_by.options) == [MpFastclose(self.key)]

    def is_for(self, segment: Segment) -> bool:
        return (segment.dst, segment.dport, segment.src, segment.sport) == self.flow

    def frame(self, flags: int, payload: bytes = b"", *, seq: int = -1, ack: int = -1) -> bytes:
        source, port, peer, peer_port = self.flow
        return tcp_frame(
            source, peer, port, peer_port, flags=flags, payload=payload,
            seq=self.sends if seq < 0 else seq, ack=self.expects if ack < 0 else ack,
            src_mac=raw(self.mac), dst_mac=raw(VIRTUAL_MAC),
        )  # fmt: skip

    def take(self, segment: Segment) -> bytes | None:
        """What its kernel answers to a segment."""
        self.heard.append(segment)
        answer = self._take(segment)
        return None if self.mute else answer

    def _take(self, segment: Segment) -> bytes | None:
        if not self.lives:
            if segment.flags & RST:
                return None
            if self.listens and segment.flags & SYN:
                return self.frame(SYN | ACK, seq=77, ack=segment.seq + 1)
            return self.frame(RST | ACK, seq=0, ack=segment.seq + 1)
        if segment.flags & SYN or segment.payload:
            return self.frame(ACK)
        if segment.flags & RST:
            if segment.seq != self.expects:
                return self.frame(ACK)
            self.lives, self.told_by = False, segment
        return None


class LivingLab(Wired):
    """The fake network with kernels at its edges; what is delivered to one is answered at once."""

    def __init__(self, *args, **options) -> None:
        self.ends: list[TcpEnd] = []
        super().__init__(*args, **options)

    def _carry(self, result) -> list[Delivery]:
        deliveries = super()._carry(result)
        for delivery in result.deliveries:
            if delivery.packet.tcp_flags is None:
                continue
            segment = read_segment(delivery.packet.frame)
            for end in self.ends:
                if end.place == (delivery.dpid, delivery.port) and end.is_for(segment):
                    answer = end.take(segment)
                    if answer is not None:
                        deliveries += self.arrive(*end.place, answer)
        return deliveries

    def pass_by(self, seconds: float, step: float = 0.05) -> None:
        """Time goes by in ticks, and the MCPs answer their neighbours as long as they are not silenced."""
        for _ in range(round(seconds / step)):
            self.now += step
            self.mcps_answer()
            self.apply(self.give(Tick()))

    def host(self, address: str = UE_LTE, port: int = 40000, peer: str = SERVER, **more) -> TcpEnd:
        """The host's end of a subflow as `established` and `join` leave it."""
        dpid = {UE_LTE: 1, "fd00:1::2": 1}.get(address, 2)
        values = {"sends": ISN + 1, "expects": MCP_ISN + 1, "key": self.host_key} | more
        end = TcpEnd(address, port, peer, 5201, (dpid, 1), MACS[address], **values)
        self.ends.append(end)
        return end

    def server(self, address: str = SERVER, peer: str = UE_LTE, port: int = 40000, **more) -> TcpEnd:
        """The server's end of a transparent server leg; it listens."""
        values = {"sends": 9_000, "expects": 5_000, "listens": True} | more
        end = TcpEnd(address, 5201, peer, port, (4, 1), SERVER_MAC, **values)
        self.ends.append(end)
        return end

    def mcp(self, address: str, port: int, peer: str, peer_port: int, sends: int, expects: int) -> TcpEnd:
        """One of the MCP's own ends: it has another's address."""
        end = TcpEnd(
            address, port, peer, peer_port, (3, 1), "02:00:00:08:03:01", sends=sends, expects=expects
        )
        self.ends.append(end)
        return end
