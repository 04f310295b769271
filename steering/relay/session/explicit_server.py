"""The server's side of explicit mode (N-5.2.1b): the messages of a host that addresses an MCP itself, and the
answers. No I/O; one object for each connection.

`feed` takes bytes as they arrive and says what to do: send something, connect somewhere, or give up. Nothing here
waits. The relay bounds the time that a host may take.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from errno import ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT
from ipaddress import ip_address
from typing import Protocol

from steering.relay.model import Endpoint
from steering.wire import convert, socks

MPTCP_OPTION = 30
NOWHERE = Endpoint("0.0.0.0", 0)
COOKIE_SIZE = 8
MAX_PREFACE = 2048
"""Most bytes that a host may send before it has named its destination. A Convert message has 1020 at most."""


@dataclass(frozen=True, slots=True)
class ServerStep:
    """What to do next. `send`: bytes to send now. Then connect to `destination`, for which the `early` bytes are
    meant, or give up where `refused` says why."""

    send: bytes = b""
    destination: Endpoint | None = None
    early: bytes = b""
    refused: str = ""


class Preface(Protocol):
    """A host's conversation with the MCP until its connection is established."""

    def feed(self, data: bytes) -> ServerStep:
        """Take bytes of the host; what to do next."""

    def connected(self, bound: Endpoint, options: bytes) -> bytes:
        """The message that tells the host that its connection is established. `options`: the server's TCP options, as
        far as known."""

    def failed(self, code: int) -> bytes:
        """The message that tells the host that there is no connection. `code`: an errno."""


@dataclass(frozen=True, slots=True)
class ExplicitTerms:
    """What an MCP demands of hosts and offers to them.

    `allowed`: whether a destination is allowed. `secret`: if given, Convert demands a cookie (RFC 8803 6.2.7).
    `users`: if given, SOCKS demands name and password. `mptcp`: whether the server leg offers MPTCP.
    """

    allowed: Callable[[Endpoint], bool]
    secret: bytes = b""
    users: tuple[tuple[bytes, bytes], ...] = ()
    mptcp: bool = True


class ConvertPreface:
    """The conversation by Convert (RFC 8803)."""

    def __init__(self, terms: ExplicitTerms, client: Endpoint) -> None:
        self._terms = terms
        self._client = client
        self._data = b""

    def feed(self, data: bytes) -> ServerStep:
        """See Preface."""
        self._data += data
        try:
            length = convert.message_length(self._data)
            if length is None or len(self._data) < length:
                return ServerStep()
            request = convert.decode_request(self._data[:length])
        except convert.ConvertError as error:
            return ServerStep(convert.error(error), refused=error.reason.value)
        problem = self._cookie_problem(request.cookie)
        if problem is not None:
            return problem
        if request.connect is None:
            kinds = (MPTCP_OPTION,) if self._terms.mptcp else ()
            return ServerStep(convert.encode(convert.SupportedExtensions(kinds)), refused="info-only")
        return self._connect(request.connect, self._data[length:])

    def _cookie_problem(self, cookie: bytes | None) -> ServerStep | None:
        if not self._terms.secret:
            return None
        right = cookie_of(self._terms.secret, self._client.address)
        if cookie is None:
            told = convert.encode(convert.Error(convert.ErrorCode.MISSING_COOKIE), convert.Cookie(right))
            return ServerStep(told, refused="missing-cookie")
        if not hmac.compare_digest(cookie, right):
            return ServerStep(_error(convert.ErrorCode.NOT_AUTHORIZED), refused="wrong-cookie")
        return None

    def _connect(self, wanted: convert.Connect, early: bytes) -> ServerStep:
        unknown = bytes(kind for kind, _ in wanted.options if kind != MPTCP_OPTION or not self._terms.mptcp)
        if unknown:
            return ServerStep(
                _error(convert.ErrorCode.UNSUPPORTED_TCP_OPTION, unknown), refused="unsupported-tcp-option"
            )
        destination = Endpoint(str(wanted.address), wanted.port)
        if not self._terms.allowed(destination):
            return ServerStep(_error(convert.ErrorCode.NOT_AUTHORIZED), refused="not-a-service-address")
        return ServerStep(destination=destination, early=early)

    def connected(self, bound: Endpoint, options: bytes) -> bytes:
        """See Preface."""
        return convert.encode(convert.ExtendedTcpHeader(options))

    def failed(self, code: int) -> bytes:
        """See Preface. The ICMP code for Destination Unreachable is not known, as the kernel does not tell it."""
        if code in (ECONNREFUSED, ECONNRESET):
            return _error(convert.ErrorCode.CONNECTION_RESET)
        if code in (EHOSTUNREACH, ENETUNREACH, ETIMEDOUT):
            return _error(convert.ErrorCode.DESTINATION_UNREACHABLE)
        return _error(convert.ErrorCode.NETWORK_FAILURE)


