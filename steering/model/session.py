"""Session entries, their cookies, and the states and refusals of sessions."""

from enum import IntEnum, StrEnum
from typing import NamedTuple, NewType

from steering.model.ids import DatapathId, McpId, Token
from steering.model.rules import OWNER, CookieKind

FlowKey = NewType("FlowKey", bytes)  # a 5-tuple as bytes, which core.sessions.flow_key makes and parses
NO_FLOW = FlowKey(b"")  # of a session whose initial subflow was never seen


class EntryKind(IntEnum):
    """Which flow a session entry steers."""

    INITIAL = 0  # initial subflow, host to MCP
    JOIN = 1  # later subflow, host to MCP
    RETURN = 2  # server leg, server to MCP


_KINDS = tuple(EntryKind)
PENDING = 4  # cookie flag: the token is not known yet
PLAIN = 8  # cookie flag: the connection fell back to plain TCP
SESSION_COOKIE = OWNER << 56 | int(CookieKind.SESSION) << 52  # the fixed bits of a session entry's cookie


class Watch(IntEnum):
    """Which segments that match a session entry are sent to the controller."""

    NOTHING = 0
    COPY = 1  # a metered copy of each segment; all segments are forwarded
    PUNT = 2  # each segment, metered; none is forwarded, because the session is being aborted


class Entry(NamedTuple):
    """One session entry (table SESSION). It matches the exact 5-tuple and the role of the ingress port."""

    dpid: DatapathId
    role: int  # PortRole
    family: int  # 4 or 6
    src: bytes
    dst: bytes
    sport: int
    dport: int
    waypoint: int  # where the label leads
    path: int
    cookie: int
    watch: int = 0  # Watch


class SessionCookie(NamedTuple):
    """The parts of a session entry's cookie."""

    kind: EntryKind
    pending: bool  # the token is not known yet
    plain: bool  # the connection fell back to plain TCP
    mcp: McpId
    token: Token


def pack_cookie(kind: int, flags: int, mcp: int, token: int) -> int:
    """The cookie of a session entry: owner 8, SESSION 4, plain, pending and kind 4, MCP id 16, token 32 bits."""
    return SESSION_COOKIE | (flags | kind) << 48 | mcp << 32 | token


def unpack_cookie(cookie: int) -> SessionCookie | None:
    """The parts of a session entry's cookie. None for any other cookie."""
    if cookie >> 52 != SESSION_COOKIE >> 52:
        return None
    bits = cookie >> 48 & 0xF
    if bits & 3 > EntryKind.RETURN:
        return None
    return SessionCookie(
        EntryKind(bits & 3),
        bool(bits & PENDING),
        bool(bits & PLAIN),
        McpId(cookie >> 32 & 0xFFFF),
        Token(cookie & 0xFFFFFFFF),
    )


class SessionState(StrEnum):
    """The states of a session (docs/design/session-life.rst)."""

    SYN_PINNED = "syn-pinned"  # entries are set with the token pending; no SYN/ACK was seen yet
    ANSWERED = "answered"  # the MCP's SYN/ACK was seen, but no segment of the host since: still half open
    ESTABLISHED = "established"  # the token is known, and the host has confirmed the handshake
    PLAIN = "plain"  # the session fell back and is pinned as plain TCP
    IDLE = "idle"  # silent for the idle limit: pinned as before, but not counted as load
    CLOSING = "closing"  # FINs in both directions were seen, or the MCP reported the end; entries linger
    LINGER = "linger"  # entries are gone; joins still find the record
    WITHDRAWN = "withdrawn"  # host and server speak MPTCP themselves: no MCP, no entries


class Refusal(StrEnum):
    """Why a connection, join or frame was not served. Each reason has a counter (`steering_refusals_total{reason}`)."""

    UNPARSABLE = "unparsable"
    NOT_ATTACHED = "not-attached"
    SESSION_TABLE_FULL = "session-table-full"
    HALF_OPEN_FULL = "half-open-full"  # too many at its access port, or too many joins to be authenticated
    HALF_OPEN_SOURCE = "half-open-source"  # too many of its source (address, or IPv6 /64 of one host)
    HOLD_QUEUE_FULL = "hold-queue-full"
    UNKNOWN_TOKEN = "unknown-token"
    TOKEN_GUESSES = "token-guesses"  # a join from a source that sent many joins with unknown tokens
    AMBIGUOUS_TOKEN = "ambiguous-token"
    WRONG_MCP_ADDRESS = "wrong-mcp-address"
    RECOVERING = "recovering"  # a join, or a session at a limit: other sessions are not all known yet
    PEER_UNREACHABLE = "peer-unreachable"  # a join that only an unreachable controller may know
    SUBFLOWS_FULL = "subflows-full"
    NO_MCP = "no-mcp"
    MCP_UNREACHABLE = "mcp-unreachable"
    BARRIER_TIMEOUT = "barrier-timeout"
    POLICY = "policy"  # a rule denies the connection
    SESSION_LIMIT = "session-limit"
    POOLING = "pooling"  # the session's rule does not pool this access type
    THIRD_PARTY = "third-party"  # the access is another operator's, and third-party pooling is off
    INTERNET_SIDE = "internet-side"  # MPTCP to an MCP from the Internet
    AUTHENTICATION = "authentication"  # a join that did not prove that its host has the session's keys
    ACL = "acl"  # an access control list denies the connection
    UNAUTHORISED = "unauthorised"  # an authoriser denies the connection, or failed
    AUTHORISATION_QUEUE_FULL = "authorisation-queue-full"
    CPE_ACL = "cpe-acl"  # MPTCP to an MCP's own address, by a host that is no client
    RESERVED = "reserved"  # a join beyond the number of subflows that were reserved
    SINGLE = "single-subflow"  # a join while the one subflow of a session in single mode works
    ABORTED = "aborted"  # a join for a session that was aborted
    SIGNED = "signed"  # the SYN carries TCP-MD5 or TCP-AO, so no MCP can relay the connection
    UNKNOWN_OPTION = "unknown-option"  # the SYN carries an option that no MCP can pass on
    OPTION_SPACE = "option-space"  # the SYN's options leave no room for the MPTCP option
    ADDRESS_TAKEN = "address-taken"  # a host claimed an address that still answers at its known place
    ADDRESS_NOT_BOUND = "address-not-bound"  # a host claimed or used an address that it may not have
    DHCP_SERVER = "dhcp-server"  # a DHCP server sent from a port where the site has none
    TOO_MANY_ADDRESSES = "too-many-addresses"  # a host has the most addresses that are allowed
    TOO_MANY_HOSTS = "too-many-hosts"  # a port has the most hosts that are kept
    OUT_OF_REACH = "out-of-reach"  # the session's MCP cannot be reached from this access network
