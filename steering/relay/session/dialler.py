"""The far leg of a session, opened the way of the relay's role.

Every role hands the relay one function: the host's endpoint, the one it dialled and what the server is offered -> a
socket that is connecting.
"""

import errno
import os
import socket
import struct
from collections.abc import Callable
from functools import partial

from steering.relay.kernel.sockets import IP_TRANSPARENT, IPPROTO_MPTCP, IPV6_TRANSPARENT, dial, prepare_leg
from steering.relay.kernel.uplinks import Uplink, carries
from steering.relay.model import Endpoint, RelayRole, ServerLeg
from steering.relay.options.relay_options import RelayOptions

Dialler = Callable[[Endpoint, Endpoint, ServerLeg], socket.socket]
"""(client, server, leg) -> a non-blocking socket on its way to the server. Raises OSError."""

IP_LOCAL_PORT_RANGE = 51
TCP_FASTOPEN_CONNECT = 30


def dialler(options: RelayOptions, uplinks: tuple[Uplink, ...] = ()) -> Dialler:
    """How a role dials; `uplinks` are those of the upstream role, as the machine has them now."""
    if options.role is RelayRole.UPSTREAM:
        window = options.upstream.source_ports if options.upstream else None
        fast_open = options.via is not None and options.via.fast_open
        return partial(_by_uplink, uplinks, window, fast_open)
    if options.role is RelayRole.DATA_CENTRE:
        return _as_client
    return dial


def _mapped(endpoint: Endpoint) -> tuple[str, int]:
    address = endpoint.address
    return (address if ":" in address else f"::ffff:{address}", endpoint.port)


def _open(leg: ServerLeg) -> socket.socket:
    """An AF_INET6 socket also for IPv4: the kernel opens subflows of the other family for no other (N-5.5)."""
    sock = socket.socket(
        socket.AF_INET6, socket.SOCK_STREAM, IPPROTO_MPTCP if leg is ServerLeg.MPTCP else socket.IPPROTO_TCP
    )
    try:
        prepare_leg(sock)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    except OSError:
        sock.close()
        raise
    return sock


def _connect(sock: socket.socket, source: Endpoint, server: Endpoint) -> socket.socket:
    try:
        sock.bind(_mapped(source))
        code = sock.connect_ex(_mapped(server))
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
    except OSError:
        sock.close()
        raise
    return sock


def _by_uplink(
    uplinks: tuple[Uplink, ...],
    window: tuple[int, int] | None,
    fast_open: bool,
    _client: Endpoint,
    server: Endpoint,
    leg: ServerLeg,
) -> socket.socket:
    """From the address of the first uplink that has a carrier and speaks the server's family; marked by its port."""
    version = 6 if ":" in server.address else 4
    able = [uplink for uplink in uplinks if uplink.address(version)]
    if not able:
        raise OSError(errno.EADDRNOTAVAIL, f"no uplink has an IPv{version} address")
    chosen = next((uplink for uplink in able if carries(uplink.interface)), able[0])
    sock = _open(leg)
    if fast_open:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    if window is not None:
        low, high = window
        sock.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("=I", high << 16 | low))
    return _connect(sock, Endpoint(chosen.address(version), 0), server)


def _as_client(client: Endpoint, server: Endpoint, leg: ServerLeg) -> socket.socket:
    """From the client's own address and port; the server's further addresses are joined from the relay's own."""
    sock = _open(leg)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    sock.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
    return _connect(sock, client, server)


def dial_own(leg: ServerLeg, server: Endpoint, source: str = "", fast_open: bool = False) -> socket.socket:
    """From this machine's own address, `source` or as its routes have it: for hosts that addressed the MCP itself
    (N-F13), and for hosts that address one. With `fast_open` the SYN leaves with the first data."""
    sock = _open(leg)
    try:
        if source:
            sock.bind(_mapped(Endpoint(source, 0)))
        if fast_open:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
        code = sock.connect_ex(_mapped(server))
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
    except OSError:
        sock.close()
        raise
    return sock
