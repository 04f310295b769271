"""The lab's site as a record, and handshakes to feed an engine with."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from steering.core.engine import Engine
from steering.core.inputs import (
    Continue,
    EntriesRead,
    ObservedEntry,
    Restored,
    SwitchUp,
    SynAckSeen,
    SynSeen,
    Tick,
)
from steering.core.outputs import FillSwitch, GoOn, SendFrame, Steer, SyncRules
from steering.core.packet_inputs import NeighbourSeen
from steering.model.kept import KeptState
from steering.model.network import (
    AccessNetwork,
    Gateway,
    Interception,
    Link,
    Mcp,
    McpType,
    NetworkAccessType,
    PortRef,
    Site,
    Trust,
)
from steering.model.policy import Policy
from steering.model.source import TRANSPARENT
from steering.wire.craft import tcp_frame
from steering.wire.crypto import token
from steering.wire.decode import mptcp_options
from steering.wire.handshake import Handshake, Kind
from steering.wire.segment import read_segment

KEY = bytes.fromhex("1b6ffbbde3984628")
TOKEN = token(1, KEY)
UE_LTE, UE_WLAN, SERVER = "10.1.0.2", "10.2.0.2", "10.9.0.2"
SYN, SYN_ACK, FIN = 0x02, 0x12, 0x11


def packed(text: str) -> bytes:
    return ip_address(text).packed


def nets(*texts: str):
    return tuple(ip_network(t) for t in texts)


def firsts(*texts: str):
    return tuple(ip_network(t).network_address + 1 for t in texts)


def access(name: str, ports: list[PortRef], *prefixes: str) -> AccessNetwork:
    return AccessNetwork(
        name, NetworkAccessType.WLAN, Trust.OPERATOR, nets(*prefixes), tuple(ports), firsts(*prefixes)
    )


def mcp(name: str, port: PortRef, *addresses: str, capacity: int = 10_000) -> Mcp:
    return Mcp(
        name,
        McpType.OFF_PATH,
        port,
        port,
        Interception.STEERED,
        tuple(ip_address(a) for a in addresses),
        tuple(
            ip_network(f"{a}/{24 if '.' in a else 64}", strict=False).network_address + 1 for a in addresses
        ),
        TRANSPARENT,
        capacity,
    )


def link(a: str, b: str, weight: float = 1.0) -> Link:
    (da, pa), (db, pb) = ((int(n) for n in end.split(":")) for end in (a, b))
    return Link(PortRef(da, pa), PortRef(db, pb), weight)


def off_path_site(**changes) -> Site:
    """LTE s1 - s3 (MCP core) - s4 gateway; WLAN s2 - s4; decoy MCP edge on s5 behind s4."""
    parts = {
        "access_networks": (
            access("lte", [PortRef(1, 1)], "10.1.0.0/24", "fd00:1::/64"),
            access("wlan", [PortRef(2, 1)], "10.2.0.0/24", "fd00:2::/64"),
        ),
        "gateways": (
            Gateway(
                "internet",
                nets("10.9.0.0/24", "fd00:9::/64"),
                (PortRef(4, 1),),
                firsts("10.9.0.0/24", "fd00:9::/64"),
            ),
        ),
        "mcps": (
            mcp("core", PortRef(3, 1), "10.8.0.2", "fd00:8::2"),
            mcp("edge", PortRef(5, 1), "10.8.1.2", "fd00:18::2"),
        ),
        "links": (link("1:2", "3:2"), link("3:3", "4:2"), link("2:2", "4:3"), link("4:4", "5:2")),
        "switches": {f"s{n}": n for n in range(1, 6)},
        "discover": False,
    }
    return Site(**(parts | changes))


def handshake(
    src: str, sport: int, dst: str = SERVER, dport: int = 5201, flags: int = SYN, **more
) -> Handshake:
    family = ip_address(src).version
    defaults = {
        "kind": Kind.PLAIN, "version": 0, "key": b"", "peer_key": b"", "token": b"", "address_id": 0,
        "backup": False, "nonce": b"", "deny_join": False, "uncommon": False, "options_length": 24, "payload_offset": 78 if family == 4 else 98,
        "seq": 1000, "ack": 0,
    }  # fmt: skip
    return Handshake(
        family=family,
        src=packed(src),
        dst=packed(dst),
        sport=sport,
        dport=dport,
        flags=flags,
        **(defaults | more),
    )


def capable(src: str, sport: int, dst: str = SERVER, **more) -> Handshake:
    return handshake(src, sport, dst, kind=Kind.CAPABLE, version=1, **more)


def join(src: str, sport: int, token_: bytes = TOKEN, dst: str = SERVER, **more) -> Handshake:
    return handshake(src, sport, dst, kind=Kind.JOIN, token=token_, **more)


def answer(to: Handshake, key: bytes = KEY) -> Handshake:
    kind = Kind.CAPABLE if key else Kind.PLAIN
    return to._replace(
        src=to.dst,
        dst=to.src,
        sport=to.dport,
        dport=to.sport,
        flags=SYN_ACK,
        kind=kind,
        key=key,
        version=1,
        ack=to.seq + 1 & 0xFFFF_FFFF,
    )


class Driver:
    """An engine with its switches up and its MCPs resolved, at a time the test sets."""

    engine_type: type[Engine] = Engine
    behind: tuple[SyncRules, ...] = ()  # what changes at switches behind a filling

    def __init__(
        self, site: Site | None = None, policy: Policy | None = None, kept: KeptState | None = None, **options
    ) -> None:
        self.site = site or off_path_site()
        self.engine = self.engine_type(self.site, policy or Policy(), epoch=7, **options)
        self.now = 100.0
        if kept is not None:
            self.engine.handle(Restored(kept), self.now)
        self.fills: dict[int, FillSwitch] = {}
        dpids = sorted(
            {p.dpid for p in self.engine.map.attachments}
            | {end.dpid for item in self.site.links for end in (item.a, item.b)}
        )
        for dpid in dpids:
            self.up(dpid)
        self.mcps_answer()

    def mcps_answer(self) -> None:
        for one in self.site.mcps:
            for place in {one.inside, one.outside}:
                mac = bytes([2, 0, 0, 8, place.dpid, place.port])
                self.give(NeighbourSeen(place.dpid, place.port, one.addresses[0].packed, mac))

    def later(self, seconds: float):
        """Time goes by, the MCPs answer their probes; what the tick then brings."""
        self.now += seconds
        self.mcps_answer()
        return self.give(Tick())

    def give(self, given):
        """What comes out, slices that the engine asks to go on with included."""
        outputs = self.engine.handle(given, self.now)
        while any(isinstance(output, GoOn) for output in outputs):
            more = self.engine.handle(Continue(), self.now)
            outputs = [*(output for output in outputs if not isinstance(output, GoOn)), *more]
        return outputs

    def up(self, dpid: int, entries: Iterable[ObservedEntry] = (), hosts=()) -> FillSwitch:
        ports = {p.port: True for p in self.engine.map.attachments if p.dpid == dpid}
        ports |= {e.port: True for item in self.site.links for e in (item.a, item.b) if e.dpid == dpid}
        self.give(SwitchUp(dpid, ports))
        outputs = self.give(EntriesRead(dpid, list(entries), list(hosts)))
        (fill,) = [output for output in outputs if isinstance(output, FillSwitch)]
        left = (sync for sync in self.behind if sync.dpid != dpid)
        self.behind = (*left, *(output for output in outputs if isinstance(output, SyncRules)))
        self.fills[dpid] = fill
        return fill

    def syn(self, dpid: int, port: int, seen: Handshake):
        return self.give(SynSeen(dpid, port, seen, self.frame(seen)))

    @staticmethod
    def frame(seen: Handshake) -> bytes:
        """A frame of these addresses, ports and sequence number; its options do not matter here."""
        return tcp_frame(seen.src, seen.dst, seen.sport, seen.dport, seq=seen.seq)

    def syn_ack(self, dpid: int, port: int, seen: Handshake):
        return self.give(SynAckSeen(dpid, port, seen))

    def session(self, src: str = UE_LTE, sport: int = 40000, key: bytes = KEY, dpid: int = 1):
        """A whole set-up; the session."""
        session = self.answered(src, sport, key, dpid)
        self.life.heard(session)
        return session

    def answered(self, src: str = UE_LTE, sport: int = 40000, key: bytes = KEY, dpid: int = 1):
        """A set-up without the host's third ACK; the session."""
        opening = capable(src, sport)
        self.syn(dpid, 1, opening)
        session = self.table.flows[
            opening.src + opening.dst + sport.to_bytes(2, "big") + (5201).to_bytes(2, "big")
        ].session
        place = self.engine.map.inside[session.mcp].port
        self.syn_ack(place.dpid, place.port, answer(opening, key))
        return session

    @property
    def table(self):
        return self.engine.sessions.table

    @property
    def life(self):
        return self.engine.sessions.life

    @property
    def counters(self):
        return self.engine.counters


def steered(outputs) -> Steer:
    (only,) = [o for o in outputs if isinstance(o, Steer)]
    return only


def refused(outputs) -> tuple[int, bool]:
    """Reason and T flag of the one reset that answers a refused SYN (RFC 8684 3.6)."""
    (only,) = outputs
    assert isinstance(only, SendFrame)
    (option,) = mptcp_options(read_segment(only.frame).options, 1)
    return option.reason, option.transient
