"""Four raw switches that stand where the site of `running.SITE` says, and the packets hosts would send."""

import time
import warnings
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from steering.model.rules import OWNER, CookieKind, PacketClass
from steering.model.session import unpack_cookie
from steering.openflow.switch_tables.sender import BARRIER_TIMEOUT
from steering.wire.craft import tcp_frame
from steering.wire.crypto import token
from tests.support.controller_process import LINKS, SITE, Running
from tests.support.fakes.rawswitch import (
    FLOW_MOD,
    PACKET_OUT,
    RawSwitch,
    Seen,
    read_flow_mod,
    read_packet_out,
)
from topologies.programs.lateness import Lateness

KEY = bytes.fromhex("1b6ffbbde3984628")
TOKEN = token(1, KEY)
LTE_HOST, WLAN_HOST, SERVER, MCP = (bytes((10, net, 0, 2)) for net in (1, 2, 9, 8))
SYN, SYN_ACK = 0x02, 0x12
MP_CAPABLE = bytes.fromhex("1e040181")
MP_CAPABLE_ANSWER = bytes.fromhex("1e0c0181") + KEY
SESSION_TABLE = 1
MOST_REPEATED = 3  # SYNs of one network that are sent again though this machine was in time
HELD_UP = 0.1  # part of the time of a barrier that this machine was late: it explains that the barrier was
CONTROLLER = 0xFFFFFFFD  # OFPP_CONTROLLER: the ingress port of what the controller sends of itself


def join_option(address_id: int = 1) -> bytes:
    return bytes((30, 12, 0x10, address_id)) + TOKEN + b"nonc"


class LateBarriers:
    """SYNs of one network that were dropped as a barrier was late, and sent again."""

    def __init__(self) -> None:
        self.unexplained = 0  # though this machine was in time

    def one_more(self, late_s: float) -> str:
        """One was, while this machine was late by so many seconds; what to tell. AssertionError for one too many."""
        if late_s > HELD_UP * BARRIER_TIMEOUT:
            return "a SYN was sent again: its barrier was late, as this machine was"
        self.unexplained += 1
        told = f"SYN {self.unexplained} was sent again: its barrier was late, though this machine was in time"
        assert self.unexplained <= MOST_REPEATED, told
        return told


