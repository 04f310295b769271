"""Messages between controllers: the records.

The first message of a stream is a Hello, and there is only one. `peer_codec` has their bytes.
"""

from typing import NamedTuple

from .errors import WireError, WireRefusal
from .handshake import Handshake

VERSION, OLDEST = 2, 1  # of this protocol: the one that is spoken, and the oldest that is understood
WITH_REST = 2  # the first version with RestQuestion and RestAnswer


class Hello(NamedTuple):
    """Who speaks. `incarnation`: another for each start. `site`: digest of the site file (32 bytes): controllers of
    different sites do not speak with each other."""

    name: str
    incarnation: int
    site: bytes
    version: int = VERSION
    oldest: int = OLDEST

    def common(self) -> int:
        """The version to speak with this peer. Raises WireError where there is none."""
        version = min(self.version, VERSION)
        if version < max(self.oldest, OLDEST):
            raise WireError(WireRefusal.OLD_PROTOCOL)
        return version


class Heartbeat(NamedTuple):
    """The sender lives. `number` counts up from 0 in one stream."""

    number: int


class TokenEntry(NamedTuple):
    """What every controller knows of another's session: enough to find the session's owner, and to tell whether a join
    with this token can be one of it."""

    token: int
    mcp: int
    server: bytes  # address of the initial subflow's destination, 4 or 16 bytes
    port: int


class TokenEntries(NamedTuple):
    """Tokens that sessions of the sender have from now on, all of one address family."""

    entries: tuple[TokenEntry, ...]


class EndedTokens(NamedTuple):
    """Tokens that sessions of the sender had, all of one address family. The sessions are over."""

    entries: tuple[TokenEntry, ...]


class ReplicaStart(NamedTuple):
    """What the sender told of its tokens counts no more: all follow, up to ReplicaEnd."""


class ReplicaEnd(NamedTuple):
    """All that the sender had at ReplicaStart is told, and what changed since."""


class ReplicaRequest(NamedTuple):
    """Tell all of your tokens again: the replica here is not what you say it is."""


class ReplicaDigest(NamedTuple):
    """How many tokens the sender has told and not taken back, and the sum of their digests (8 bytes)."""

    tokens: int
    digest: int


class TokenQuestion(NamedTuple):
    """Is there a session of yours that a join with this token, to this destination, may belong to?"""

    request: int
    token: int
    server: bytes
    port: int


class TokenAnswer(NamedTuple):
    request: int
    known: bool


class SegmentKind:
    """Which segment was seen, by the input of the core that it is (core.inputs)."""

    SYN, SYN_ACK, FIN, WATCHED = 1, 2, 3, 4
    ALL = (SYN, SYN_ACK, FIN, WATCHED)


class ForwardedSegment(NamedTuple):
    """A segment that a switch of the sender showed, and that is of a session of the receiver. `payload`: bytes of data
    before a FIN. `frame`: the whole frame of a SYN or a watched segment, b"" of others. `again`: the sender has it from
    another controller; it is never sent a third time."""

    kind: int
    dpid: int
    port: int
    payload: int
    handshake: Handshake
    frame: bytes = b""
    again: bool = False


class SwitchWrite(NamedTuple):
    """Write these OpenFlow messages to a switch of yours. `confirm`: answer when the switch has carried them out."""

    request: int
    dpid: int
    confirm: bool
    data: bytes


class WriteResult(NamedTuple):
    request: int
    done: bool


class SessionCopy(NamedTuple):
    """A session of the sender, for its standby. `token` < 0: none. `first`: flow key of its initial subflow."""

    number: int
    state: int
    mcp: int
    token: int
    version: int
    reverse: bool
    subscriber: str
    first: bytes


class SubflowCopy(NamedTuple):
    """A subflow of a session that was told. `isn` < 0: not known."""

    number: int
    kind: int
    dpid: int
    port: int
    role: int
    waypoint: int
    isn: int
    key: bytes


class CopyEnd(NamedTuple):
    number: int


class LimitWish(NamedTuple):
    """The sender's part of a limit is nearly used up. `place`: which kind of limit (core.selection.quotas.LIMITED); `key`:
    whose it is, at most 255 bytes; `most`: the limit."""

    place: int
    key: bytes | str | int
    most: int


class LimitGift(NamedTuple):
    """The receiver may have so many more sessions of a key, and the sender so many less."""

    place: int
    key: bytes | str | int
    most: int
    sessions: int


class NeighbourFact(NamedTuple):
    """An MCP or a next hop behind a port of the sender's switches has told its MAC (6 bytes)."""

    dpid: int
    port: int
    mac: bytes
    address: bytes  # 4 or 16 bytes


class PortFact(NamedTuple):
    """A port of the sender's switches has a link, or has none."""

    dpid: int
    port: int
    up: bool


class LinkFact(NamedTuple):
    """A link is there, or is not: from port `port` of `dpid` to port `far_port` of `far`; one direction."""

    dpid: int
    port: int
    far: int
    far_port: int
    up: bool


class McpFact(NamedTuple):
    """An MCP behind the sender's switches serves, or does not, as far as probes and its own reports tell."""

    mcp: int
    serves: bool


class RestQuestion(NamedTuple):
    """A request to the sender's REST that the receiver has to answer for itself. `who` and `role`: whose request it is, which
    the sender has checked; a token is never sent. `method`: a place in REST_METHODS. `target`: path and query."""

    request: int
    method: int
    role: str
    who: str
    target: str


class RestAnswer(NamedTuple):
    """A part of an answer; parts come in order. `status`: of HTTP. `last`: it is the last part."""

    request: int
    status: int
    last: bool
    data: bytes


PeerMessage = (
    Hello
    | Heartbeat
    | TokenEntries
    | EndedTokens
    | ReplicaStart
    | ReplicaEnd
    | ReplicaRequest
    | ReplicaDigest
    | TokenQuestion
    | TokenAnswer
    | ForwardedSegment
    | SwitchWrite
    | WriteResult
    | SessionCopy
    | SubflowCopy
    | CopyEnd
    | LimitWish
    | LimitGift
    | NeighbourFact
    | PortFact
    | LinkFact
    | McpFact
    | RestQuestion
    | RestAnswer
)
