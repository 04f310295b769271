"""Random traffic of switches, as bytes: what hosts, MCPs and servers send, in usual forms and in others."""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from struct import Struct

from steering.core.sessions.records import Session, Subflow
from steering.model.rules import OWNER, CookieKind, PacketClass
from steering.openflow.fastpath import layouts
from steering.openflow.fastpath.layouts import Option
from steering.wire.craft import tcp_frame
from tests.support.sites import packed

HOSTS = {1: ("10.1.0.2", "10.1.0.3", "10.1.0.20", "fd00:1::2"), 2: ("10.2.0.2", "10.2.0.3", "fd00:2::2")}
SERVERS4, OTHERS4 = ("10.9.0.2", "10.9.0.3"), ("10.8.0.2", "10.8.1.2", "10.1.0.9", "192.0.2.1")
SERVERS6, OTHERS6 = ("fd00:9::2", "fd00:9::3"), ("fd00:8::2",)
PORTS = (5201, 5201, 80, 443, 22, 5005)
ORDERS = ((layouts.LINUX, ()), (layouts.LINUX_NO_TIMESTAMPS, ()), (layouts.APPLE, layouts.APPLE_REST))
KEYS = tuple(bytes([n]) * 8 for n in range(1, 30))
SYN, SYN_ACK, FIN, RST, ACK = 0x02, 0x12, 0x11, 0x04, 0x10
_HEAD = Struct("!BBHI IHBBQ HHIIIQ 2x")
_BARE = Struct("!BBHI IHBBQ HHII 4x 2x")


def packet_in(kind: PacketClass, port: int, frame: bytes, usual: bool = True, xid: int = 0) -> bytes:
    """A packet-in as Open vSwitch sends it; not `usual`: without metadata in its match."""
    cookie = (OWNER << 4 | CookieKind.STATIC) << 52 | 7 << 32 | kind
    if usual:
        head: tuple[int, ...] = (len(frame), 1, 2, cookie, 1, 24, 0x8000_0004, port, 0x8000_0408, 1 << 16)
        return _HEAD.pack(4, 10, _HEAD.size + len(frame), xid, 0xFFFF_FFFF, *head) + frame
    head = (len(frame), 1, 2, cookie, 1, 12, 0x8000_0004, port)
    return _BARE.pack(4, 10, _BARE.size + len(frame), xid, 0xFFFF_FFFF, *head) + frame


