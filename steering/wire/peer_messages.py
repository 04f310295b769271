"""Messages between controllers: the records.

The first message of a stream is a Hello, and there is only one. `peer_codec` has their bytes.
"""

from typing import NamedTuple

from .errors import WireError, WireRefusal
from .handshake import Handshake

VERSION, OLDEST = 6, 1  # of this protocol: the newest and the oldest version that this controller speaks
WITH_REST = 2  # the first version with RestQuestion and RestAnswer
WITH_DIVISIONS = 3  # the first version with LimitStanding and LimitExcess
WITH_COUNTERS = 4  # the first version with JoinCounters
WITH_MCP_REPORTS = 5  # the first version with McpWord
WITH_LEG_ERRORS = 6  # the first version with ForwardedError


class Hello(NamedTuple):
    """Names the sender. `incarnation`: a number that differs for each start of the sender. `site`: digest of the site file
    (32 bytes). Controllers of different sites do not speak with each other."""

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
    """What every controller knows of a session of another controller.

    The entry is enough to find the session's owner, and to judge whether a join with this token can belong to the
    session.
    """

    token: int
    mcp: int  # number of the session's MCP
    server: bytes  # destination address of the initial subflow, 4 or 16 bytes
    port: int  # destination port of the initial subflow


class TokenEntries(NamedTuple):
    """Tokens that sessions of the sender have from now on, all of one address family."""

    entries: tuple[TokenEntry, ...]


class EndedTokens(NamedTuple):
    """Tokens that sessions of the sender had, all of one address family. The sessions are over."""

    entries: tuple[TokenEntry, ...]


class ReplicaStart(NamedTuple):
    """The receiver is to drop what it knows of the sender's tokens. All tokens of the sender follow, up to ReplicaEnd."""


class ReplicaEnd(NamedTuple):
    """All tokens that the sender had at ReplicaStart have been sent, and all changes since then."""


class ReplicaRequest(NamedTuple):
    """Asks the receiver for all of its tokens: the sender's replica of them does not match the receiver's digest."""


class ReplicaDigest(NamedTuple):
    """How many tokens the sender has announced and not ended, and the sum of their digests (8 bytes)."""

    tokens: int
    digest: int


class TokenQuestion(NamedTuple):
    """Asks whether a session of the receiver may own a join with this token to this destination. `request`: a number that
    the answer repeats."""

    request: int
    token: int
    server: bytes
    port: int


class TokenAnswer(NamedTuple):
    """The answer to a TokenQuestion. `known`: such a session exists."""

    request: int
    known: bool


class SegmentKind:
    """The kind of a forwarded segment. Each kind is an input of the core (core.inputs)."""

    SYN, SYN_ACK, FIN, WATCHED = 1, 2, 3, 4
    ALL = (SYN, SYN_ACK, FIN, WATCHED)


class ForwardedSegment(NamedTuple):
    """A segment that came from a switch of the sender and belongs to a session of the receiver."""

    kind: int  # a SegmentKind
    dpid: int
    port: int  # where the segment came in
    payload: int  # bytes of data in a segment with FIN
    handshake: Handshake
    frame: bytes = b""  # the whole frame of a SYN or a watched segment, b"" for other kinds
    again: bool = False  # the sender got it from another controller: nobody forwards it a third time


class ForwardedError(NamedTuple):
    """An ICMP error (`frame`) that came from a switch of the sender, about a segment of a session of the receiver."""

    dpid: int
    port: int  # where the error came in
    frame: bytes


class SwitchWrite(NamedTuple):
    """Asks the receiver to write OpenFlow messages (`data`) to one of its switches.

    `confirm`: the receiver answers with a WriteResult when the switch has carried them out.
    """

    request: int
    dpid: int
    confirm: bool
    data: bytes


class WriteResult(NamedTuple):
    """The answer to a SwitchWrite. `done`: the switch has carried out the messages."""

    request: int
    done: bool


