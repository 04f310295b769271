"""The handshake of a connection: HELLO, features, port descriptions, each once and bounded. After it the connection may
speak for a switch.

os-ken negotiates the version in HELLO. The rest is asked for and read here, because os-ken takes port descriptions
without end, and needs ten times as long for each port as `reader` does.
"""

from struct import Struct
from typing import Any, Protocol

from os_ken.controller.handler import CONFIG_DISPATCHER, HANDSHAKE_DISPATCHER

from steering.model.ids import PortNumber
from steering.openflow.budgets import Budgets
from steering.openflow.messages.encode import message as encoded
from steering.openflow.messages.reader import (
    Disconnect,
    Message,
    Multipart,
    PortDescription,
    Type,
    clean_hello,
    port_description_is_sound,
    read_datapath_id,
    read_multipart,
    read_port_descriptions,
    read_port_status,
)
from steering.openflow.ports.known_ports import MAX_PORTS

_MULTIPART_REQUEST = 18
_REQUEST = Struct(">HH4x")
_XID = 0x7FFF_0001  # transaction id of the request for port descriptions; os-ken and the sender use other ids
# Messages that may still arrive from a switch that had a controller before.
_LATE = frozenset({Type.PACKET_IN, Type.ERROR, Type.ECHO_REPLY})


class Peer(Protocol):
    """The connection that shakes hands."""

    id: Any  # the datapath id; None before the features reply
    state: Any  # os-ken's name for the stage of the handshake

    def write(self, data: bytes) -> None: ...

    def to_framework(self, message: Message) -> None:
        """Give a HELLO to os-ken's own handler."""

    def identified(self) -> Disconnect | None:
        """The datapath id is known. Returns why it is refused; None if it is accepted."""

    def described(self) -> None:
        """The ports are known too."""


class SwitchHandshake:
    """The handshake of one connection. `ports`: as the switch described them, by number."""

    def __init__(self, peer: Peer, budgets: Budgets) -> None:
        self._peer = peer
        self._messages = budgets.handshake_messages
        self._bytes = budgets.handshake_bytes
        self._asked = False
        self._done = False
        self.ports: dict[PortNumber, PortDescription] = {}

    def take(self, message: Message) -> Disconnect | None:
        """Take the next message. Returns why the connection must end; None if it goes on."""
        self._messages -= 1
        self._bytes -= len(message.data)
        if self._messages < 0 or self._bytes < 0:
            return Disconnect.HANDSHAKE_FLOOD
        kind = message.type
        if kind == Type.HELLO:
            return self._hello(message)
        if kind == Type.FEATURES_REPLY:
            return self._features(message.data)
        if kind == Type.MULTIPART_REPLY:
            return self._ports(message)
        if kind == Type.ECHO_REQUEST:
            self._peer.write(message.data[:1] + bytes((Type.ECHO_REPLY,)) + message.data[2:])
        elif kind == Type.PORT_STATUS:
            # The port descriptions contain what changed before they came.
            return self.changed_later(message.data) if self._done else self._port_status(message.data)
        elif kind not in _LATE:
            return Disconnect.OUT_OF_ORDER
        return None

    def _hello(self, message: Message) -> Disconnect | None:
        clean = clean_hello(message.data)
        if clean is None or self._peer.state != HANDSHAKE_DISPATCHER:
            return Disconnect.BAD_HELLO
        self._peer.to_framework(message._replace(data=clean))
        return None

    def _features(self, data: bytes) -> Disconnect | None:
        dpid = read_datapath_id(data)
        if dpid is None:
            return Disconnect.BAD_LENGTH
        if self._peer.state != CONFIG_DISPATCHER or self._asked:
            return Disconnect.OUT_OF_ORDER
        self._peer.id = dpid
        refused = self._peer.identified()
        if refused is None:
            self._asked = True
            self._peer.write(encoded(_MULTIPART_REQUEST, _XID, _REQUEST.pack(Multipart.PORT_DESC, 0)))
        return refused

    def _ports(self, message: Message) -> Disconnect | None:
        head = read_multipart(message.data)
        if head is None or head[0] != Multipart.PORT_DESC or not port_description_is_sound(message.data):
            return Disconnect.BAD_LENGTH
        if not self._asked or self._done or message.xid != _XID:
            return Disconnect.OUT_OF_ORDER
        self.ports.update((port.number, port) for port in read_port_descriptions(message.data))
        if len(self.ports) > MAX_PORTS:
            return Disconnect.TOO_MANY_PORTS
        if not head[1]:
            self._done = True
            self._peer.described()
        return None

    def changed_later(self, data: bytes) -> Disconnect | None:
        """Take a port status message that comes behind the port descriptions: of a standby connection, or of one that waits
        until the live connection of its datapath id has answered, or of a switch. Returns as `take`."""
        state = read_port_status(data)
        if state is not None and not state.gone and state.port not in self.ports:
            if len(self.ports) >= MAX_PORTS:
                return Disconnect.TOO_MANY_PORTS
            self.ports.update((port.number, port) for port in read_port_descriptions(data))
            return None
        return self._port_status(data)

    def _port_status(self, data: bytes) -> Disconnect | None:
        """A known port changed or is gone."""
        state = read_port_status(data)
        if state is None:
            return Disconnect.BAD_LENGTH
        known = self.ports.get(state.port)
        if state.gone:
            self.ports.pop(state.port, None)
        elif known is not None:
            # A port without link may have no speed.
            self.ports[state.port] = known._replace(
                up=state.up, live=state.live, speed=state.speed or known.speed
            )
        return None