class Network:
    """A running controller with its four switches connected and filled, and the MCP resolved."""

    def __init__(self, folder: Path, site: str = SITE + LINKS, *more: str) -> None:
        self.running = Running(folder, site, *more)
        self.switches = {
            1: RawSwitch(1, (1, 2)),
            2: RawSwitch(2, (1, 2)),
            3: RawSwitch(3, (1, 2, 3, 4)),
            4: RawSwitch(4, (1, 2)),
        }
        self.switches[3].neighbours[MCP] = (1, b"\x0a\0\0\0\0\x08")
        self._stack = ExitStack()
        self._late = 0.0  # SYNs that were dropped as a barrier was late, by the controller's count
        self._late_barriers = LateBarriers()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.running)
        try:
            self.connect()
            self.show_mcp()
        except BaseException:
            # Without this a test that fails here would leave its controller running.
            self.disconnect()
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()
        self._stack.close()

    def connect(self) -> None:
        """Connect every switch, and wait until all are filled."""
        for switch in self.switches.values():
            switch.connect(self.running.port)
        for switch in self.switches.values():
            switch.quiet()

    def show_mcp(self) -> None:
        """Wait until the MCP has answered the controller's probe."""
        end = time.monotonic() + 30
        while not all(mcp["reachable"] for mcp in self.running.json("/v1/mcps")["mcps"]):
            assert time.monotonic() < end, "the MCP was never resolved"
            time.sleep(0.05)

    def disconnect(self) -> None:
        for switch in self.switches.values():
            switch.close()

    def punt(self, dpid: int, port: int, frame: bytes, kind: PacketClass, metadata: int = 0) -> None:
        """Send `frame` up as the rule of that class does, with the epoch of the rules in force."""
        cookie = OWNER << 56 | CookieKind.STATIC << 52 | kind
        self.switches[dpid].packet_in(cookie, port, frame, metadata)

    def syn(self, sport: int = 40_000, options: bytes = MP_CAPABLE) -> bytes:
        """An MP_CAPABLE SYN of the LTE host; the frame."""
        frame = tcp_frame(LTE_HOST, SERVER, sport, 443, flags=SYN, options=options)
        self.punt(1, 1, frame, PacketClass.SYN)
        return frame

    def syn_ack(self, sport: int = 40_000, options: bytes = MP_CAPABLE_ANSWER) -> None:
        """The MCP's answer to it."""
        frame = tcp_frame(SERVER, LTE_HOST, 443, sport, ack=1, flags=SYN_ACK, options=options)
        self.punt(3, 1, frame, PacketClass.SYN_ACK)

    def join(self, sport: int = 41_000) -> bytes:
        """A join of the WLAN host."""
        frame = tcp_frame(WLAN_HOST, SERVER, sport, 443, flags=SYN, options=join_option())
        self.punt(2, 1, frame, PacketClass.SYN)
        return frame

    def establish(self, sport: int = 40_000) -> None:
        """A whole set-up of the LTE host's session, until its entries bear the token."""
        self.wait_for_release(1, self.syn(sport))
        self.syn_ack(sport)
        end = time.monotonic() + 30
        while not all(
            bears_token(cookie) for dpid in (1, 4) for cookie in self.session_entries(dpid).values()
        ):
            assert time.monotonic() < end, "the entries never got their token"
            time.sleep(0.02)

    def released(self, dpid: int, since: int = -1) -> list[bytes]:
        """Segments that were punted and came back, in order; not what the controller sends of itself."""
        outs = [read_packet_out(seen.data) for seen in self.switches[dpid].of_type(PACKET_OUT, since)]
        return [out.frame for out in outs if out.in_port != CONTROLLER]

    def wait_for_release(self, dpid: int, frame: bytes) -> Seen:
        """The packet-out that lets `frame` go on. Its host repeats a SYN that is dropped as another switch did not confirm in
        time: these switches are threads of this process, which may be held up for longer than that. How often it did is said;
        more than MOST_REPEATED times in one network, while nobody who wanted to run was late, is no matter of a busy machine."""

        def is_it(seen: Seen) -> bool:
            return seen.type == PACKET_OUT and read_packet_out(seen.data).frame == frame

        for _ in range(15):
            began = time.monotonic()
            with Lateness() as lateness, suppress(AssertionError):
                return self.switches[dpid].wait_for(is_it, 2.0)
            late = self.running.metric("steering_refusals_total", reason="barrier-timeout")
            if late > self._late:
                self._late = late
                told = self._late_barriers.one_more(lateness.during(began, began + 2.0))
                warnings.warn(told, stacklevel=2)
                self.punt(dpid, 1, frame, PacketClass.SYN)
        return self.switches[dpid].wait_for(is_it, 2.0)

    def session_entries(self, dpid: int) -> dict[bytes, int]:
        """Match -> cookie of the session entries in a switch's table."""
        return {
            match: cookie
            for (table, _, match), (cookie, _) in list(self.switches[dpid].flows.items())
            if table == SESSION_TABLE and cookie >> 52 == OWNER << 4 | CookieKind.SESSION
        }


def bears_token(cookie: int) -> bool:
    """Whether an entry has its session's token: a pending one has a number of its own in the token's place."""
    told = unpack_cookie(cookie)
    return told is not None and not told.pending


def is_session_entry(seen: Seen) -> bool:
    """Whether a message adds or deletes a session entry."""
    if seen.type != FLOW_MOD:
        return False
    mod = read_flow_mod(seen.data)
    return mod.table == SESSION_TABLE and mod.cookie >> 52 == OWNER << 4 | CookieKind.SESSION
