"""The relay's sockets: listeners, server legs, and information of the kernel about an MPTCP connection.

The numbers of socket options are those of Linux (uapi in.h, in6.h, mptcp.h). Python's socket module names only few of
them.
"""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from steering.relay.model import Endpoint, PlatformError, ServerLeg

IPPROTO_MPTCP = 262
SOL_MPTCP = 284
MPTCP_INFO = 1
TCP_IS_MPTCP = 43
IP_TRANSPARENT = 19
IPV6_TRANSPARENT = 75
TCP_FASTOPEN = 23
BACKLOG = 4096
FAST_OPEN_QUEUE = 256

KEEPALIVE_IDLE_S = 600
KEEPALIVE_INTERVAL_S = 30
KEEPALIVE_PROBES = 6
"""Keepalive probes: a peer that has vanished is noticed after 13 minutes, not after the kernel's default of two hours."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_FINISH_ON_CLOSE = struct.pack("ii", 0, 0)
_INFO_SIZE = 96


class MptcpInfo(NamedTuple):
    """From `getsockopt(MPTCP_INFO)`: the token of our own key, which joins carry, and the number of open subflows."""

    token: int
    subflows: int


def check_platform(will_enable: bool = False) -> None:
    """Raises PlatformError unless this process can open MPTCP sockets and make them transparent.

    With `will_enable`, it is no error if only the sysctl switches MPTCP off, since the caller will switch it on.
    """
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM, IPPROTO_MPTCP).close()
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            raise PlatformError(
                "IPv6 is switched off in this kernel; the dual-stack listeners need it"
            ) from None
        if error.errno != errno.ENOPROTOOPT:
            raise PlatformError(
                "this kernel has no MPTCP: it takes Linux 5.6 or later with CONFIG_MPTCP"
            ) from None
        if not will_enable:
            raise PlatformError("MPTCP is switched off here: run sysctl -w net.mptcp.enabled=1") from None
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
        except PermissionError:
            raise PlatformError("root is needed (CAP_NET_ADMIN): run it with sudo") from None


def listener(port: int, protocol: int = IPPROTO_MPTCP) -> socket.socket:
    """A dual-stack, transparent listener on every address. Raises PlatformError if the port is taken.

    With MPTCP the port must be that of the service: the kernel resets joins that reach a listener of another port.
    """
    return _dual_stack(
        port, protocol, ((socket.IPPROTO_IPV6, IPV6_TRANSPARENT), (socket.IPPROTO_IP, IP_TRANSPARENT))
    )


def is_free(port: int) -> bool:
    """Whether nobody listens on a port."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            sock.bind(("::", port))
        except OSError:
            return False
    return True


def plain_listener(port: int) -> socket.socket:
    """A dual-stack listener for plain TCP on this machine's own addresses. Raises PlatformError if the port is taken."""
    return _dual_stack(port, 0, ())


