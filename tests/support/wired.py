"""Whole handshakes as frames through fake switches: what they copy is read and given to the engine."""

from steering.model.policy import Authentication, Policy, PolicyRule, RuleConditions, Terms
from steering.model.rules import VIRTUAL_MAC
from steering.openflow.dispatch import Dispatch
from steering.openflow.messages.packetin import PacketIn
from steering.wire.craft import tcp_frame
from steering.wire.crypto import join_ack_hmac, join_syn_ack_hmac, token
from steering.wire.mptcp import MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck
from steering.wire.options import pack_options
from steering.wire.segment import Flags, Segment, read_segment
from tests.support.fakes.network import Delivery
from tests.support.fakes.packet import packet_of
from tests.support.sites import KEY, SERVER, UE_LTE, UE_WLAN, packed
from tests.support.switched import MCP_MAC, UE_MAC, WLAN_MAC, Lab

HOST_KEY = bytes.fromhex("c9860dfe1c8da533")  # a host's key captured beside KEY
NONCE, MCP_NONCE = bytes.fromhex("784013b4"), bytes.fromhex("c0f227d4")
SYN, SYN_ACK, ACK = int(Flags.SYN), int(Flags.SYN | Flags.ACK), int(Flags.ACK)
ISN, MCP_ISN = 1000, 0xFFFF_FFFF  # the MCP's sequence numbers wrap at once
MACS = {UE_LTE: UE_MAC, UE_WLAN: WLAN_MAC, "fd00:1::2": UE_MAC, "fd00:2::2": WLAN_MAC}
EDGE = {UE_LTE: 1, UE_WLAN: 2, "fd00:1::2": 1, "fd00:2::2": 2}


def proving(**more) -> Policy:
    """Every session wants its joins to prove the keys."""
    return Policy(
        rules=(PolicyRule("hmac", RuleConditions(), Terms(authentication=Authentication.HMAC)),), **more
    )


def raw(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


class Wired(Lab):
    """`host_key` and `mcp_key` are what either end uses."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.dispatch = Dispatch(self.engine.counters, lambda *heard: None)
        self.host_key, self.mcp_key, self.version = HOST_KEY, KEY, 1

    def do(self, given) -> list[Delivery]:
        return self.apply(self.give(given))

    def apply(self, outputs) -> list[Delivery]:
        return [d for output in outputs for d in self._carry(self.network.apply(output))]

    def arrive(self, dpid: int, port: int, frame: bytes) -> list[Delivery]:
        """A frame comes in at a port; all that leaves the network in the end."""
        return self._carry(self.network.send(dpid, port, packet_of(frame)))

    def _carry(self, result) -> list[Delivery]:
        deliveries = list(result.deliveries)
        for copy in result.copies:
            packet = PacketIn(copy.cookie, copy.packet_class, copy.in_port, copy.table, 1, copy.packet.frame)
            given = self.dispatch.read(copy.dpid, packet, self.now)
            if given is not None:
                deliveries += self.do(given)
        return deliveries

    def upward(
        self, src: str, sport: int, option: bytes = b"", dst: str = SERVER, flags: int = ACK, **more
    ) -> list[Delivery]:
        """A segment of a host, by default one after its SYN."""
        values = {"seq": ISN if flags == SYN else ISN + 1, "ack": 0 if flags == SYN else MCP_ISN + 1} | more
        frame = tcp_frame(
            packed(src), packed(dst), sport, 5201, flags=flags, options=pack_options(option),
            src_mac=raw(MACS[src]), dst_mac=raw(VIRTUAL_MAC), **values,
        )  # fmt: skip
        return self.arrive(EDGE[src], 1, frame)

    def downward(self, src: str, sport: int, option: bytes, dst: str = SERVER) -> list[Delivery]:
        """The MCP's SYN/ACK."""
        frame = tcp_frame(
            packed(dst), packed(src), 5201, sport, flags=SYN_ACK, seq=MCP_ISN, ack=ISN + 1, options=option,
            src_mac=raw(MCP_MAC), dst_mac=raw(VIRTUAL_MAC),
        )  # fmt: skip
        return self.arrive(3, 1, frame)

    def open(self, src: str = UE_LTE, sport: int = 40000, dst: str = SERVER):
        """SYN and SYN/ACK; the session."""
        offer = MpCapable(self.version, b"" if self.version else self.host_key)
        self.upward(src, sport, offer.encode(), dst, SYN)
        (session,) = [s for s in self.table if s.first[-4:-2] == sport.to_bytes(2, "big")]
        self.downward(src, sport, MpCapable(self.version, self.mcp_key).encode(), dst)
        return session

    def third_ack(self, src: str = UE_LTE, sport: int = 40000, dst: str = SERVER, **more) -> list[Delivery]:
        return self.upward(
            src, sport, MpCapable(self.version, self.host_key, self.mcp_key, **more).encode(), dst
        )

    def established(self, src: str = UE_LTE, sport: int = 40000, dst: str = SERVER):
        session = self.open(src, sport, dst)
        self.third_ack(src, sport, dst)
        return session

    def join(self, src: str = UE_WLAN, sport: int = 50000, dst: str = SERVER) -> list[Delivery]:
        """A join's SYN and SYN/ACK; what the SYN became."""
        token_ = token(self.version, self.mcp_key)
        went = self.upward(src, sport, MpJoinSyn(1, token_, NONCE).encode(self.version), dst, SYN)
        hmac = join_syn_ack_hmac(self.version, self.host_key, self.mcp_key, NONCE, MCP_NONCE)
        self.downward(src, sport, MpJoinSynAck(0, hmac, MCP_NONCE).encode(self.version), dst)
        return went

    def proof(self, hmac: bytes | None = None, src: str = UE_WLAN, sport: int = 50000, **more):
        """The join's third ACK, by default with the right HMAC."""
        if hmac is None:
            hmac = join_ack_hmac(self.version, self.host_key, self.mcp_key, NONCE, MCP_NONCE)
        return self.upward(src, sport, MpJoinAck(hmac).encode(self.version), **more)

    def watches(self, dpid: int) -> list[int]:
        """What a switch's session entries show."""
        return [entry.watch for entry in self.network[dpid].entries()]


def resets(deliveries: list[Delivery], dpid: int, port: int = 1) -> list[Segment]:
    """The resets among what left at a port."""
    return [segment for segment in _left(deliveries, dpid, port) if segment.flags & Flags.RST]


def at_mcp(deliveries: list[Delivery]) -> list[Segment]:
    return _left(deliveries, 3, 1)


def _left(deliveries: list[Delivery], dpid: int, port: int) -> list[Segment]:
    """TCP only: an MCP's neighbour probes leave too."""
    here = [d.packet for d in deliveries if (d.dpid, d.port) == (dpid, port)]
    return [read_segment(packet.frame) for packet in here if packet.tcp_flags is not None]
