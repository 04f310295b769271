"""An OpenFlow 1.3 switch of plain sockets: it answers, keeps a flow table, and remembers everything in order.

It understands only what the tests need, and shares no code with what it tests.
"""

import itertools
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Self

from steering.model.rules import OWNER, CookieKind, PacketClass
from tests.support.fakes.tlssocket import TlsSocket

HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY = 0, 1, 2, 3
FEATURES_REQUEST, FEATURES_REPLY, PACKET_IN, PORT_STATUS, PACKET_OUT, FLOW_MOD = 5, 6, 10, 12, 13, 14
GROUP_MOD = 15
MULTIPART_REQUEST, MULTIPART_REPLY, BARRIER_REQUEST, BARRIER_REPLY, METER_MOD = 18, 19, 20, 21, 29
ADD, DELETE, DELETE_STRICT = 0, 3, 4
LINK_DOWN, LIVE = 1, 4
NO_BUFFER = 0xFFFFFFFF

_OWN_ECHO = 0x0E0E0E0E  # the xid of the echo requests of `quiet`
_ORDER = itertools.count()  # over all switches of the process: what came before what


class Seen(NamedTuple):
    """A message the controller sent; `order` is comparable between switches."""

    order: int
    type: int
    xid: int
    data: bytes  # with the header

    @property
    def is_leased(self) -> bool:
        """Whether it adds a rule with a hard time-out."""
        return self.type == FLOW_MOD and self.data[28:30] != b"\0\0"


class FlowMod(NamedTuple):
    cookie: int
    cookie_mask: int
    table: int
    command: int
    priority: int
    match: bytes  # OXMs, without header and padding
    instructions: bytes


def message(kind: int, xid: int, body: bytes = b"", version: int = 4) -> bytes:
    """One OpenFlow message."""
    return struct.pack(">BBHI", version, kind, 8 + len(body), xid) + body


def read_flow_mod(data: bytes) -> FlowMod:
    """The parts of an OFPT_FLOW_MOD."""
    cookie, mask, table, command, _, _, priority = struct.unpack_from(">QQBBHHH", data, 8)
    _, length = struct.unpack_from(">HH", data, 48)
    return FlowMod(
        cookie, mask, table, command, priority, data[52 : 48 + length], data[48 + length + -length % 8 :]
    )


class PacketOut(NamedTuple):
    in_port: int
    actions: bytes
    frame: bytes


def read_packet_out(data: bytes) -> PacketOut:
    """The parts of an OFPT_PACKET_OUT."""
    _, in_port, length = struct.unpack_from(">IIH", data, 8)
    return PacketOut(in_port, data[24 : 24 + length], data[24 + length :])