def _dual_stack(port: int, protocol: int, switched_on: tuple[tuple[int, int], ...]) -> socket.socket:
    """`switched_on`: (level, option) that are set to 1 before the socket is bound."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        for level, option in switched_on:
            sock.setsockopt(level, option, 1)
        sock.bind(("::", port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise PlatformError(f"cannot listen on port {port}: {error.strerror}") from None
    return sock


def explicit_listener(port: int) -> socket.socket:
    """A dual-stack MPTCP listener for hosts that address the MCP itself. It accepts data in a SYN (TCP Fast Open)
    where the kernel allows that. Raises PlatformError if the port is in use."""
    sock = listener(port)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, FAST_OPEN_QUEUE)
    return sock


def local_listener(place: Endpoint) -> socket.socket:
    """A plain TCP listener at one address, for this machine's own applications. Raises PlatformError."""
    sock = socket.socket(socket.AF_INET6 if ":" in place.address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise PlatformError(f"cannot listen at {place}: {error.strerror}") from None
    return sock


def reset_on_close(sock: socket.socket) -> None:
    """From now on, closing the socket or the death of this process resets the peer, so that it never looks like an
    orderly end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def finish_on_close(sock: socket.socket) -> None:
    """From now on, after closing the socket the kernel delivers queued data and ends the connection in order."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _FINISH_ON_CLOSE)


def prepare_leg(sock: socket.socket, mark: int = 0) -> None:
    """Set up the socket of a leg: non-blocking, resetting on close, with keepalives, and without Nagle's delay, since
    the peers' own segments set the pace. `mark`: a mark for nft, 0 for none."""
    if mark:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    sock.setblocking(False)
    reset_on_close(sock)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


def dial(client: Endpoint, server: Endpoint, leg: ServerLeg, mark: int = 0) -> socket.socket:
    """A server leg that is connecting, bound to the host's own address and port (D-6.1b, N-5.4.1). Raises OSError."""
    family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
    protocol = IPPROTO_MPTCP if leg is ServerLeg.MPTCP else socket.IPPROTO_TCP
    sock = socket.socket(family, socket.SOCK_STREAM, protocol)
    with closed_on_failure(sock):
        prepare_leg(sock, mark)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
        sock.bind(client)
        connect(sock, server)
    return sock


@contextlib.contextmanager
def closed_on_failure(sock: socket.socket) -> Iterator[None]:
    """Within it an OSError closes the socket, and is raised again."""
    try:
        yield
    except OSError:
        sock.close()
        raise


def connect(sock: socket.socket, server: tuple[str, int]) -> None:
    """Begin to connect a non-blocking socket to an address and port of its family. Raises OSError."""
    code = sock.connect_ex(server)
    if code not in (0, errno.EINPROGRESS):
        raise OSError(code, os.strerror(code))


def syn_ack_options(sock: socket.socket) -> bytes:
    """The options of a server's SYN/ACK, as far as the kernel tells: SACK permitted, window scale, MPTCP.

    MP_CAPABLE is without its key, which only the MCP may know.
    """
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
        mptcp = mptcp_info(sock) is not None
    except OSError:
        return b""
    found = b""
    if info[5] & 2:  # TCPI_OPT_SACK
        found += b"\x04\x02"
    if info[5] & 4:  # TCPI_OPT_WSCALE; the low nibble is the scale of the peer
        found += bytes((3, 3, info[6] & 15))
    if mptcp:
        found += b"\x1e\x04\x01\x01"
    return found


def endpoints(sock: socket.socket) -> tuple[Endpoint, Endpoint]:
    """Client and server of an accepted connection. The server is the address that the host dialled. Raises OSError."""
    return _endpoint(sock.getpeername()), _endpoint(sock.getsockname())


def name_of(sock: socket.socket) -> Endpoint:
    """A socket's own address and port; the unspecified address where it has none any more."""
    try:
        return _endpoint(sock.getsockname())
    except OSError:
        return Endpoint("0.0.0.0", 0)


def _endpoint(name: tuple[str, int, int, int] | tuple[str, int]) -> Endpoint:
    address = ip_address(name[0].partition("%")[0])
    return Endpoint(str((address.version == 6 and address.ipv4_mapped) or address), name[1])


def has_peer(sock: socket.socket) -> bool:
    """Whether a socket is connected. A socket that is still connecting, or has failed to, has no peer."""
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def is_local(address: str) -> bool:
    """Whether an address belongs to this machine. Dialling it would only reach the relay's own listener."""
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def fell_back(sock: socket.socket) -> bool:
    """Whether a connected MPTCP socket has become plain TCP. A kernel that cannot say so (before 5.16) says no.

    TCP_IS_MPTCP is of Linux 6.10. From 5.16 on MPTCP_INFO tells by an error, which is that of older kernels for every socket.
    """
    try:
        return not sock.getsockopt(socket.IPPROTO_TCP, TCP_IS_MPTCP)
    except OSError:
        return _lacks_info(sock) and _kernel_has_info()


def _lacks_info(sock: socket.socket) -> bool:
    """Whether the kernel knows no MPTCP_INFO of a socket: EOPNOTSUPP where that is one of IPv4, ENOPROTOOPT of IPv6."""
    try:
        sock.getsockopt(SOL_MPTCP, MPTCP_INFO, _INFO_SIZE)
    except OSError as error:
        return error.errno in (errno.EOPNOTSUPP, errno.ENOPROTOOPT)
    return False


def _kernel_has_info() -> bool:
    """Whether this kernel has MPTCP_INFO: a socket that was never connected has not fallen back."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP) as fresh:
            return not _lacks_info(fresh)
    except OSError:
        return False


def mptcp_info(sock: socket.socket) -> MptcpInfo | None:
    """Information about an MPTCP connection. None for one that is plain TCP, or fell back to it; the kernel answers
    with one of several errors then."""
    try:
        raw = sock.getsockopt(SOL_MPTCP, MPTCP_INFO, _INFO_SIZE)
    except OSError:
        return None
    if len(raw) < 16:
        return None
    flags, token = struct.unpack_from("=II", raw, 8)
    if flags & 1:  # MPTCP_INFO_FLAG_FALLBACK
        return None
    # Kernels before 6.5 do not tell the total (byte 80), and do not count the first subflow.
    return MptcpInfo(token, raw[80] if len(raw) > 80 else raw[0] + 1)
