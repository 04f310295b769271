"""The OS-Ken application. It passes messages of switches to the engine, and the engine's outputs to the sender.
The application itself decides nothing.

Everything runs on one hub and nothing between an input and its outputs waits, so the engine has one writer
without a lock. What messages caused leaves at the end of the hub's turn in which they were read (`settle`).
"""

import logging
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, ClassVar

import eventlet
from eventlet.hubs import get_hub
from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.lib import hub
from os_ken.ofproto import ofproto_v1_3

from steering.core.counters import Counters
from steering.core.engine import Engine
from steering.core.inputs import (
    Continue,
    Input,
    PortStatus,
    SwitchDown,
    SwitchUp,
    Tick,
)
from steering.core.outputs import Prefer
from steering.core.peer_facts import PeerTold, TurnOver
from steering.core.snapshots.site import plain_port_name, port_name, site
from steering.model.ids import DatapathId
from steering.model.log_limit import LogLimit, and_more
from steering.model.network import PortRef
from steering.model.standing_work import StandingWork
from steering.openflow.budgets import UNBOUNDED, Budgets, UnreadBytes
from steering.openflow.connection.channel import Channel
from steering.openflow.connection.connections import Connections, Door, install
from steering.openflow.connection.membership import Claims, Membership
from steering.openflow.discovery.discovery import Links
from steering.openflow.discovery.link_discovery import Discovery
from steering.openflow.dispatch import Dispatch
from steering.openflow.engine_feed import EngineFeed
from steering.openflow.fastpath.reader import UsualMessages
from steering.openflow.messages.encode import echo_reply
from steering.openflow.messages.errors import MalformedMessage
from steering.openflow.messages.packetin import parse_packet_in
from steering.openflow.messages.reader import (
    LARGEST_PORT,
    Disconnect,
    Message,
    PortState,
    Type,
    read_port_status,
)
from steering.openflow.ports.known_ports import KnownPorts
from steering.openflow.ports.port_changes import PortChanges
from steering.openflow.ports.port_lines import PortLines
from steering.openflow.slices import Slices, in_turns
from steering.openflow.statistics import Statistics
from steering.openflow.switch_errors import SwitchErrors
from steering.openflow.switch_tables.sender import Sender
from steering.openflow.turn_end import TurnEnd, watched_poll

TICK = 0.05  # seconds; a held join waits 200 ms, so a quarter of that
LOADS_TURN = 0.002  # seconds of handling counts of ports and meters in a row, before other work gets its turn
LOADS_TURNS = 5  # most turns with such counts in one tick
UNEXPECTED = "unexpected-message"  # a label of the counter `malformed`
UP_LINES, UP_INTERVAL = (
    5,
    60.0,
)  # at most UP_LINES log lines "connected" for one switch in UP_INTERVAL seconds
_PACKET_IN = int(Type.PACKET_IN)  # plain ints: this comparison is made for every message
_BARRIER_REPLY = int(Type.BARRIER_REPLY)

log = logging.getLogger(__name__)


