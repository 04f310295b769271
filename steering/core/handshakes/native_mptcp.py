"""MPTCP that is somebody's own, from end to end: told from what an upstream MCP opened, and left alone with its joins.

An upstream MCP marks what it opens by its source port, the stand-in for MP_PREFER_PROXY, which no kernel can add
(N-5.2.2.1c). A rule with `terminate_only: proxied` has MCPs serve marked connections only.

The joins of a session that was left alone carry a token of its server's key. It is read from the server's SYN/ACK, so
that they go their natural way too and are not taken for joins of nobody. Where a session was left alone only because no
MCP had room for it, servers' answers need not be shown here; then its server's address is remembered. Bounded: what was
used last stays.
"""

from collections import OrderedDict

from steering.core.sessions.flow_key import FlowKey
from steering.model.ids import Token, read_token
from steering.model.policy import Origin, Policy, Terms
from steering.wire.crypto import token as token_of
from steering.wire.handshake import Handshake, Kind

TOKENS = 65_536
OPENING = 4_096
OPENING_SECONDS = 10.0
SERVERS = 4_096
SERVER_SECONDS = 3_600.0  # as long as the record of a session answers joins (B42)


def origin(policy: Policy, handshake: Handshake) -> Origin:
    """Who opened a connection, a host or an upstream MCP, by the mark that the first segment carries or lacks."""
    marked = any(low <= handshake.sport <= high for low, high in policy.marker_ports)
    return Origin.PROXIED if marked else Origin.NATIVE


def excluded(policy: Policy, terms: Terms, handshake: Handshake) -> bool:
    """Whether a rule's `terminate_only` leaves this connection alone."""
    return bool(terms.terminate_only) and origin(policy, handshake) not in terms.terminate_only


class NativeSessions:
    """Sessions that were left alone, known by their tokens once their servers have answered."""

    def __init__(self) -> None:
        self._opening: OrderedDict[FlowKey, float] = OrderedDict()
        self._tokens: OrderedDict[int, None] = OrderedDict()
        self._servers: OrderedDict[bytes, float] = OrderedDict()

    def left(self, flow: FlowKey, now: float) -> None:
        """A first SYN with MP_CAPABLE went its natural way: the server's answer to it will be believed."""
        self._opening[flow] = now + OPENING_SECONDS
        self._opening.move_to_end(flow)
        if len(self._opening) > OPENING:
            self._opening.popitem(last=False)

    def found_no_room(self, flow: FlowKey, server: bytes, now: float) -> None:
        """A first SYN with MP_CAPABLE went its natural way, since no MCP could take the session."""
        self.left(flow, now)
        self._servers[server] = now + SERVER_SECONDS
        self._servers.move_to_end(server)
        if len(self._servers) > SERVERS:
            self._servers.popitem(last=False)

    def may_have(self, server: bytes, now: float) -> bool:
        """Whether a server may have sessions of its own with hosts, whose tokens nobody here knows."""
        return self._servers.get(server, 0.0) > now

    def answered(self, flow: FlowKey, handshake: Handshake, now: float) -> Token | None:
        """The server answered such a SYN. Returns the session's token; None if no such SYN was noted, or the answer
        is plain TCP."""
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
        """Whether a join with this token belongs to a session that was left alone."""
        if token not in self._tokens:
            return False
        self._tokens.move_to_end(token)
        return True
