"""The same steering the straightforward way, as an os-ken application: what `setup_vs_naive` is measured against.

`packet.Packet` reads the segment, `OFPMatch` and `OFPFlowMod` make the entries, an event handler takes the
barrier's reply; sessions and tokens stand in dicts. It keeps out what steering does besides (bounds, refusals,
hold queue, endings, recovery, counters, scores) and the ingress qualifier of an entry's match: all of that would
make it slower. Run as a process: `naive_app.py --listen PORT --site FILE --sessions N`.
"""

import argparse
import hashlib
import json
from typing import Any, ClassVar

import eventlet

eventlet.monkey_patch()

from os_ken import cfg  # noqa: E402
from os_ken.base import app_manager  # noqa: E402
from os_ken.controller import controller, ofp_event  # noqa: E402, F401  (registers os-ken's listen options)
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls  # noqa: E402
from os_ken.lib import hub  # noqa: E402
from os_ken.lib.packet import ipv4, packet, tcp  # noqa: E402
from os_ken.ofproto import ofproto_v1_3  # noqa: E402

MPTCP = 30
CAPABLE, JOIN = 0, 1
SESSION_TABLE, LABEL_TABLE = 1, 4
PRIORITY = 40_000

FiveTuple = tuple[str, str, int, int]


class Mcp:
    """An MCP: its label, where it hangs, and its load."""

    def __init__(self, switch: int, port: int, label: str) -> None:
        self.switch, self.port, self.label = switch, port, label
        self.sessions = 0


class Session:
    """One connection from a host, with the switches of its two entries."""

    def __init__(self, flow: FiveTuple, mcp: Mcp, access: Any, gateway: Any) -> None:
        self.flow = flow
        self.mcp = mcp
        self.access = access
        self.gateway = gateway
        self.token = 0
        self.joins: list[FiveTuple] = []