class SteeringApp(app_manager.OSKenApp):  # type: ignore[misc]
    """The os-ken application. Subclasses (steering/runtime) provide engine, counters and discovery."""

    OFP_VERSIONS: ClassVar[list[int]] = [ofproto_v1_3.OFP_VERSION]

    def __init__(
        self,
        *args: Any,
        engine: Engine,
        counters: Counters,
        discovery: Discovery | None,
        bounded: bool = True,
        fast: bool = True,
        door: Door | None = None,
        watch: Any = None,
        **kwargs: Any,
    ) -> None:
        """`bounded`: False lets each connection take what it can, for negative controls. `fast`: whether usual messages take the fast path. `door`: what listens for
        switches already. `watch`: a traced_feed.SetUpWatch, if set-ups are traced."""
        super().__init__(*args, **kwargs)
        self.budgets = Budgets() if bounded else UNBOUNDED
        self.unread = UnreadBytes(self.budgets.backlog_total)
        self.foyer = hub.Semaphore() if self.budgets.foyer else None
        self.engine = engine
        self.counters = counters
        self._inbox: deque[Input] = deque()  # inputs that came up while another was handled
        self._connections = Connections(self.budgets, counters, self._name)
        self._membership = Membership(lambda: site(engine))
        self._switches: dict[DatapathId, Channel] = {}
        self._known: dict[DatapathId, KnownPorts] = {}
        self._changes: dict[DatapathId, PortChanges] = {}
        self._dirty: list[Channel] = []
        self._errors = SwitchErrors(counters, self._name, self._inbox.append)
        self._up_lines = LogLimit(UP_INTERVAL, UP_LINES)
        self.told: Callable[[Prefer], None] = lambda prefer: None  # passes preferences of subflows on to MCPs
        self._links = Links(
            discovery, counters, self._inbox.append, lambda port: plain_port_name(engine, port)
        )
        self._port_lines = PortLines(lambda port: port_name(engine, port))
        self._dispatch = Dispatch(counters, self._links.heard)
        self._slices = Slices(self._go_on, counters.work_faults)
        poll = watched_poll(get_hub())
        alone = () if poll is None else (poll.found_one,)
        self._turn_end = TurnEnd(self.settle, monotonic, eventlet.spawn_n, *alone)
        self._sender = Sender(
            self._switches, counters, self._inbox.append, lambda prefer: self.told(prefer), self._slices.wish
        )
        self._feed = EngineFeed(engine, counters, self._sender.execute)
        if watch is not None:
            from steering.openflow.traced_feed import TracedFeed  # loaded only where set-ups are traced

            self._feed = traced = TracedFeed(engine, counters, self._sender.execute, watch)
            self._sender.let_go = traced.let_go
        self._give = self._feed.give
        # Ports of links with BFD: there the liveness that the switch tells counts.
        self._bfd = frozenset(end for link in site(engine).links if link.bfd for end in (link.a, link.b))
        self.usual = (
            UsualMessages(counters, self._feed.give_all, self._sender.barrier_reply) if fast else None
        )
        self.peers: Any = None  # PeerTraffic with other controllers, where these have switches too
        self._claims = Claims(self._switches, self._sender.xids)
        self._statistics = Statistics(self._switches, self._sender, self._inbox, site(engine).access_networks)
        # A hub without `do_poll` cannot tell whether another connection waits. Then one is assumed to wait.
        Channel.others_wait = staticmethod((lambda fd: True) if poll is None else poll.others_wait)
        install(self, counters, door)

    def share(self, made: Callable[..., Any]) -> Any:
        """Write to switches of other controllers too from now on. `made` makes the `peer_traffic.PeerTraffic`; its
        arguments are the own switches, the function that takes their barrier replies, and transaction ids."""
        sender = self._sender
        self.peers = made(self._switches, sender.barrier_reply, sender.xids)
        if self.usual is not None:
            self.usual = UsualMessages(self.counters, self._feed.give_all, self._confirmed)
        sender.reach(self.peers.lines, self.peers.tell)
        return self.peers

    def heard(self, given: Input) -> None:
        """Take a message of another controller. The outputs that follow leave at the end of the turn."""
        now = monotonic()
        if self.peers is None or not (isinstance(given, PeerTold) and self.peers.takes(given, now)):
            self._give(given, now)

    def start(self) -> Any:
        """Called by os-ken when all applications are loaded."""
        super().start()
        self.threads.append(hub.spawn(self._tick_loop))
        self.threads.append(hub.spawn(self._slices.run, lambda: self.is_active))

    def stop(self) -> None:
        """Called by os-ken, which then waits for this application's threads. So no thread may wait without a time
        limit for work."""
        self.is_active = False
        self._slices.wish()
        super().stop()

    # ---- connections ---------------------------------------------------------------------------

    def admits(self, address: tuple[Any, ...]) -> bool:
        return self._connections.admits(address)

    def opened(self, channel: Channel) -> None:
        self._connections.opened(channel)

    def identified(self, channel: Channel) -> Disconnect | None:
        return self._membership.refuses(channel.id, channel.names)

    def described(self, channel: Channel) -> None:
        """A connection's datapath id and ports are known. Where a live connection has the same id, the live one is
        asked first whether it still answers."""
        self._claims.claim(channel, monotonic())

    def ready(self, channel: Channel) -> None:
        """The connection speaks for its switch from now on."""
        dpid, described = channel.id, channel.handshake.ports
        now = monotonic()
        self._connections.is_switch(channel)
        self._switches[dpid] = channel
        self._known[dpid] = KnownPorts(described)
        self._changes[dpid] = PortChanges(self.budgets, now)
        ports = {
            number: port.up and (port.live or PortRef(dpid, number) not in self._bfd)
            for number, port in described.items()
            if 0 < number <= LARGEST_PORT
        }
        more = self._up_lines.left_out(dpid, now)
        if more is not None:
            log.info(
                "switch %s connected from %s with %d ports%s",
                self._name(dpid), channel.address[0], len(ports), and_more(more),
            )  # fmt: skip
        speeds = {number: port.speed for number, port in described.items() if number in ports and port.speed}
        names = {number: described[number].name for number in ports}
        self._inbox.append(SwitchUp(dpid, ports, speeds, names))
        self._port_lines.switch_up(dpid, ports)
        self._links.switch_up(dpid, ports, now)

    def ended(self, channel: Channel, reason: Disconnect) -> None:
        self._connections.ended(channel, reason)
        was_live = channel.is_ready and self._switches.get(channel.id) is channel
        if was_live:
            self.lost(channel)
        self._claims.ended(channel, was_live)

    def lost(self, channel: Channel) -> None:
        """The connection speaks for its switch no longer."""
        del self._switches[channel.id], self._known[channel.id], self._changes[channel.id]
        self._sender.switch_down(channel.id)
        if self.peers is not None:
            self.peers.switch_down(channel.id)
        self._links.switch_down(channel.id)
        self._port_lines.switch_down(channel.id)
        self._statistics.forget(channel.id)
        self._inbox.append(SwitchDown(channel.id))

    def touched(self, channel: Channel) -> None:
        self._dirty.append(channel)

    def _name(self, dpid: DatapathId) -> str:
        return site(self.engine).switch_name(dpid)

    @set_ev_cls(ofp_event.EventOFPPortStateChange, MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def _observed(self, event: Any) -> None:
        """Never called. Observing one of os-ken's events makes os-ken load its handshake and listen. This event
        comes of port status messages, which os-ken is not shown."""

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
            self._confirmed(channel.id, message.xid, now)
        else:
            self._seldom(channel, message, now)

    def _confirmed(self, dpid: DatapathId, xid: int, now: float) -> None:
        """A switch has answered a barrier, of another controller or of this one."""
        if self.peers is None or not self.peers.confirmed(dpid, xid):
            self._sender.barrier_reply(dpid, xid, now)

    def _seldom(self, channel: Channel, message: Message, now: float) -> None:
        kind = message.type
        if kind == Type.MULTIPART_REPLY:
            expected = self._statistics.take(channel, message, now)
        elif kind == Type.ECHO_REPLY:
            expected = self._claims.answered(channel, message.xid) or channel.echo_is_due
            channel.echo_is_due = False
        else:
            expected = True
            if kind == Type.ECHO_REQUEST:
                channel.write(echo_reply(message.data))
            elif kind == Type.PORT_STATUS:
                self._port_status(channel, message.data, now)
            elif kind == Type.ERROR:
                self._errors.take(channel.id, message, now)
            else:
                expected = False
        if not expected:
            self.counters.malformed[UNEXPECTED] += 1
            if channel.unasked.take(now):
                channel.disconnect(Disconnect.UNASKED)

    def _port_status(self, channel: Channel, data: bytes, now: float) -> None:
        state = read_port_status(data)
        if state is not None and not state.live and PortRef(channel.id, state.port) in self._bfd:
            state = state._replace(
                up=False
            )  # the switch finds the port dead by BFD, whatever its carrier says
        if state is None:
            channel.disconnect(Disconnect.BAD_LENGTH)
        elif not 0 < state.port <= LARGEST_PORT:
            pass  # the switch's own port LOCAL, which leads to no host or link
        elif not self._known[channel.id].takes(state.port, state.gone):
            self.counters.malformed[UNEXPECTED] += 1
        elif (refused := channel.handshake.changed_later(data)) is not None:
            channel.disconnect(refused)
        elif self._changes[channel.id].take(state, now):
            self._port_changed(channel.id, state, now)
        elif self._changes[channel.id].is_full:
            channel.disconnect(Disconnect.TOO_MANY_PORTS)

    def _port_changed(self, dpid: DatapathId, state: PortState, now: float) -> None:
        self._port_lines.changed(PortRef(dpid, state.port), state, now)
        self._inbox.append(PortStatus(dpid, state.port, state.up, state.gone, state.name, state.speed))
        self._links.port_status(dpid, state.port, state.up)

    def give(self, given: Input) -> None:
        """Take an input from elsewhere in this process. It is handled at the next turn, within TICK seconds."""
        self._inbox.append(given)

    def take(self, given: Input) -> None:
        """Handle an input from elsewhere in this process at once, for a caller that wants to see the result. The
        outputs leave at the next turn."""
        self._give(given, monotonic())

    # ---- the engine ----------------------------------------------------------------------------

    def settle(self, now: float) -> None:
        """Handle the inputs that came up meanwhile, then send. Where sending ends a switch's connection, that causes
        more inputs."""
        self._feed.count_times()
        while True:
            while self._inbox:
                self._give(self._inbox.popleft(), now)
            if self.peers is not None:
                self._give(TurnOver(), now)
            self._sender.end_batch(now)
            if self.peers is not None:
                self.peers.flush()
            if not self._dirty:
                return
            dirty, self._dirty = self._dirty, []
            for channel in dirty:
                channel.flush()

    def settle_soon(self, now: float) -> None:
        """Send the outputs once all channels that are ready were read (turn_end)."""
        if self._dirty or self._inbox or self.peers is not None:
            self._turn_end.wish(now)

    def _go_on(self) -> None:
        now = monotonic()
        self._give(Continue(), now)
        self.settle(now)

    def _tick_loop(self) -> None:
        while self.is_active:
            due = monotonic() + TICK
            hub.sleep(TICK)
            now = monotonic()
            self.counters.ticked(now - due)
            with self.counters.work_faults.turn(StandingWork.TICKING):
                self._tick(now)

    def _tick(self, now: float) -> None:
        self._give(Tick(), now)
        self._sender.expire(now)
        if self.peers is not None:
            self.peers.expire(now)
        self._statistics.tick(now)
        self._announce(now)
        self._connections.watch(now)
        self._claims.expire(now)
        for dpid, changes in [one for one in self._changes.items() if one[1].held]:
            for state in changes.due(now):
                self._port_changed(dpid, state, now)
        self._port_lines.due(now)
        self.settle(now)
        for _ in range(LOADS_TURNS):
            if not self._statistics.loads or self._work_off_loads():
                return
            hub.sleep(0)

    def _announce(self, now: float) -> None:
        """Send discovery's frames, with pauses for other work: a switch may have very many ports."""

        def pause() -> None:
            self.settle(now)
            hub.sleep(0)

        frames = self._links.announcements(now, monotonic)
        in_turns(frames, lambda frame: self._sender.execute([frame], now), self.budgets.turn, pause)

    def _work_off_loads(self) -> bool:
        """Handle some of the counts of ports and meters. True if none is left."""
        now, loads = monotonic(), self._statistics.loads
        while loads and monotonic() - now < LOADS_TURN:
            self._give(loads.pop(next(iter(loads))), now)
        self.settle(now)
        return not loads
