"""All connections to the switch listener: their bounds, checks that they are alive, and their log lines."""

import logging
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Any

from os_ken.controller import controller
from os_ken.lib import hub

from steering.core.counters import Counters
from steering.model.ids import DatapathId
from steering.model.log_limit import LogLimit, and_more
from steering.model.refused_connections import ControllerListener, SwitchRefusal
from steering.model.token_bucket import TokenBucket
from steering.openflow.budgets import Budgets, Newcomers, source_of
from steering.openflow.connection.adapter import Adapter
from steering.openflow.connection.channel import Channel
from steering.openflow.connection.descriptors import switch_places
from steering.openflow.connection.early_door import EarlyDoor
from steering.openflow.connection.handed_switches import HandedSwitches
from steering.openflow.connection.handover import HandedConnection
from steering.openflow.connection.listener import Listener, listening
from steering.openflow.connection.tls import SwitchTls, TlsChannel
from steering.openflow.messages.encode import message
from steering.openflow.messages.reader import Disconnect, Type

ECHO_AFTER = 5.0  # seconds of silence, after which an echo request is sent
SILENT_AFTER = 15.0  # seconds without a whole message, after which the connection is ended
HANDSHAKE_TIMEOUT = 10.0  # seconds from connect within which the handshake must be complete
MAX_CHANNELS = 4_096
LOG_INTERVAL = 60.0  # seconds in which at most LOG_BURST lines name one reason, or one switch
LOG_BURST = 5
_ECHO_XID = 0
_ECHO_REQUEST = message(Type.ECHO_REQUEST, _ECHO_XID, b"")
_REFUSED = frozenset(Disconnect(why.value) for why in SwitchRefusal)
Door = EarlyDoor | HandedSwitches
_EXPECTED = (Disconnect.CLOSED, Disconnect.SHUTDOWN)

log = logging.getLogger(__name__)


class Connections:
    """All connections. `name` makes a switch's name of its datapath id."""

    def __init__(self, budgets: Budgets, counters: Counters, name: Callable[[DatapathId], str]) -> None:
        self._budgets = budgets
        self._counters = counters
        self._name = name
        # Newcomers get at most half of the places, however few descriptors the process may have.
        newcomers = min(budgets.newcomers, switch_places() // 2)
        self._newcomers: Newcomers[Channel] = Newcomers(newcomers, budgets.newcomers_of_source)
        self._lines = LogLimit(LOG_INTERVAL, LOG_BURST)
        self.channels: set[Channel] = set()

    def admits(self, address: tuple[Any, ...]) -> bool:
        """Whether there is room for one more connection. A refusal is counted."""
        if len(self.channels) < min(MAX_CHANNELS, switch_places()):
            return True
        self._over(Disconnect.TOO_MANY, Disconnect.TOO_MANY, "unknown", address)
        return False

    def opened(self, channel: Channel) -> None:
        """A connection was accepted. An older newcomer may be ended to make room."""
        self.channels.add(channel)
        oldest = self._newcomers.enter(channel, source_of(str(channel.address[0])))
        if oldest is not None:
            oldest.disconnect(Disconnect.TOO_MANY_NEWCOMERS)

    def is_switch(self, channel: Channel) -> None:
        """The connection is a switch's from now on, and no newcomer any more."""
        self._newcomers.leave(channel)

    def ended(self, channel: Channel, reason: Disconnect) -> None:
        """A connection has ended."""
        self._newcomers.leave(channel)
        self.channels.discard(channel)
        if channel.id is not None and reason in _REFUSED:
            self._counters.refuse_switch(channel.id, SwitchRefusal(reason.value))
        # Each admitted switch has its own bound of lines. All others share one for each reason, because anybody who can
        # connect could fill the log.
        subject = channel.id if channel.is_ready else reason
        name = self._name(channel.id) if channel.id is not None else "unknown"
        self._over(reason, subject, name, channel.address, channel.fault)

    def _over(
        self, reason: Disconnect, subject: Hashable, name: str, address: tuple[Any, ...], fault: str = ""
    ) -> None:
        self._counters.disconnects[reason] += 1
        more = self._lines.left_out(subject, monotonic())
        if more is not None:
            log.log(
                logging.INFO if reason in _EXPECTED else logging.WARNING,
                "switch %s at %s: connection ended: %s%s%s",
                name, ":".join(map(str, address[:2])), reason, f" ({fault})" if fault else "", and_more(more),
            )  # fmt: skip

    def watch(self, now: float) -> None:
        """Send echo requests on silent connections. End those that are dead or did not complete their handshake."""
        for channel in list(self.channels):
            if not channel.is_ready:
                if now - channel.opened_at > HANDSHAKE_TIMEOUT:
                    channel.disconnect(Disconnect.HANDSHAKE_TIMEOUT)
            elif now - channel.heard_at > SILENT_AFTER:
                channel.disconnect(Disconnect.SILENT)
            elif now - channel.asked_at > ECHO_AFTER:
                channel.asked_at = now
                channel.echo_is_due = True
                channel.write(_ECHO_REQUEST)


class SwitchListener:
    """The server that os-ken creates in place of its own, with the same arguments."""

    adapter: Adapter[Channel]
    counters: Counters
    door: Door | None = None  # what listens already, if anything does

    def __init__(self, listen_info: tuple[str, int], handle: Any, **tls: Any) -> None:
        budgets = self.adapter.budgets
        self._tls: SwitchTls | None = None
        if isinstance(self.door, HandedSwitches):
            return  # another process listens
        if tls:
            self._tls = SwitchTls(tls["certfile"], tls["keyfile"], tls.get("ca_certs"))
        self._listener = Listener(
            ControllerListener.SWITCHES,
            listening(*listen_info) if self.door is None else self.door.socket,
            TokenBucket(budgets.accept_rate, budgets.accept_burst, monotonic()),
            self.adapter.admits,
            self._serve,
            self._paused,
        )

    def serve_forever(self) -> None:
        """Called by os-ken."""
        if isinstance(self.door, HandedSwitches):
            self.door.run(self._handed, self.counters)
            return
        for socket, address in self.door.take() if self.door is not None else ():
            if self.adapter.admits(address):
                hub.spawn(Channel(socket, address, is_greeted=True).serve)
            else:
                socket.close()
        self._listener.run()

    def _handed(self, socket: Any, one: HandedConnection) -> None:
        if self.adapter.admits(one.address):
            hub.spawn(Channel(socket, one.address, is_greeted=True, came=one.came).serve)
        else:
            socket.close()

    def _serve(self, socket: Any, address: tuple[Any, ...]) -> None:
        Channel(socket, address, TlsChannel(self._tls.context()) if self._tls is not None else None).serve()

    def _paused(self) -> None:
        self.counters.accept_paused[ControllerListener.SWITCHES] += 1


def install(adapter: Adapter[Channel], counters: Counters, door: Door | None) -> None:
    """Make os-ken accept connections with `SwitchListener`, and give all of them to `adapter`. `door`: what
    listens already, if anything does."""
    Channel.adapter = SwitchListener.adapter = adapter
    SwitchListener.counters, SwitchListener.door = counters, door
    # os-ken looks the name StreamServer up when it begins to listen, and has no setting for it. `Channel` cannot simply
    # replace `Datapath`: Datapath names itself in its call of super().
    controller.StreamServer = SwitchListener