class NaiveSteering(app_manager.OSKenApp):  # type: ignore[misc]
    """Steers every MPTCP connection to the MCP with the fewest sessions, and joins to their session's."""

    OFP_VERSIONS: ClassVar[list[int]] = [ofproto_v1_3.OFP_VERSION]

    def __init__(self, *args: Any, site: dict[str, Any], sessions: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mcps = [Mcp(**mcp) for mcp in site["mcps"]]
        self.gateways: dict[str, int] = site["gateways"]  # first three bytes of a server's address -> switch
        self.datapaths: dict[int, Any] = {}
        self.sessions: dict[FiveTuple, Session] = {}
        self.tokens: dict[int, Session] = {}
        self.waiting: dict[tuple[int, int], tuple[Session, Any, int]] = {}  # barrier -> what it lets go
        for number in range(sessions):
            self._remember(site["key_base"] + number, number)

    def _remember(self, key: int, number: int) -> None:
        """A session that lives already."""
        flow = (f"10.99.{number >> 8 & 255}.{number & 255}", "172.16.1.9", number >> 16, 443)
        session = Session(flow, self.mcps[number % len(self.mcps)], None, None)
        session.mcp.sessions += 1
        session.token = self.token_of(key.to_bytes(8, "big"))
        self.sessions[flow] = session
        self.tokens[session.token] = session

    @staticmethod
    def token_of(key: bytes) -> int:
        return int.from_bytes(hashlib.sha256(key).digest()[:4], "big")

    @set_ev_cls(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER])  # type: ignore[untyped-decorator]
    def switch_connected(self, event: Any) -> None:
        self.datapaths[event.datapath.id] = event.datapath

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def packet_in(self, event: Any) -> None:
        message = event.msg
        frame = packet.Packet(message.data)
        ip, segment = frame.get_protocol(ipv4.ipv4), frame.get_protocol(tcp.tcp)
        if ip is None or segment is None:
            return
        option = self.mptcp_option(segment)
        if option is None:
            return
        if segment.has_flags(tcp.TCP_SYN, tcp.TCP_ACK):
            self.syn_ack(ip, segment, option)
        elif segment.has_flags(tcp.TCP_SYN) and option[0] >> 4 == CAPABLE:
            self.capable(message, ip, segment)
        elif segment.has_flags(tcp.TCP_SYN) and option[0] >> 4 == JOIN:
            self.join(message, ip, segment, int.from_bytes(option[2:6], "big"))

    def mptcp_option(self, segment: Any) -> bytes | None:
        """The value of the MPTCP option, which os-ken does not know."""
        for option in segment.option or []:
            if option.kind == MPTCP:
                value: bytes = option.value
                return value
        return None

    def capable(self, message: Any, ip: Any, segment: Any) -> None:
        flow = (ip.src, ip.dst, segment.src_port, segment.dst_port)
        gateway = self.datapaths[self.gateways[ip.dst.rpartition(".")[0]]]
        mcp = min(self.mcps, key=lambda candidate: candidate.sessions)
        mcp.sessions += 1
        session = self.sessions[flow] = Session(flow, mcp, message.datapath, gateway)
        self.add_return(session)
        if gateway is message.datapath:
            self.release(session, message)
            return
        barrier = gateway.ofproto_parser.OFPBarrierRequest(gateway)
        gateway.send_msg(barrier)
        self.waiting[(gateway.id, barrier.xid)] = (session, message, 0)

    @set_ev_cls(ofp_event.EventOFPBarrierReply, MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def barrier_reply(self, event: Any) -> None:
        waiting = self.waiting.pop((event.msg.datapath.id, event.msg.xid), None)
        if waiting is not None:
            self.release(waiting[0], waiting[1])

    def release(self, session: Session, message: Any) -> None:
        self.add_entry(session.access, session.flow, session.mcp.label, session.token)
        self.packet_out(message, session.mcp.label)

    def syn_ack(self, ip: Any, segment: Any, option: bytes) -> None:
        session = self.sessions.get((ip.dst, ip.src, segment.dst_port, segment.src_port))
        if session is None or session.token:
            return
        session.token = self.token_of(option[2:10])
        self.tokens[session.token] = session
        self.add_return(session)
        self.add_entry(session.access, session.flow, session.mcp.label, session.token)

    def join(self, message: Any, ip: Any, segment: Any, token: int) -> None:
        session = self.tokens.get(token)
        if session is None:
            return
        flow = (ip.src, ip.dst, segment.src_port, segment.dst_port)
        session.joins.append(flow)
        self.add_entry(message.datapath, flow, session.mcp.label, token)
        self.packet_out(message, session.mcp.label)

    def add_return(self, session: Session) -> None:
        src, dst, sport, dport = session.flow
        self.add_entry(session.gateway, (dst, src, dport, sport), session.mcp.label, session.token)

    def add_entry(self, datapath: Any, flow: FiveTuple, label: str, cookie: int) -> None:
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        src, dst, sport, dport = flow
        match = parser.OFPMatch(
            eth_type=0x0800, ip_proto=6, ipv4_src=src, ipv4_dst=dst, tcp_src=sport, tcp_dst=dport
        )
        actions = [parser.OFPActionSetField(eth_dst=label), parser.OFPActionDecNwTtl()]
        instructions = [
            parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, actions),
            parser.OFPInstructionGotoTable(LABEL_TABLE),
        ]
        datapath.send_msg(
            parser.OFPFlowMod(
                datapath=datapath,
                cookie=cookie,
                table_id=SESSION_TABLE,
                priority=PRIORITY,
                match=match,
                instructions=instructions,
            )
        )

    def packet_out(self, message: Any, label: str) -> None:
        datapath = message.datapath
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        actions = [
            parser.OFPActionSetField(eth_dst=label),
            parser.OFPActionDecNwTtl(),
            parser.OFPActionOutput(ofproto.OFPP_TABLE),
        ]
        datapath.send_msg(
            parser.OFPPacketOut(
                datapath=datapath,
                buffer_id=ofproto.OFP_NO_BUFFER,
                in_port=message.match["in_port"],
                actions=actions,
                data=message.data,
            )
        )


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--site", required=True)
    parser.add_argument("--sessions", type=int, default=0)
    args = parser.parse_args()
    with open(args.site, encoding="utf-8") as file:
        site = json.load(file)
    options = ["--ofp-listen-host", "127.0.0.1", "--ofp-tcp-listen-port", str(args.listen)]
    cfg.CONF(project="os_ken", args=options, default_config_files=[])
    manager = app_manager.AppManager.get_instance()
    manager.load_apps([__name__])
    manager.instantiate_apps(site=site, sessions=args.sessions)
    while True:
        hub.sleep(1)


if __name__ == "__main__":
    main()