class RawSwitch:
    """A switch `dpid` with port numbers `ports`, all up. It connects by `connect`, again after `close`."""

    def __init__(self, dpid: int, ports: tuple[int, ...] = (1, 2)) -> None:
        self.dpid = dpid
        self.ports = dict.fromkeys(ports, True)
        self.seen: list[Seen] = []
        self.counted = 700  # bytes, by each entry
        self.flows: dict[tuple[int, int, bytes], tuple[int, bytes]] = {}  # table, priority, match -> cookie
        self.answers_barriers = True
        self.answers_echo = True
        self.neighbours: dict[bytes, tuple[int, bytes]] = {}  # IPv4 address -> port and MAC of who answers
        self.refuses_groups = False
        self.unanswered: set[int] = set()  # ports with carrier where its own check finds nobody
        self.reads = True
        self.held_barriers: list[int] = []
        self.ended = threading.Event()  # the controller closed the connection
        self._echoed = threading.Event()  # the controller answered the echo request of `quiet`
        self._news = threading.Condition()
        self._sending = threading.Lock()
        self._socket: socket.socket | TlsSocket | None = None
        self._thread: threading.Thread | None = None

    # ---- connection ----------------------------------------------------------------------------

    def connect(self, port: int, hello: bytes | None = None, context: ssl.SSLContext | None = None) -> Self:
        """Connect to the controller on loopback `port`, by TLS with a `context`, and say HELLO."""
        self.ended.clear()
        self.seen = []
        plain = socket.create_connection(("127.0.0.1", port), timeout=30)
        plain.settimeout(None)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = plain if context is None else TlsSocket(plain, context)
        self._thread = threading.Thread(target=self._read, args=(self._socket,), daemon=True)
        self._thread.start()
        self.send(message(HELLO, 1) if hello is None else hello)
        return self

    def close(self) -> None:
        """End the connection from this side."""
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            if self._thread is not None:
                self._thread.join(5)
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Raw bytes to the controller, whole: nothing that another thread sends comes between them."""
        assert self._socket is not None
        with self._sending:
            self._socket.sendall(data)

    def _read(self, connection: socket.socket | TlsSocket) -> None:
        pending = b""
        try:
            while True:
                while not self.reads:
                    time.sleep(0.01)
                data = connection.recv(1 << 16)
                if not data:
                    break
                pending += data
                while len(pending) >= 8:
                    length = struct.unpack_from(">H", pending, 2)[0]
                    if len(pending) < length:
                        break
                    self._take(pending[:length])
                    pending = pending[length:]
        except OSError:
            pass
        self.ended.set()
        with self._news:
            self._news.notify_all()

    # ---- answers -------------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        kind, xid = data[1], struct.unpack_from(">I", data, 4)[0]
        if kind == ECHO_REPLY and xid == _OWN_ECHO:
            self._echoed.set()
            return
        if kind == FLOW_MOD:
            self._change(read_flow_mod(data))
        with self._news:
            self.seen.append(Seen(next(_ORDER), kind, xid, data))
            self._news.notify_all()
        if kind == FEATURES_REQUEST:
            self.send(message(FEATURES_REPLY, xid, struct.pack(">QIBBxxII", self.dpid, 0, 254, 0, 0x4F, 0)))
        elif kind == GROUP_MOD and self.refuses_groups:
            self.send(message(ERROR, xid, struct.pack(">HH", 1, 1) + data[:64]))  # BAD_REQUEST, BAD_TYPE
        elif kind == BARRIER_REQUEST:
            if self.answers_barriers:
                self.send(message(BARRIER_REPLY, xid))
            else:
                self.held_barriers.append(xid)
        elif kind == PACKET_OUT:
            self._deliver(read_packet_out(data).frame)
        elif kind == ECHO_REQUEST and self.answers_echo:
            self.send(message(ECHO_REPLY, xid, data[8:]))
        elif kind == MULTIPART_REQUEST:
            self._multipart(data, xid)

    def _deliver(self, frame: bytes) -> None:
        """A host of `neighbours` (address -> port and MAC) answers who asks for it by ARP."""
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] in self.neighbours:
            port, mac = self.neighbours[frame[38:42]]
            told = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 2) + mac + frame[38:42] + frame[22:32]
            answer = frame[6:12] + mac + b"\x08\x06" + told
            self.packet_in(OWNER << 56 | CookieKind.STATIC << 52 | PacketClass.NEIGHBOUR, port, answer)

    def _multipart(self, data: bytes, xid: int) -> None:
        kind = struct.unpack_from(">H", data, 8)[0]
        if kind == 13:
            bodies = [b"".join(self.port(number) for number in self.ports)]
        elif kind == 1:
            table = data[16]
            cookie, mask = struct.unpack_from(">QQ", data, 32)
            bodies = self._stats(table, cookie, mask)
        elif self.answers_echo:
            bodies = [b""]
        else:
            return  # a switch that is silent says nothing to any poll
        for index, body in enumerate(bodies):
            more = index < len(bodies) - 1
            self.send(message(MULTIPART_REPLY, xid, struct.pack(">HH4x", kind, more) + body))

    def _stats(self, table: int, cookie: int, mask: int) -> list[bytes]:
        """Bodies of the parts, each of at most 100 entries."""
        entries = []
        for (at, priority, match), (value, instructions) in self.flows.items():
            if table not in (at, 0xFF) or (value ^ cookie) & mask:
                continue
            oxm = struct.pack(">HH", 1, 4 + len(match)) + match + b"\0" * (-(4 + len(match)) % 8)
            length = 48 + len(oxm) + len(instructions)
            fixed = struct.pack(
                ">HBxIIHHHH4xQQQ", length, at, 1, 0, priority, 0, 0, 0, value, 7, self.counted
            )
            entries.append(fixed + oxm + instructions)
        return [b"".join(entries[at : at + 100]) for at in range(0, len(entries), 100)] or [b""]

    def _change(self, mod: FlowMod) -> None:
        if mod.command == ADD:
            self.flows[(mod.table, mod.priority, mod.match)] = (mod.cookie, mod.instructions)
        elif mod.command == DELETE_STRICT:
            key = (mod.table, mod.priority, mod.match)
            if key in self.flows and not (self.flows[key][0] ^ mod.cookie) & mod.cookie_mask:
                del self.flows[key]
        elif mod.command == DELETE:
            for key, (cookie, _) in list(self.flows.items()):
                if mod.table in (key[0], 0xFF) and not (cookie ^ mod.cookie) & mod.cookie_mask:
                    del self.flows[key]

    def port(self, number: int) -> bytes:
        """An ofp_port."""
        state = (0 if number in self.unanswered else LIVE) if self.ports[number] else LINK_DOWN
        mac = b"\x0a" + (self.dpid & 0xFFFFFF).to_bytes(3, "big") + number.to_bytes(2, "big")
        name = f"p{number}".encode()
        return struct.pack(">I4x6s2x16sIIIIIIII", number, mac, name, 0, state, 0, 0, 0, 0, 0, 0)

    # ---- what it tells -------------------------------------------------------------------------

    def packet_in(self, cookie: int, in_port: int, frame: bytes, metadata: int = 0) -> None:
        """Punt `frame` as the rule with `cookie` does."""
        match = struct.pack(">II", 0x80000004, in_port)
        if metadata:
            match += struct.pack(">IQ", 0x80000408, metadata)
        oxm = struct.pack(">HH", 1, 4 + len(match)) + match + b"\0" * (-(4 + len(match)) % 8)
        head = struct.pack(">IHBBQ", NO_BUFFER, len(frame), 1, 0, cookie)
        self.send(message(PACKET_IN, 0, head + oxm + b"\0\0" + frame))

    def port_status(self, number: int, up: bool) -> None:
        """A port's link changed."""
        self.ports[number] = up
        self.send(message(PORT_STATUS, 0, b"\x02" + b"\0" * 7 + self.port(number)))

    def release_barriers(self) -> None:
        """Answer the barriers that were held back, and from now on at once."""
        self.answers_barriers = True
        while self.held_barriers:
            self.send(message(BARRIER_REPLY, self.held_barriers.pop(0)))

    # ---- what it saw ---------------------------------------------------------------------------

    def wait_for(self, what: Callable[[Seen], bool], timeout: float = 30.0, since: int = -1) -> Seen:
        """The first message after order `since` that satisfies `what`; AssertionError when none comes."""
        end = time.monotonic() + timeout
        with self._news:
            while True:
                for seen in self.seen:
                    if seen.order > since and what(seen):
                        return seen
                left = end - time.monotonic()
                if left <= 0 or self.ended.is_set():
                    kinds = [seen.type for seen in self.seen]
                    raise AssertionError(f"switch {self.dpid}: did not come; it saw types {kinds[-50:]}")
                self._news.wait(left)

    def of_type(self, kind: int, since: int = -1) -> list[Seen]:
        """The messages of one type so far."""
        with self._news:
            return [seen for seen in self.seen if seen.type == kind and seen.order > since]

    def forget(self) -> None:
        """What was seen so far is of no interest any more."""
        with self._news:
            self.seen.clear()

    def last_order(self) -> int:
        """The order of the last message so far."""
        with self._news:
            return self.seen[-1].order if self.seen else -1

    def quiet(self, seconds: float = 0.3, timeout: float = 30.0) -> None:
        """Wait until no flow-mod and none of its barriers came for `seconds`, nor before the controller, which may be slow,
        has answered an echo request sent then. Leases are renewed all the time, and do not count; nor do barriers that
        only ask whether the switch is there."""
        end = time.monotonic() + timeout
        last, since, asked = -1, time.monotonic(), False
        self._echoed.clear()
        while time.monotonic() < end:
            with self._news:
                seen = list(self.seen)
            newest, confirmed = -1, True
            for one in seen:
                if one.type in (FLOW_MOD, METER_MOD) and not one.is_leased:
                    newest, confirmed = one.order, False
                elif one.type == BARRIER_REQUEST and not confirmed:
                    newest, confirmed = one.order, True
            if newest != last:
                last, since = newest, time.monotonic()
                self._echoed.clear()
                asked = False
            elif newest >= 0 and time.monotonic() - since >= seconds:
                if self._echoed.is_set() or self.ended.is_set():
                    return
                if not asked:
                    asked = True
                    self.send(message(ECHO_REQUEST, _OWN_ECHO))
            time.sleep(0.02)
        raise AssertionError(f"switch {self.dpid} was not filled, or never came to rest")
