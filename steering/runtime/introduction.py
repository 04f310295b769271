"""Finds out which switches connect, and their ports, before there is a site file. Used by `steering init`.

This listener sends HELLO, asks for features and port descriptions, and changes nothing in a switch. Everything that a
stranger can send is bounded: connections, bytes and messages of each connection, ports, and time.
"""

import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from struct import Struct
from typing import NamedTuple

from steering.model.ids import DatapathId
from steering.openflow.messages.reader import (
    HEADER_LENGTH,
    LARGEST_PORT,
    PortDescription,
    port_description_is_sound,
    read_datapath_id,
    read_multipart,
    read_port_descriptions,
)

MOST_CONNECTIONS = 1_024
MOST_MESSAGES = 256  # most messages of one connection
MOST_PORTS = 4_096  # most ports of one switch
LOCAL = 0xFFFF_FFFE  # OFPP_LOCAL; Open vSwitch names this port as the bridge
SETTLED = 1.0  # seconds without another new switch, after which all switches count as known
_VERSION = 4  # OpenFlow 1.3
_HELLO, _ERROR, _ECHO_REQUEST, _ECHO_REPLY = 0, 1, 2, 3
_FEATURES_REQUEST, _FEATURES_REPLY, _MULTIPART_REQUEST, _MULTIPART_REPLY = 5, 6, 18, 19
_PORT_DESC = 13
_HEADER = Struct(">BBHI")


class IntroducedSwitch(NamedTuple):
    """A switch that has described itself. `bridge`: the switch's own name, empty where it tells none. `ports`: number ->
    port, for all ports by which frames can come in."""

    dpid: DatapathId
    address: str
    bridge: str
    ports: tuple[PortDescription, ...]


class _Refused(Exception):
    """A connection is given up. The message says why, in a sentence."""


def _message(kind: int, body: bytes = b"") -> bytes:
    return _HEADER.pack(_VERSION, kind, HEADER_LENGTH + len(body), 1) + body


class _Introduction:
    """One connection."""

    def __init__(self, connection: socket.socket, address: str) -> None:
        self.connection = connection
        self.address = address
        self._buffer = bytearray()
        self._messages = 0
        self._dpid: DatapathId | None = None
        self._ports: dict[int, PortDescription] = {}
        self._send(_message(_HELLO))

    def _send(self, data: bytes) -> None:
        try:
            self.connection.sendall(data)  # a few bytes, which always fit unless the peer does not read
        except OSError:
            raise _Refused("it does not read") from None

    def read(self) -> IntroducedSwitch | None:
        """Take the bytes that came. Returns the switch once it has described itself. Raises _Refused."""
        try:
            data = self.connection.recv(65_536)
        except BlockingIOError:
            return None
        except OSError as error:
            raise _Refused(error.strerror or str(error)) from None
        if not data:
            raise _Refused("it closed the connection")
        self._buffer += data
        while len(self._buffer) >= HEADER_LENGTH:
            version, kind, length, _ = _HEADER.unpack_from(self._buffer)
            if length < HEADER_LENGTH:
                raise _Refused("it sends no OpenFlow")
            if len(self._buffer) < length:
                return None  # at most 64 KiB wait here
            message = bytes(self._buffer[:length])
            del self._buffer[:length]
            self._messages += 1
            if self._messages > MOST_MESSAGES:
                raise _Refused("it sends too much")
            if (found := self._take(version, kind, message)) is not None:
                return found
        return None

    def _take(self, version: int, kind: int, message: bytes) -> IntroducedSwitch | None:
        if kind == _HELLO:
            if version < _VERSION:
                raise _Refused("it speaks no OpenFlow 1.3: ovs-vsctl set bridge BRIDGE protocols=OpenFlow13")
            self._send(_message(_FEATURES_REQUEST))
        elif kind == _ERROR and self._dpid is None:
            raise _Refused("it speaks no OpenFlow 1.3: ovs-vsctl set bridge BRIDGE protocols=OpenFlow13")
        elif kind == _ECHO_REQUEST:
            self._send(_message(_ECHO_REPLY, message[HEADER_LENGTH:]))
        elif kind == _FEATURES_REPLY and self._dpid is None:
            self._dpid = read_datapath_id(message)
            if self._dpid is None:
                raise _Refused("it sends no OpenFlow")
            self._send(_message(_MULTIPART_REQUEST, Struct(">HH4x").pack(_PORT_DESC, 0)))
        elif kind == _MULTIPART_REPLY and self._dpid is not None:
            return self._described(message)
        return None

    def _described(self, message: bytes) -> IntroducedSwitch | None:
        head = read_multipart(message)
        if head is None or head[0] != _PORT_DESC or not port_description_is_sound(message):
            raise _Refused("it sends no OpenFlow")
        self._ports.update((port.number, port) for port in read_port_descriptions(message))
        if len(self._ports) > MOST_PORTS:
            raise _Refused(f"it has more than {MOST_PORTS} ports")
        if head[1]:
            return None
        assert self._dpid is not None
        local = self._ports.get(LOCAL)
        ports = tuple(port for number, port in sorted(self._ports.items()) if 0 < number <= LARGEST_PORT)
        return IntroducedSwitch(self._dpid, self.address, "" if local is None else local.name, ports)


class SwitchReception:
    """Listens at the address that the controller will use. `told` gets a line for each connection that is given up.
    Raises OSError where the address cannot be used."""

    def __init__(self, host: str, port: int, told: Callable[[str], None]) -> None:
        self._listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128
        )
        self._listener.setblocking(False)
        self._told = told
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._open: dict[int, _Introduction] = {}
        self.port: int = self._listener.getsockname()[1]

    def wait(self, seconds: float, wanted: int | None) -> list[IntroducedSwitch]:
        """The switches that described themselves within `seconds`, sorted by datapath id. Returns earlier when `wanted`
        switches did. Without `wanted`, it returns when at least one did and then no other for `SETTLED` seconds."""
        found: dict[DatapathId, IntroducedSwitch] = {}
        until = time.monotonic() + seconds
        last = until
        while (now := time.monotonic()) < until:
            if (wanted is not None and len(found) >= wanted) or (wanted is None and now > last + SETTLED):
                break
            for key, _ in self._selector.select(min(0.2, until - now)):
                if key.data is None:
                    self._accept()
                    continue
                switch = self._read(key.data)
                if switch is not None:
                    found[switch.dpid] = switch
                    last = time.monotonic()
        return [found[dpid] for dpid in sorted(found)]

    def close(self) -> None:
        """End all connections, and listen no more."""
        for one in list(self._open.values()):
            self._end(one)
        self._selector.close()
        self._listener.close()

    def _accept(self) -> None:
        try:
            connection, address = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        if len(self._open) >= MOST_CONNECTIONS:
            connection.close()
            return
        try:
            one = _Introduction(connection, str(address[0]))
        except _Refused:
            connection.close()
            return
        self._open[connection.fileno()] = one
        self._selector.register(connection, selectors.EVENT_READ, one)

    def _read(self, one: _Introduction) -> IntroducedSwitch | None:
        try:
            return one.read()
        except _Refused as refused:
            self._told(f"{one.address}: {refused}")
            self._end(one)
            return None

    def _end(self, one: _Introduction) -> None:
        self._open.pop(one.connection.fileno(), None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(one.connection)
        one.connection.close()
