"""MPTCP connections between host and server without an MCP ("native"): they and their joins are left alone.

An upstream MCP marks the connections that it opens by their source port. The mark stands in for MP_PREFER_PROXY, which no
kernel can send (N-5.2.2.1c). With `terminate_only: proxied` in a rule, MCPs serve only marked connections.

The joins of a native session carry a token made from the server's key. The controller reads the key from the server's
SYN/ACK, so that these joins take their natural path and do not count as joins with unknown tokens. If a session is native
only because no MCP had room, the servers' SYN/ACKs may not be copied to the controller. In that case the address of the
server is remembered. All records are bounded: the most recently used stay.
"""

from collections import OrderedDict

from steering.core.sessions.flow_key import FlowKey
from steering.model.ids import Token, read_token
from steering.model.policy import Origin, Policy, Terms
from steering.wire.crypto import token as token_of
from steering.wire.handshake import Handshake, Kind

TOKENS = 65_536  # most tokens of native sessions
OPENING = 4_096  # most first SYNs whose server's answer is awaited
OPENING_SECONDS = 10.0  # how long an answer is awaited
SERVERS = 4_096  # most servers that are remembered
SERVER_SECONDS = 3_600.0  # how long; the record of a session answers joins as long (B42)


def origin(policy: Policy, handshake: Handshake) -> Origin:
    """Whether a host or an upstream MCP opened a connection, by the mark in its source port."""
    marked = any(low <= handshake.sport <= high for low, high in policy.marker_ports)
    return Origin.PROXIED if marked else Origin.NATIVE


def excluded(policy: Policy, terms: Terms, handshake: Handshake) -> bool:
    """Whether `terminate_only` of a rule keeps this connection away from MCPs."""
    return bool(terms.terminate_only) and origin(policy, handshake) not in terms.terminate_only


class NativeSessions:
    """The tokens of native sessions. A token is known as soon as the server has answered."""

    def __init__(self) -> None:
        self._opening: OrderedDict[FlowKey, float] = OrderedDict()
        self._tokens: OrderedDict[int, None] = OrderedDict()
        self._servers: OrderedDict[bytes, float] = OrderedDict()

    def left(self, flow: FlowKey, now: float) -> None:
        """A first SYN with MP_CAPABLE took its natural path. The server's answer to it is awaited."""
        self._opening[flow] = now + OPENING_SECONDS
        self._opening.move_to_end(flow)
        if len(self._opening) > OPENING:
            self._opening.popitem(last=False)

    def found_no_room(self, flow: FlowKey, server: bytes, now: float) -> None:
        """A first SYN with MP_CAPABLE took its natural path, because no MCP could take the session."""
        self.left(flow, now)
        self._servers[server] = now + SERVER_SECONDS
        self._servers.move_to_end(server)
        if len(self._servers) > SERVERS:
            self._servers.popitem(last=False)

    def may_have(self, server: bytes, now: float) -> bool:
        """Whether a server may have native sessions whose tokens the controller does not know."""
        return self._servers.get(server, 0.0) > now

    def answered(self, flow: FlowKey, handshake: Handshake, now: float) -> Token | None:
        """A server sent a SYN/ACK. Returns the session's token. None if its answer was not awaited, or if it is plain TCP."""
        deadline = self._opening.pop(flow, 0.0)
        if deadline <= now or handshake.kind is not Kind.CAPABLE or not handshake.key:
            return None
        token = read_token(token_of(handshake.version, handshake.key), "big")
        self._tokens[token] = None
        self._tokens.move_to_end(token)
        if len(self._tokens) > TOKENS:
            self._tokens.popitem(last=False)
        return token

    def owns(self, token: Token) -> bool:
        """Whether a join with this token belongs to a native session."""
        if token not in self._tokens:
            return False
        self._tokens.move_to_end(token)
        return True