class JoinCounter(NamedTuple):
    """What the entry of a subflow has counted so far. `flow`: the subflow's key, 12 or 36 bytes."""

    flow: bytes
    packets: int
    size: int  # bytes


class JoinCounters(NamedTuple):
    """Counters of entries at a switch of the sender, which may belong to joins of the receiver's sessions. All flows have the same address
    family."""

    dpid: int
    counters: tuple[JoinCounter, ...]


class LimitWish(NamedTuple):
    """The sender's part of a limit is nearly used up. The sender asks for some of the receiver's part.

    `place`: the kind of limit, an index of core.selection.quotas.LIMITED. `key`: what the limit counts for, such as a
    subscriber, at most 255 bytes. `most`: the whole limit in sessions.
    """

    place: int
    key: bytes | str | int
    most: int


class LimitGift(NamedTuple):
    """Moves a part of a limit: the receiver may have `sessions` more of a key, the sender as many less. The other fields
    are those of LimitWish."""

    place: int
    key: bytes | str | int
    most: int
    sessions: int


class LimitExcess(NamedTuple):
    """The sender has `sessions` more sessions of a key than its part of this limit. 0: it has no excess any more."""

    place: int
    key: bytes | str | int
    most: int
    sessions: int


class LimitStanding(NamedTuple):
    """The sender's state in a division of limits (core.peers.limit_division). `number`: of the division. `among`: a digest (8 bytes) of the
    members and of the owners of switches. `ready`: the sender has told all of its LimitExcess. False: the sender begins to tell it."""

    number: int
    among: int
    ready: bool


class NeighbourFact(NamedTuple):
    """The MAC (6 bytes) of an MCP or a next hop behind a port of the sender's switches."""

    dpid: int
    port: int
    mac: bytes
    address: bytes  # 4 or 16 bytes


class PortFact(NamedTuple):
    """Whether a port of the sender's switches has link."""

    dpid: int
    port: int
    up: bool


class LinkFact(NamedTuple):
    """Whether a link exists from port `port` of switch `dpid` to port `far_port` of switch `far`. One direction only."""

    dpid: int
    port: int
    far: int
    far_port: int
    up: bool


class McpFact(NamedTuple):
    """Whether an MCP behind the sender's switches serves, as far as its ports and probes show. A controller of a version before
    WITH_MCP_REPORTS also counts the MCP's reports, and is told so."""

    mcp: int
    serves: bool


class ReportState:
    """What a controller knows about an MCP by the reports that it takes from the MCP."""

    NONE, SERVES, REFUSES, FROZEN, LEFT_ALONE = 0, 1, 2, 3, 4
    ALL = (NONE, SERVES, REFUSES, FROZEN, LEFT_ALONE)


class McpWord(NamedTuple):
    """What the sender knows about an MCP by its reports, wherever the MCP is. `state`: a ReportState.

    NONE: the sender takes no reports of it. REFUSES: it reports that it does not serve. FROZEN: its reports stopped. LEFT_ALONE: its
    reports stopped, and that may be the fault of the network of the reports: it gets no new sessions, and its live ones go on.
    """

    mcp: int
    state: int


class RestQuestion(NamedTuple):
    """A REST request that a client sent to the sender, and that the receiver has to answer for itself.

    The sender has checked the client's token. The token itself is never sent.
    """

    request: int
    method: int  # index of peer_rest_codec.REST_METHODS
    role: str  # of the client
    who: str  # name of the client's token
    target: str  # path and query


class RestAnswer(NamedTuple):
    """A part of the answer to a RestQuestion. Parts come in order. `status`: the HTTP status. `last`: no part follows."""

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
    | ForwardedError
    | SwitchWrite
    | WriteResult
    | JoinCounters
    | LimitWish
    | LimitGift
    | LimitExcess
    | LimitStanding
    | NeighbourFact
    | PortFact
    | LinkFact
    | McpFact
    | McpWord
    | RestQuestion
    | RestAnswer
)
