"""The OS-Ken application: channels in, engine in the middle, sender out. It decides nothing.

Everything runs on one hub and nothing between an input and its outputs waits, so the engine has one writer
without a lock. What a batch of messages caused leaves at the batch's end (`settle`).
"""

import logging
from collections import deque
from collections.abc import Callable
from time import monotonic, perf_counter
from typing import Any, ClassVar

from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import DEAD_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.lib import hub
from os_ken.ofproto import ofproto_v1_3

from steering.core.counters import Counters
from steering.core.engine import Engine
from steering.core.inputs import Input, PortStatus, SwitchDown, SwitchUp, SynSeen, Tick
from steering.core.network.link_discovery import Discovery
from steering.core.outputs import Prefer
from steering.model.ofperror import error_name
from steering.openflow.channel import Channel, echo_reply, install
from steering.openflow.discovery import Links
from steering.openflow.dispatch import Dispatch
from steering.openflow.errors import MalformedMessage
from steering.openflow.knownports import KnownPorts
from steering.openflow.meterstats import MeterPoll
from steering.openflow.packetin import parse_packet_in
from steering.openflow.portstats import PortPoll
from steering.openflow.reader import (
    LARGEST_PORT,
    MULTIPART_LENGTH,
    VERSION,
    Disconnect,
    Message,
    Multipart,
    Type,
    read_error,
    read_multipart,
    read_port_status,
)
from steering.openflow.sender import Sender
from steering.wire.errors import WireError

TICK = 0.05  # seconds; a held join waits 200 ms, so a quarter of that
ECHO_AFTER = 5.0  # seconds of silence, then an echo request
SILENT_AFTER = 15.0  # seconds of silence, then the switch is given up
HANDSHAKE_TIMEOUT = 10.0  # seconds from connect to the port descriptions
MAX_CHANNELS = 4_096
UNEXPECTED = "unexpected-message"  # counted among the malformed
LOG_INTERVAL = 1.0  # seconds between log lines about one switch's errors, or about one port
PORT_LINES = 64  # ports of a switch that are told apart by that
MAX_LOGGED = 65_536  # things whose last line is remembered
_ECHO_REQUEST = bytes((VERSION, Type.ECHO_REQUEST, 0, 8, 0, 0, 0, 0))
_METER_MOD_FAILED = 12  # OFPET_METER_MOD_FAILED
_METER_EXISTS = 1

_SHOWN = (b"\x0e", b"\x1d")  # OFPT_FLOW_MOD, OFPT_METER_MOD

_PACKET_IN = int(Type.PACKET_IN)  # plain ints: this comparison is made for every message
_BARRIER_REPLY = int(Type.BARRIER_REPLY)

log = logging.getLogger(__name__)


