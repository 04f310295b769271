"""All connections to the switch listener: how many there may be, which are alive, and what the log says of them."""

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
from steering.openflow.connection.early_door import EarlyDoor
from steering.openflow.connection.listener import Listener, listening, switch_places
from steering.openflow.connection.tls import TlsChannel, switch_context
from steering.openflow.messages.encode import message
from steering.openflow.messages.reader import Disconnect, Type

ECHO_AFTER = 5.0  # seconds of silence, then an echo request
SILENT_AFTER = 15.0  # seconds without a whole message, then the switch is given up
HANDSHAKE_TIMEOUT = 10.0  # seconds from connect until it is a switch
MAX_CHANNELS = 4_096
LOG_INTERVAL = 60.0  # seconds in which LOG_BURST lines tell of one reason, or of one switch
LOG_BURST = 5
_ECHO_XID = 0
_ECHO_REQUEST = message(Type.ECHO_REQUEST, _ECHO_XID, b"")
_REFUSED = frozenset(Disconnect(why.value) for why in SwitchRefusal)
_EXPECTED = (Disconnect.CLOSED, Disconnect.SHUTDOWN)

log = logging.getLogger(__name__)


class Connections:
    """All connections. `name` makes a switch's name of its datapath id."""

    def __init__(self, budgets: Budgets, counters: Counters, name: Callable[[DatapathId], str]) -> None:
        self._budgets = budgets
        self._counters = counters
        self._name = name
        # Newcomers leave half of the places to switches, whatever the process may have open.
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
        """A connection was accepted. Another one may lose its place for it."""
        self.channels.add(channel)
        oldest = self._newcomers.enter(channel, source_of(str(channel.address[0])))
        if oldest is not None:
            oldest.disconnect(Disconnect.TOO_MANY_NEWCOMERS)

    def is_switch(self, channel: Channel) -> None:
        """A connection speaks for its switch from now on."""
        self._newcomers.leave(channel)

    def ended(self, channel: Channel, reason: Disconnect) -> None:
        """A connection has ended."""
        self._newcomers.leave(channel)
        self.channels.discard(channel)
        if channel.id is not None and reason in _REFUSED:
            self._counters.refuse_switch(channel.id, SwitchRefusal(reason.value))
        # A switch that was one has lines of its own. Of all others, who can connect could fill the log.
        subject = channel.id if channel.is_ready else reason
        name = self._name(channel.id) if channel.id is not None else "unknown"
        self._over(reason, subject, name, channel.address)

    def _over(self, reason: Disconnect, subject: Hashable, name: str, address: tuple[Any, ...]) -> None:
        self._counters.disconnects[reason] += 1
        more = self._lines.left_out(subject, monotonic())
        if more is not None:
            log.log(
                logging.INFO if reason in _EXPECTED else logging.WARNING,
                "switch %s at %s: connection ended: %s%s",
                name, ":".join(map(str, address[:2])), reason, and_more(more),
            )  # fmt: skip

    def watch(self, now: float) -> None:
        """Keep connections alive, and end those that are dead or never got through their handshake."""
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
    """os-ken makes this in place of its own server, with the same arguments."""

    adapter: Adapter[Channel]
    counters: Counters
    door: EarlyDoor | None = None  # listens already, and switches may wait there

    def __init__(self, listen_info: tuple[str, int], handle: Any, **tls: Any) -> None:
        budgets = self.adapter.budgets
        self._context = None
        if tls:
            self._context = switch_context(tls["certfile"], tls["keyfile"], tls.get("ca_certs"))
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
        for socket, address in self.door.take() if self.door is not None else ():
            if self.adapter.admits(address):
                hub.spawn(Channel(socket, address, is_greeted=True).serve)
            else:
                socket.close()
        self._listener.run()

    def _serve(self, socket: Any, address: tuple[Any, ...]) -> None:
        Channel(socket, address, TlsChannel(self._context) if self._context is not None else None).serve()

    def _paused(self) -> None:
        self.counters.accept_paused[ControllerListener.SWITCHES] += 1


def install(adapter: Adapter[Channel], counters: Counters, door: EarlyDoor | None) -> None:
    """Let os-ken accept by `SwitchListener`, with `adapter` behind its connections. `door`: what listens already."""
    Channel.adapter = SwitchListener.adapter = adapter
    SwitchListener.counters, SwitchListener.door = counters, door
    # os-ken looks this name up when it begins to listen, and has no setting for it. The channel itself cannot be
    # put in Datapath's place: Datapath names itself in its call of super().
    controller.StreamServer = SwitchListener
