"""The listening sockets of a relay: for intercepted ports, for explicit mode, and for a client's own applications."""

import socket
from collections.abc import Callable
from functools import partial
from select import EPOLLIN
from typing import NamedTuple

from steering.relay.kernel.sockets import explicit_listener, listener, local_listener
from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint, ExplicitProtocol
from steering.relay.options.relay_options import RelayOptions
from steering.relay.options.roles import LISTEN_PORT


class WantedListener(NamedTuple):
    """A listener that a relay needs: how it is opened, the protocol that hosts speak there first, and a fixed
    destination."""

    open: Callable[[], socket.socket]
    protocol: ExplicitProtocol | None = None
    target: Endpoint | None = None


def wanted_listeners(options: RelayOptions) -> list[WantedListener]:
    """All listeners that a relay with these options needs."""
    found = [WantedListener(partial(listener, port)) for port in options.ports]
    if options.role.takes_plain:
        found.append(WantedListener(partial(listener, LISTEN_PORT, socket.IPPROTO_TCP)))
    elif options.listener:
        found.append(WantedListener(partial(listener, options.listener)))
    found += [
        WantedListener(partial(explicit_listener, offer.port), offer.protocol) for offer in options.explicit
    ]
    return found + [
        WantedListener(partial(local_listener, forward.listen), target=forward.target)
        for forward in options.forward
    ]


class Listeners:
    """The listeners. Call `open`, then `watch` and `leave` in turn, then `close`, which may be called at any time."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._sockets: list[socket.socket] = []
        self._protocols: dict[socket.socket, ExplicitProtocol] = {}
        self._targets: dict[socket.socket, Endpoint] = {}

    def open(self, options: RelayOptions) -> None:
        """Open all. Raises PlatformError and OSError; `close` closes those that were opened before the error."""
        for wanted in wanted_listeners(options):
            self._sockets.append(wanted.open())
            if wanted.protocol is not None:
                self._protocols[self._sockets[-1]] = wanted.protocol
            if wanted.target is not None:
                self._targets[self._sockets[-1]] = wanted.target

    def ports(self) -> list[int]:
        """The ports, in the order in which they were opened."""
        return [sock.getsockname()[1] for sock in self._sockets]

    def protocol(self, came_to: socket.socket) -> ExplicitProtocol | None:
        """The protocol that hosts speak first at a listener. None: no protocol; the destination of the connection is
        the server."""
        return self._protocols.get(came_to)

    def server(self, came_to: socket.socket, server: Endpoint) -> Endpoint:
        """The server for a connection whose destination is `server`: that, or the listener's fixed one."""
        return self._targets.get(came_to, server)

    def watch(self, on_accept: Callable[[socket.socket, int], None]) -> None:
        """Call `on_accept(listener, events)` when a connection waits."""
        for sock in self._sockets:
            self._poller.add(sock.fileno(), EPOLLIN, partial(on_accept, sock))

    def leave(self) -> None:
        """Stop watching all listeners. Connections wait in the kernel's queues."""
        for sock in self._sockets:
            self._poller.remove(sock.fileno())

    def close(self) -> None:
        """Close all listeners."""
        self.leave()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()