class SteeringApp(app_manager.OSKenApp):  # type: ignore[misc]
    """Subclasses (steering/runtime) say where engine, counters and discovery come from."""

    OFP_VERSIONS: ClassVar[list[int]] = [ofproto_v1_3.OFP_VERSION]

    def __init__(
        self,
        *args: Any,
        engine: Engine,
        counters: Counters,
        discovery: Discovery | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.engine = engine
        self.counters = counters
        self._inbox: deque[Input] = deque()  # what came up while something else was being worked on
        self._channels: set[Channel] = set()
        self._switches: dict[int, Channel] = {}
        self._known: dict[int, KnownPorts] = {}
        self._dirty: list[Channel] = []
        self._logged: dict[Any, float] = {}
        self.told: Callable[[Prefer], None] = lambda prefer: None  # what MCPs have to hear
        self._links = Links(discovery, counters, self._inbox.append)
        self._dispatch = Dispatch(counters, self._links.heard)
        self._sender = Sender(self._switches, counters, self._inbox.append, lambda prefer: self.told(prefer))
        declared = {
            (port.dpid, port.port): access.capacity
            for access in engine.site.access_networks
            for port in access.ports
            if access.capacity
        }
        self._ports = PortPoll(self._switches, self._sender.xids, self._inbox.append, declared)
        self._meters = MeterPoll(self._switches, self._sender.xids, self._inbox.append)
        install(self)

    def start(self) -> Any:
        """Called by os-ken when every application is there."""
        super().start()
        self.threads.append(hub.spawn(self._tick_loop))

    # ---- connections ---------------------------------------------------------------------------

    def opened(self, channel: Channel) -> Disconnect | None:
        if len(self._channels) >= MAX_CHANNELS:
            return Disconnect.TOO_MANY
        self._channels.add(channel)
        return None

    def ready(self, channel: Channel) -> None:
        """os-ken's handshake is through: datapath id and ports are known."""
        dpid = channel.id
        earlier = self._switches.get(dpid)
        if earlier is not None:
            earlier.disconnect(Disconnect.REPLACED)
        self._switches[dpid] = channel
        self._known[dpid] = KnownPorts(channel.ports)
        channel.speeds = {number: port.curr_speed for number, port in channel.ports.items()}
        ports = {
            number: not port.config & ofproto_v1_3.OFPPC_PORT_DOWN
            and not port.state & ofproto_v1_3.OFPPS_LINK_DOWN
            for number, port in channel.ports.items()
            if 0 < number <= LARGEST_PORT
        }
        log.info(
            "switch %s connected from %s with %d ports", self._name(dpid), channel.address[0], len(ports)
        )
        now = monotonic()
        self._inbox.append(
            SwitchUp(dpid, ports, {n: s for n, s in channel.speeds.items() if n in ports and s})
        )
        self._links.switch_up(dpid, ports, now)

    def ended(self, channel: Channel, reason: Disconnect) -> None:
        if channel in self._channels or reason is Disconnect.TOO_MANY:
            self._channels.discard(channel)
            self.counters.disconnects[reason] += 1
        name = self._name(channel.id) if channel.id is not None else "unknown"
        level = logging.INFO if reason in (Disconnect.CLOSED, Disconnect.SHUTDOWN) else logging.WARNING
        log.log(level, "switch %s at %s:%s: connection ended: %s", name, *channel.address[:2], reason)
        if channel.is_ready and self._switches.get(channel.id) is channel:
            del self._switches[channel.id], self._known[channel.id]
            self._sender.switch_down(channel.id)
            self._links.switch_down(channel.id)
            self._ports.forget(channel.id)
            self._meters.forget(channel.id)
            self._inbox.append(SwitchDown(channel.id))

    def touched(self, channel: Channel) -> None:
        self._dirty.append(channel)

    def _name(self, dpid: int) -> str:
        return self.engine.site.switch_name(dpid)

    @set_ev_cls(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER, DEAD_DISPATCHER])  # type: ignore[untyped-decorator]
    def _state_changed(self, event: Any) -> None:
        """Nothing to do: `ready` and `ended` are told at once. Observing makes os-ken load its handshake."""

    # ---- messages ------------------------------------------------------------------------------

    def received(self, channel: Channel, message: Message, now: float) -> None:
        kind = message.type
        if kind == _PACKET_IN:
            try:
                packet = parse_packet_in(message.data)
            except MalformedMessage as refused:
                self.counters.malformed[refused.reason.value] += 1
                return
            given = self._dispatch.read(channel.id, packet, now)
            if given is not None:
                self._give(given, now)
        elif kind == _BARRIER_REPLY:
            self._sender.barrier_reply(channel.id, message.xid, now)
        else:
            self._seldom(channel, message, now)

    def _seldom(self, channel: Channel, message: Message, now: float) -> None:
        kind = message.type
        if kind == Type.MULTIPART_REPLY:
            head = read_multipart(message.data)
            if head is not None and head[0] == Multipart.PORT_STATS:
                self._ports.answer(channel.id, message.data[MULTIPART_LENGTH:], channel.speeds)
            elif head is not None and head[0] == Multipart.METER:
                self._meters.answer(channel.id, message.data[MULTIPART_LENGTH:])
            else:
                self._sender.readback.part(channel.id, message.xid, message.data, now)
        elif kind == Type.ECHO_REQUEST:
            channel.write(echo_reply(message.data))
        elif kind == Type.PORT_STATUS:
            self._port_status(channel, message.data, now)
        elif kind == Type.ERROR:
            self._error(channel, message, now)
        elif kind != Type.ECHO_REPLY:
            # Nothing of ours asks for any other message.
            self.counters.malformed[UNEXPECTED] += 1

    def _port_status(self, channel: Channel, data: bytes, now: float) -> None:
        state = read_port_status(data)
        if state is None:
            channel.disconnect(Disconnect.BAD_LENGTH)
        elif not 0 < state.port <= LARGEST_PORT:
            pass  # the switch's own, LOCAL
        elif not self._known[channel.id].takes(state.port, state.gone):
            self.counters.malformed[UNEXPECTED] += 1
        else:
            # By some of the port's bits: another port's change in the same second is mostly told too.
            if self._may_log((channel.id, state.port % PORT_LINES), now):
                word = "up" if state.up else "gone" if state.gone else "down"
                log.info("switch %s port %d %s", self._name(channel.id), state.port, word)
            self._inbox.append(PortStatus(channel.id, *state))
            self._links.port_status(channel.id, state.port, state.up)

    def _error(self, channel: Channel, message: Message, now: float) -> None:
        kind, code = read_error(message.data)
        if kind == _METER_MOD_FAILED and code == _METER_EXISTS:
            return  # expected in filling: see there
        self.counters.openflow_errors[error_name(kind)] += 1
        if self._may_log(channel.id, now):
            refused = message.data[12:76]
            # Of packet-outs nothing is shown: the frame in it may hold a key.
            shown = refused.hex() if refused[1:2] in _SHOWN else "not shown"
            log.warning(
                "switch %s refused a message: %s, code %d, xid %#x, its beginning: %s",
                self._name(channel.id), error_name(kind), code, message.xid, shown,
            )  # fmt: skip

    def _may_log(self, about: Any, now: float) -> bool:
        """One line an interval, so that no switch and no host can fill the log."""
        if now - self._logged.get(about, -LOG_INTERVAL) < LOG_INTERVAL:
            return False
        if len(self._logged) >= MAX_LOGGED:
            self._logged.clear()
        self._logged[about] = now
        return True

    def give(self, given: Input) -> None:
        """An input from elsewhere in this process; taken at the next turn, a tick away at most."""
        self._inbox.append(given)

    def take(self, given: Input) -> None:
        """An input from elsewhere in this process, handled at once, for one that wants to see what came of it.
        What it caused leaves at the next turn."""
        self._give(given, monotonic())

    # ---- the engine ----------------------------------------------------------------------------

    def _give(self, given: Input, now: float) -> None:
        begun = perf_counter()
        try:
            outputs = self.engine.handle(given, now)
        except WireError as refused:
            self.counters.malformed[refused.reason.value] += 1
            return
        except Exception:
            # One packet that the engine cannot take must not cost the switch its connection.
            if self._may_log(type(given), now):
                log.exception("the engine failed on %s", type(given).__name__)
            return
        if type(given) is SynSeen:
            self.counters.decision_seconds.observe(perf_counter() - begun)
        if outputs:
            self._sender.execute(outputs, now)

    def settle(self, now: float) -> None:
        """Work off what came up on the way, then send. A switch lost in sending may bring more work."""
        while True:
            while self._inbox:
                self._give(self._inbox.popleft(), now)
            self._sender.end_batch(now)
            if not self._dirty:
                return
            dirty, self._dirty = self._dirty, []
            for channel in dirty:
                channel.flush()

    def _tick_loop(self) -> None:
        while self.is_active:
            hub.sleep(TICK)
            now = monotonic()
            try:
                self._tick(now)
            except Exception:
                log.exception("the periodic work failed")

    def _tick(self, now: float) -> None:
        self._give(Tick(), now)
        self._sender.expire(now)
        self._ports.tick(now)
        self._meters.tick(now)
        self._sender.execute(list(self._links.announcements(now)), now)
        for channel in list(self._channels):
            self._watch(channel, now)
        self.settle(now)

    def _watch(self, channel: Channel, now: float) -> None:
        """Keep a connection alive, and end one that is dead or never got through its handshake."""
        if not channel.is_ready:
            if now - channel.opened_at > HANDSHAKE_TIMEOUT:
                channel.disconnect(Disconnect.HANDSHAKE_TIMEOUT)
        elif now - channel.heard_at > SILENT_AFTER:
            channel.disconnect(Disconnect.SILENT)
        elif now - channel.asked_at > ECHO_AFTER:
            channel.asked_at = now
            channel.write(_ECHO_REQUEST)
