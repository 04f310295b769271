"""Opens the far leg of a session, in the way of the relay's role.

Every role gives the relay one function. Its arguments are the host's endpoint, the endpoint that the host dialled,
the protocol for the server leg, and the socket's mark (`kernel.dscp`; 0 for none). It returns a socket that is
connecting.
"""

import socket
from collections.abc import Callable

from steering.relay.kernel.sockets import (
    IP_TRANSPARENT,
    IPPROTO_MPTCP,
    IPV6_TRANSPARENT,
    closed_on_failure,
    connect,
    dial,
    prepare_leg,
)
from steering.relay.model import Endpoint, RelayRole, ServerLeg
from steering.relay.options.relay_options import RelayOptions

Dialler = Callable[[Endpoint, Endpoint, ServerLeg, int], socket.socket]
"""(client, server, leg, mark) -> a non-blocking socket on its way to the server. Raises OSError."""

TCP_FASTOPEN_CONNECT = 30


def dialler(options: RelayOptions) -> Dialler:
    """The dialler of a role without uplinks. `uplink_dialler` has the one for uplinks."""
    if options.role is RelayRole.DATA_CENTRE:
        return _as_client
    return dial


def _mapped(endpoint: Endpoint) -> tuple[str, int]:
    address = endpoint.address
    return (address if ":" in address else f"::ffff:{address}", endpoint.port)


def open_leg(leg: ServerLeg, mark: int = 0) -> socket.socket:
    """A socket for a server leg. It is AF_INET6 also for IPv4: only then the kernel opens subflows of the other
    family (N-5.5)."""
    sock = socket.socket(
        socket.AF_INET6, socket.SOCK_STREAM, IPPROTO_MPTCP if leg is ServerLeg.MPTCP else socket.IPPROTO_TCP
    )
    with closed_on_failure(sock):
        prepare_leg(sock, mark)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return sock


def connect_from(sock: socket.socket, source: Endpoint, server: Endpoint) -> socket.socket:
    """Bind and connect a socket, which is closed where that fails. Raises OSError."""
    with closed_on_failure(sock):
        sock.bind(_mapped(source))
        connect(sock, _mapped(server))
    return sock


def _as_client(client: Endpoint, server: Endpoint, leg: ServerLeg, mark: int) -> socket.socket:
    """Dial from the client's own address and port. Further addresses of the server are joined from the relay's own
    address."""
    sock = open_leg(leg, mark)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    sock.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
    return connect_from(sock, client, server)


def dial_own(
    leg: ServerLeg, server: Endpoint, source: str = "", fast_open: bool = False, mark: int = 0
) -> socket.socket:
    """Dial from this machine's own address: `source`, or the one that its routes choose. An MCP does so for hosts
    that addressed the MCP itself (N-F13), and a client for its own connections to an MCP. With `fast_open` the SYN is
    sent with the first data."""
    sock = open_leg(leg, mark)
    with closed_on_failure(sock):
        if source:
            sock.bind(_mapped(Endpoint(source, 0)))
        if fast_open:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
        connect(sock, _mapped(server))
    return sock
