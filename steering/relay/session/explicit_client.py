"""The client's side of explicit mode (N-5.2.1b): the messages to an MCP, and the reactions to its answers. No I/O."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from steering.relay.model import Endpoint, ExplicitMcp, ExplicitProtocol
from steering.wire import convert, socks
from steering.wire.errors import WireError


class ClientConversation(Protocol):
    """One conversation with an MCP until the connection is established.

    `eager`: the connection's own data may follow the `first` message at once (0-RTT).
    """

    eager: bool

    def first(self) -> bytes:
        """The first message, to be sent in the SYN or as soon as the connection to the MCP is established."""

    def feed(self, data: bytes) -> "ClientStep":
        """Take bytes of the MCP; what to do next."""


@dataclass(frozen=True, slots=True)
class ClientStep:
    """What to do next. `send`: bytes to send now. `done`: the connection is established, and `early` are its first
    bytes. `refused`: why it is not."""

    send: bytes = b""
    done: bool = False
    early: bytes = b""
    refused: str = ""


class ConvertClient:
    """A Convert client (RFC 8803 section 4.1)."""

    eager = True

    def __init__(self, destination: Endpoint, cookie: bytes | None = None) -> None:
        self._destination = destination
        self._cookie = cookie
        self._data = b""

    def first(self) -> bytes:
        """See ClientConversation."""
        wanted = convert.Connect(ip_address(self._destination.address), self._destination.port)
        return convert.encode(wanted, *([] if self._cookie is None else [convert.Cookie(self._cookie)]))

    def feed(self, data: bytes) -> ClientStep:
        """See ClientConversation."""
        self._data += data
        try:
            length = convert.message_length(self._data)
            if length is None or len(self._data) < length:
                return ClientStep()
            tlvs = convert.decode(self._data[:length])
        except convert.ConvertError as error:
            return ClientStep(refused=error.reason.value)
        for tlv in tlvs:
            if isinstance(tlv, convert.Error):
                return ClientStep(refused=_named(tlv.code))
        return ClientStep(done=True, early=self._data[length:])


def _named(code: int) -> str:
    try:
        return convert.ErrorCode(code).name.lower().replace("_", "-")
    except ValueError:
        return f"error-{code}"


class SocksClient:
    """A SOCKS client: three round trips with a password, two without."""

    eager = False

    def __init__(self, destination: Endpoint, user: tuple[bytes, bytes] | None = None) -> None:
        self._destination = destination
        self._user = user
        self._data = b""
        self._stage = self._method

    def first(self) -> bytes:
        """See ClientConversation."""
        return socks.write_greeting(*([socks.Method.NONE] if self._user is None else [socks.Method.PASSWORD]))

    def feed(self, data: bytes) -> ClientStep:
        """See ClientConversation."""
        self._data += data
        sent = b""
        while True:
            stage = self._stage
            try:
                asked = stage()
            except WireError as error:
                return ClientStep(sent, refused=error.reason.value)
            if asked is None:
                return ClientStep(sent)
            sent += asked.send
            if asked.done or asked.refused:
                return ClientStep(sent, asked.done, asked.early, asked.refused)

    def _method(self) -> ClientStep | None:
        read = socks.read_method(self._data)
        if read is None:
            return None
        method, used = read
        self._data = self._data[used:]
        if method == socks.Method.PASSWORD and self._user is not None:
            self._stage = self._verdict
            return ClientStep(socks.write_credentials(*self._user))
        if method != socks.Method.NONE or self._user is not None:
            return ClientStep(refused="no-method")
        return self._ask()

    def _verdict(self) -> ClientStep | None:
        read = socks.read_verdict(self._data)
        if read is None:
            return None
        verdict, used = read
        self._data = self._data[used:]
        return self._ask() if verdict == 0 else ClientStep(refused="wrong-password")

    def _ask(self) -> ClientStep:
        self._stage = self._answer
        return ClientStep(socks.write_request(ip_address(self._destination.address), self._destination.port))

    def _answer(self) -> ClientStep | None:
        read = socks.read_answer(self._data)
        if read is None:
            return None
        answer, used = read
        if answer.reply != socks.Reply.SUCCEEDED:
            known = answer.reply in socks.Reply.__members__.values()
            return ClientStep(
                refused=socks.Reply(answer.reply).name.lower().replace("_", "-") if known else "failure"
            )
        return ClientStep(done=True, early=self._data[used:])


def conversation_with(via: ExplicitMcp, server: Endpoint) -> ClientConversation:
    """The conversation with the MCP `via` for one connection to `server`."""
    if via.protocol is ExplicitProtocol.CONVERT:
        return ConvertClient(server)
    return SocksClient(server, via.user)
