"""Reads from nft the DSCP that a host's SYN had. nft remembers it by the rules of `dscp.ruleset`; `dscp` says why only nft can.

Each session takes one netlink request to nf_tables (nfnetlink.h, nf_tables.h: NFT_MSG_GETSETELEM), which the kernel answers
before the call that sends the request returns. Messages from other processes than the kernel are ignored.
"""

import errno
import socket
import struct
from ipaddress import ip_address

from steering.relay.kernel.path_manager import attribute, attributes
from steering.relay.model import Endpoint

_NETLINK_NETFILTER = 12
_NFTABLES = 10 << 8  # NFNL_SUBSYS_NFTABLES
_GET, _NEW = _NFTABLES | 13, _NFTABLES | 12  # NFT_MSG_GETSETELEM, NFT_MSG_NEWSETELEM
_REQUEST, _NESTED = 1, 0x8000  # NLM_F_REQUEST, NLA_F_NESTED
_ERROR = 2  # NLMSG_ERROR
_INET = 1  # NFPROTO_INET
_TABLE, _SET, _ELEMENTS = 1, 2, 3  # NFTA_SET_ELEM_LIST_*
_ELEMENT = 1  # NFTA_LIST_ELEM
_KEY, _DATA = 1, 2  # NFTA_SET_ELEM_*
_VALUE = 1  # NFTA_DATA_VALUE
_HEADER = struct.Struct("=IHHII")
_GENERIC = struct.Struct(">BBH")  # nfgenmsg
_ANSWER = 4_096
_STRAY = 16  # messages that are read to find an answer
CODE_POINTS = 64


class SynCodePoints:
    """Reads code points of SYNs: call `of` for each session, and `close` at the end. `table`, `ipv4_map`, `ipv6_map`: names in
    nft."""

    def __init__(self, table: str, ipv4_map: str, ipv6_map: str) -> None:
        self._names = table, {4: ipv4_map, 6: ipv6_map}
        self._number = 0
        self._socket: socket.socket | None = None

    def of(self, host: Endpoint, server: Endpoint) -> int | None:
        """The code point of the SYN from `host` to `server`; 0 if nft remembers none. None where the kernel refused the
        request, or its answer is no code point."""
        try:
            return self._asked(element_key(host, server), 6 if ":" in host.address else 4)
        except (OSError, ValueError, struct.error, IndexError):
            self.close()
            return None

    def close(self) -> None:
        """Close the socket; the next call of `of` opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _asked(self, key: bytes, version: int) -> int:
        if self._socket is None:
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_NETFILTER
            )
        self._number = (self._number + 1) & 0xFFFF_FFFF
        table, maps = self._names
        wanted = attribute(_KEY | _NESTED, attribute(_VALUE, key))
        body = _GENERIC.pack(_INET, 0, 0)
        body += attribute(_TABLE, table.encode() + b"\0") + attribute(_SET, maps[version].encode() + b"\0")
        body += attribute(_ELEMENTS | _NESTED, attribute(_ELEMENT | _NESTED, wanted))
        head = _HEADER.pack(_HEADER.size + len(body), _GET, _REQUEST, self._number, 0)
        self._socket.sendto(head + body, (0, 0))
        for _ in range(_STRAY):
            message, sender = self._socket.recvfrom(_ANSWER)
            _, kind, _, number, _ = _HEADER.unpack_from(message)
            if sender[0] == 0 and number == self._number:
                return code_point(kind, message[_HEADER.size :])
        raise OSError(errno.EBADMSG, "no answer")


def element_key(host: Endpoint, server: Endpoint) -> bytes:
    """The key of the maps: for the host, then the server, the last 32 bits of the address and the port in the first half of
    32 bits."""
    return b"".join(
        ip_address(end.address).packed[-4:] + struct.pack(">HH", end.port, 0) for end in (host, server)
    )


def code_point(kind: int, body: bytes) -> int:
    """The code point in the kernel's answer. Raises OSError where the kernel refused, ValueError or struct.error for an
    answer that is malformed."""
    if kind == _ERROR:
        code = -struct.unpack_from("=i", body)[0]
        if code == errno.ENOENT:  # nft remembers no code point for this SYN, or the table does not exist
            return 0
        raise OSError(code, "nf_tables")
    if kind != _NEW:
        raise ValueError("not an element")
    inside = dict(attributes(body[_GENERIC.size :]))
    element = dict(attributes(dict(attributes(inside.get(_ELEMENTS, b""))).get(_ELEMENT, b"")))
    value = dict(attributes(element.get(_DATA, b""))).get(_VALUE, b"")
    found: int = struct.unpack("=I", value)[0]
    if not 0 <= found < CODE_POINTS:
        raise ValueError("not a code point")
    return found