def cookie_of(secret: bytes, client: str) -> bytes:
    """The cookie of a host. Only who can receive at the host's address can know it."""
    return hmac.new(secret, ip_address(client).packed, hashlib.sha256).digest()[:COOKIE_SIZE]


def _error(code: convert.ErrorCode, value: bytes = b"") -> bytes:
    return convert.encode(convert.Error(code, value))


class SocksPreface:
    """The conversation by SOCKS (RFC 1928, RFC 1929)."""

    def __init__(self, terms: ExplicitTerms, client: Endpoint) -> None:
        self._terms = terms
        self._data = b""
        self._stage = self._greeting

    def feed(self, data: bytes) -> ServerStep:
        """See Preface."""
        self._data += data
        sent = b""
        while True:
            stage = self._stage
            try:
                step = stage()
            except socks.SocksError as error:
                told = b"" if error.reply is None else _reply(error.reply)
                return ServerStep(sent + told, refused=error.reason.value)
            if step is None:
                return ServerStep(sent)
            sent += step.send
            if step.destination is not None or step.refused:
                return ServerStep(sent, step.destination, step.early, step.refused)

    def _greeting(self) -> ServerStep | None:
        read = socks.read_greeting(self._data)
        if read is None:
            return None
        offered, used = read
        self._data = self._data[used:]
        wanted = socks.Method.PASSWORD if self._terms.users else socks.Method.NONE
        if wanted not in offered:
            return ServerStep(socks.write_method(socks.Method.UNACCEPTABLE), refused="no-method")
        self._stage = self._credentials if self._terms.users else self._request
        return ServerStep(socks.write_method(wanted))

    def _credentials(self) -> ServerStep | None:
        read = socks.read_credentials(self._data)
        if read is None:
            return None
        (name, password), used = read
        self._data = self._data[used:]
        granted = [
            hmac.compare_digest(name, known) & hmac.compare_digest(password, secret)
            for known, secret in self._terms.users
        ]
        if not any(granted):
            return ServerStep(socks.write_verdict(False), refused="wrong-password")
        self._stage = self._request
        return ServerStep(socks.write_verdict(True))

    def _request(self) -> ServerStep | None:
        read = socks.read_request(self._data)
        if read is None:
            return None
        address, port, used = read
        mapped = address.ipv4_mapped if address.version == 6 else None
        destination = Endpoint(str(mapped or address), port)
        if not convert.reachable(mapped or address) or not self._terms.allowed(destination):
            return ServerStep(_reply(socks.Reply.NOT_ALLOWED), refused="not-a-service-address")
        return ServerStep(destination=destination, early=self._data[used:])

    def connected(self, bound: Endpoint, options: bytes) -> bytes:
        """See Preface."""
        return _reply(socks.Reply.SUCCEEDED, bound)

    def failed(self, code: int) -> bytes:
        """See Preface."""
        replies = {
            ECONNREFUSED: socks.Reply.REFUSED,
            ENETUNREACH: socks.Reply.NETWORK_UNREACHABLE,
            EHOSTUNREACH: socks.Reply.HOST_UNREACHABLE,
            ETIMEDOUT: socks.Reply.HOST_UNREACHABLE,
        }
        return _reply(replies.get(code, socks.Reply.FAILURE))


def _reply(reply: socks.Reply, bound: Endpoint = NOWHERE) -> bytes:
    return socks.write_answer(socks.Answer(reply, ip_address(bound.address), bound.port))