class Traffic:
    """Messages by chance. Some connections meet one another. `mcps`: MCP id -> the switch that it hangs at."""

    def __init__(self, chance: random.Random, mcps: Mapping[int, int]) -> None:
        self._chance = chance
        self._mcps = mcps
        self.sessions: list[Session] = []  # whose joins and answers may come

    def option(self, kind: Option) -> bytes:
        """An option with anything where anything may stand."""
        free = bytes(self._chance.randrange(256) for _ in kind.value)
        return bytes(v & m | f & ~m & 0xFF for v, m, f in zip(kind.value, kind.mask, free, strict=True))

    def options(self, mptcp: bytes) -> bytes:
        before, after = self._chance.choice(ORDERS)
        found = [self.option(one) for one in before], [self.option(one) for one in after]
        if self._chance.random() < 0.1:  # an order of its own
            self._chance.shuffle(found[0])
        whole = b"".join(found[0]) + mptcp + b"".join(found[1])
        if self._chance.random() < 0.05:
            whole += self._chance.choice(
                (b"\x22\x02", b"\x13\x12" + bytes(16), b"\xfd\x04ab", mptcp[:4], b"\0\7")
            )
        return whole[:40] + bytes(-len(whole[:40]) % 4)

    def frame(self, key: tuple[bytes, bytes, int, int], flags: int, options: bytes, **more: int) -> bytes:
        chance = self._chance
        tags = ((0x8100, 5),) if chance.random() < 0.02 else ()
        payload = b"data" if chance.random() < 0.05 else b""
        if chance.random() < 0.05:
            flags |= chance.choice((0x40, 0xC0, 0x08, 0x04, 0x20))
        made = bytearray(tcp_frame(*key, flags=flags, options=options, payload=payload, tags=tags, **more))
        if chance.random() < 0.04:  # anything may be wrong with it
            made[chance.randrange(12, len(made))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.02:
            del made[chance.randrange(30, len(made)) :]
        if chance.random() < 0.2:
            made[15] = chance.randrange(256) if made[12:14] == b"\x08\0" else made[15]  # DSCP
        return bytes(made)

    def message(self, kind: PacketClass, port: int, frame: bytes) -> bytes:
        return packet_in(kind, port, frame, self._chance.random() > 0.04)

    def host(self) -> tuple[int, tuple[bytes, bytes, int, int]]:
        """A host's access switch, and a connection of its."""
        chance = self._chance
        dpid = chance.choice((1, 1, 1, 2, 2))
        host = chance.choice(HOSTS[dpid])
        servers, others = (SERVERS6, OTHERS6) if ":" in host else (SERVERS4, OTHERS4)
        target = chance.choice(servers if chance.random() < 0.92 else others)
        source_port = 40_000 + chance.randrange(8 if chance.random() < 0.2 else 4_000)
        return dpid, (packed(host), packed(target), source_port, chance.choice(PORTS))

    def syn(self) -> tuple[int, bytes]:
        """A first SYN, a join or a plain SYN."""
        chance = self._chance
        dpid, key = self.host()
        what = chance.random()
        if what < 0.6:
            mptcp = self.option(chance.choice((layouts.CAPABLE_V1, layouts.CAPABLE_V1, layouts.CAPABLE_V0)))
        elif what < 0.95:
            mptcp = self.option(layouts.JOIN)
            known = (
                [one for one in self.sessions if one.token >= 0] if chance.random() < 0.9 else self.sessions
            )
            if known:
                session = chance.choice(known)
                token, there = max(session.token, 0), session.flow
                mptcp = mptcp[:4] + token.to_bytes(4, "big") + mptcp[8:]
                if len(key[0]) == len(there.destination) and chance.random() < 0.9:
                    key = (key[0], there.destination, key[2], there.destination_port)
        else:
            mptcp = b""
        frame = self.frame(
            key, SYN, self.options(mptcp), seq=chance.choice((1, 2, 0xFFFF_FFFF)) * 1000 & 0xFFFF_FFFF
        )
        return dpid, self.message(PacketClass.SYN, 1, frame)

    def of_flow(self, subflow: Subflow) -> tuple[int, bytes]:
        """An answer to a subflow, or its end."""
        chance, flow = self._chance, subflow.flow
        there = (flow.source, flow.destination, flow.source_port, flow.destination_port)
        back = (flow.destination, flow.source, flow.destination_port, flow.source_port)
        mcp = self._mcps.get(subflow.session.mcp, 3) if chance.random() < 0.92 else chance.choice((3, 5))
        if chance.random() < 0.6:
            kind = chance.choice((layouts.CAPABLE_KEY_V1, layouts.CAPABLE_KEY_V1, layouts.CAPABLE_KEY_V0))
            mptcp = self.option(kind)[:4] + chance.choice(KEYS) if chance.random() < 0.9 else b""
            ack = subflow.isn + chance.choice((1,) * 12 + (0, 77)) & 0xFFFF_FFFF
            frame = self.frame(back, SYN_ACK, self.options(mptcp), ack=ack)
            return mcp, self.message(PacketClass.SYN_ACK, 1, frame)
        stamped = chance.choice(((), (layouts.NOP, layouts.NOP, layouts.TIMESTAMPS)))
        options = b"".join(
            map(self.option, [*stamped, *chance.choice(((), *((one,) for one in layouts.DSS)))])
        )
        flags, seq, ack = chance.choice((FIN, FIN, RST, RST | ACK)), chance.randrange(3), chance.randrange(3)
        if chance.random() < 0.5:
            frame = self.frame(there, flags, options, seq=seq + 2, ack=ack + 1)
            return subflow.dpid, self.message(PacketClass.FIN, 1, frame)
        return mcp, self.message(
            PacketClass.FIN, 1, self.frame(back, flags, options, seq=seq + 1, ack=ack + 2)
        )


def barriers(written: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """The replies to the barrier requests in what switches were sent."""
    for dpid, data in written:
        at = 0
        while at < len(data):
            if data[at + 1] == 20:
                yield dpid, b"\4\25" + data[at + 2 : at + 8]
            at += int.from_bytes(data[at + 2 : at + 4], "big")


def every_usual() -> Iterator[tuple[str, bytes]]:
    """Each kind of a message in each order of options and each family, with its name."""
    traffic = Traffic(random.Random(1), {})
    kinds = {
        "first SYN": (SYN, PacketClass.SYN, layouts.CAPABLE_V1), "first SYN, version 0": (SYN, PacketClass.SYN, layouts.CAPABLE_V0),
        "join": (SYN, PacketClass.SYN, layouts.JOIN),
        "SYN/ACK": (SYN_ACK, PacketClass.SYN_ACK, layouts.CAPABLE_KEY_V1),
        "SYN/ACK, version 0": (SYN_ACK, PacketClass.SYN_ACK, layouts.CAPABLE_KEY_V0),
    }  # fmt: skip
    flows = ((packed("10.1.0.2"), packed("10.9.0.2"), 4, 5), (packed("fd00:1::2"), packed("fd00:9::2"), 4, 5))
    orders = (*ORDERS, (layouts.APPLE, layouts.APPLE_NO_TIMESTAMPS))
    for (name, (flags, kind, mptcp)), flow, (before, after) in product(kinds.items(), flows, orders):
        options = b"".join(map(traffic.option, (*before, mptcp, *after)))
        yield name, packet_in(kind, 1, tcp_frame(*flow, flags=flags, options=options))
    for flow, stamped, dss in product(flows, (0, 1), (None, *layouts.DSS)):
        parts = [layouts.NOP, layouts.NOP, layouts.TIMESTAMPS] * stamped + [dss] * (dss is not None)
        options = b"".join(map(traffic.option, parts))
        yield "FIN", packet_in(PacketClass.FIN, 1, tcp_frame(*flow, flags=FIN, options=options))
