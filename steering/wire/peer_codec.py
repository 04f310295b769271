"""Messages between controllers, to bytes and back.

All numbers are in network byte order. `peer_messages` describes the records. Reading raises WireError for a body of wrong
length, and for a value that no sender of this version would send. A message has a longest length
(`peer_stream.LONGEST`), so reading takes bounded memory whatever a peer sends.
"""

import re
from collections.abc import Callable
from functools import partial
from struct import Struct, error

from .errors import WireRefusal
from .handshake import Handshake, Kind
from .peer_bodies import flag, head, of_length, refused, whole
from .peer_messages import (
    EndedTokens,
    ForwardedError,
    ForwardedSegment,
    Heartbeat,
    Hello,
    JoinCounter,
    JoinCounters,
    LimitExcess,
    LimitGift,
    LimitStanding,
    LimitWish,
    LinkFact,
    McpFact,
    McpWord,
    NeighbourFact,
    PeerMessage,
    PortFact,
    ReplicaDigest,
    ReplicaEnd,
    ReplicaRequest,
    ReplicaStart,
    ReportState,
    RestAnswer,
    RestQuestion,
    SegmentKind,
    SwitchWrite,
    TokenAnswer,
    TokenEntries,
    TokenEntry,
    TokenQuestion,
    WriteResult,
)
from .peer_rest_codec import rest_answer, rest_answer_body, rest_question, rest_question_body
from .peer_stream import LONGEST, framed

MAGIC = b"steering"
_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # of a controller

_HELLO = Struct(">8sHHQ32s")
_TOKEN4, _TOKEN6 = Struct(">IH4sH"), Struct(">IH16sH")
_QUESTION = Struct(">II")
_SEGMENT = Struct(">BQII")
_HANDSHAKE = Struct(">BBBBBBHHIIHH8s8s4s4s")
_WRITE = Struct(">IQB")
_RESULT = Struct(">IB")
_SWITCH, _COUNTER4, _COUNTER6 = Struct(">QB"), Struct(">12sQQ"), Struct(">36sQQ")
_WISH, _GIFT = Struct(">BIB"), Struct(">BIIB")
_STANDING = Struct(">QQB")
_PORT, _PLACE = Struct(">H"), Struct(">QI")
_DIGEST = Struct(">IQ")
_NEIGHBOUR, _PORT_FACT, _LINK, _MCP = Struct(">QI6s"), Struct(">QIB"), Struct(">QIQIB"), Struct(">HB")
_NUMBER8 = Struct(">Q")

MOST_TOKENS = (LONGEST - 1) // _TOKEN6.size  # in one message
LONGEST_KEY = 255  # bytes of a limit's key
_ADDRESS_LENGTHS = (4, 16)
_FLOW_MOD, _PACKET_OUT, _OPENFLOW13 = 14, 13, 4
_new = tuple.__new__
# A third faster than a loop. Token entries are the most frequent records.
_token_entry = partial(tuple.__new__, TokenEntry)


def _hello(body: bytes) -> Hello:
    if len(body) < _HELLO.size:
        raise refused(WireRefusal.BAD_MESSAGE_LENGTH)
    magic, version, oldest, incarnation, site = _HELLO.unpack_from(body)
    name = body[_HELLO.size :]
    if magic != MAGIC:
        raise refused(WireRefusal.BAD_MAGIC)
    if _NAME.fullmatch(name) is None or not 0 < oldest <= version:
        raise refused()
    return Hello(name.decode(), incarnation, site, version, oldest)


def _hello_body(hello: Hello) -> bytes:
    name = hello.name.encode()
    if _NAME.fullmatch(name) is None or len(hello.site) != 32:
        raise refused()
    return _HELLO.pack(MAGIC, hello.version, hello.oldest, hello.incarnation, hello.site) + name


def _entries(body: bytes) -> tuple[TokenEntry, ...]:
    """Token entries of one address family. The first byte of the body is 4 for IPv4, 6 for IPv6."""
    layout = {4: _TOKEN4, 6: _TOKEN6}.get(body[0] if body else 0)
    if layout is None:
        raise refused()
    if (len(body) - 1) % layout.size or len(body) == 1:
        raise refused(WireRefusal.BAD_MESSAGE_LENGTH)
    return tuple(map(_token_entry, layout.iter_unpack(body[1:])))


def _entries_body(entries: tuple[TokenEntry, ...]) -> bytes:
    if not entries or len({len(one.server) for one in entries}) != 1:
        raise refused()
    first = of_length(entries[0].server, _ADDRESS_LENGTHS)
    layout, family = (_TOKEN4, b"\4") if len(first) == 4 else (_TOKEN6, b"\6")
    return family + b"".join(layout.pack(*one) for one in entries)


def _question(body: bytes) -> TokenQuestion:
    (request, token), rest = head(_QUESTION, body)
    of_length(rest, (6, 18))
    return TokenQuestion(request, token, rest[:-2], _PORT.unpack(rest[-2:])[0])


def _question_body(asked: TokenQuestion) -> bytes:
    server = of_length(asked.server, _ADDRESS_LENGTHS)
    return _QUESTION.pack(asked.request, asked.token) + server + _PORT.pack(asked.port)


def _segment(body: bytes) -> ForwardedSegment:
    (kind, dpid, port, payload), rest = head(_SEGMENT, body)
    if kind not in SegmentKind.ALL:
        raise refused()
    if len(rest) < _HANDSHAKE.size:
        raise refused(WireRefusal.BAD_MESSAGE_LENGTH)
    (family, flags, form, version, bits, address_id, sport, dport, seq, ack, options, offset, key, peer, token,
     nonce) = _HANDSHAKE.unpack_from(rest)  # fmt: skip
    length = {4: 4, 6: 16}.get(family)
    if length is None or form not in iter(Kind):
        raise refused()
    at = _HANDSHAKE.size
    if len(rest) < at + 2 * length:
        raise refused(WireRefusal.BAD_MESSAGE_LENGTH)
    handshake = Handshake(
        family, rest[at : at + length], rest[at + length : at + 2 * length], sport, dport, seq, ack, flags, Kind(form), version,
        key if bits & 1 else b"", peer if bits & 2 else b"", token if bits & 4 else b"", address_id, bool(bits & 16),
        nonce if bits & 8 else b"", bool(bits & 32), bool(bits & 64), options, offset,
    )  # fmt: skip
    return ForwardedSegment(kind, dpid, port, payload, handshake, rest[at + 2 * length :], bool(bits & 128))


def _segment_body(one: ForwardedSegment) -> bytes:
    seen = one.handshake
    flags = (
        seen.key,
        seen.peer_key,
        seen.token,
        seen.nonce,
        seen.backup,
        seen.deny_join,
        seen.uncommon,
        one.again,
    )
    bits = sum(1 << place for place, flag in enumerate(flags) if flag)
    if one.kind not in SegmentKind.ALL or {len(seen.src), len(seen.dst)} != {4 if seen.family == 4 else 16}:
        raise refused()
    return b"".join((
        _SEGMENT.pack(one.kind, one.dpid, one.port, one.payload),
        _HANDSHAKE.pack(
            seen.family, seen.flags, seen.kind, seen.version, bits, seen.address_id, seen.sport, seen.dport, seen.seq, seen.ack,
            seen.options_length, seen.payload_offset, seen.key, seen.peer_key, seen.token, seen.nonce,
        ),
        seen.src, seen.dst, one.frame,
    ))  # fmt: skip


def _leg_error(body: bytes) -> ForwardedError:
    (dpid, port), frame = head(_PLACE, body)
    return ForwardedError(dpid, port, frame)


def _write(body: bytes) -> SwitchWrite:
    (request, dpid, confirm), data = head(_WRITE, body)
    _check_openflow(data)
    return SwitchWrite(request, dpid, flag(confirm), data)


def _check_openflow(data: bytes) -> None:
    """Raise WireError unless `data` is one or more whole OpenFlow 1.3 messages, each a flow-mod or a packet-out.

    A peer needs no other messages, so a peer can do nothing else to a switch.
    """
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 8 or at + length > len(data):
            raise refused(WireRefusal.BAD_MESSAGE_LENGTH)
        if data[at] != _OPENFLOW13 or data[at + 1] not in (_FLOW_MOD, _PACKET_OUT):
            raise refused()
        at += length
    if not data:
        raise refused(WireRefusal.BAD_MESSAGE_LENGTH)


def _write_body(one: SwitchWrite) -> bytes:
    _check_openflow(one.data)
    return _WRITE.pack(one.request, one.dpid, one.confirm) + one.data


def _key(kind: int, data: bytes) -> bytes | str | int:
    """The key of a limit. `kind` 0: bytes, 1: text, 2: a number of 4 bytes."""
    if len(data) > LONGEST_KEY or (kind == 2 and len(data) != 4):
        raise refused(WireRefusal.BAD_MESSAGE_LENGTH)
    if kind > 2:
        raise refused()
    try:
        return data if kind == 0 else data.decode() if kind == 1 else int.from_bytes(data, "big")
    except UnicodeDecodeError:
        raise refused() from None


def _key_body(key: bytes | str | int) -> tuple[int, bytes]:
    try:
        kind, data = (
            (0, key)
            if isinstance(key, bytes)
            else (1, key.encode())
            if isinstance(key, str)
            else (2, key.to_bytes(4, "big"))
        )
    except (OverflowError, UnicodeEncodeError):
        raise refused() from None
    if len(data) > LONGEST_KEY:
        raise refused(WireRefusal.BAD_MESSAGE_LENGTH)
    return kind, data


def _wish(body: bytes) -> LimitWish:
    (place, most, kind), data = head(_WISH, body)
    return LimitWish(place, _key(kind, data), most)


def _wish_body(one: LimitWish) -> bytes:
    kind, data = _key_body(one.key)
    return _WISH.pack(one.place, one.most, kind) + data


def _gift(body: bytes) -> LimitGift:
    (place, most, sessions, kind), data = head(_GIFT, body)
    return LimitGift(place, _key(kind, data), most, sessions)


def _excess(body: bytes) -> LimitExcess:
    (place, most, sessions, kind), data = head(_GIFT, body)
    return LimitExcess(place, _key(kind, data), most, sessions)


def _standing(body: bytes) -> LimitStanding:
    number, among, ready = whole(_STANDING, body)
    return LimitStanding(number, among, flag(ready))


def _gift_body(one: LimitGift | LimitExcess) -> bytes:
    kind, data = _key_body(one.key)
    return _GIFT.pack(one.place, one.most, one.sessions, kind) + data


def _neighbour(body: bytes) -> NeighbourFact:
    parts, address = head(_NEIGHBOUR, body)
    return _new(NeighbourFact, (*parts, of_length(address, _ADDRESS_LENGTHS)))


def _neighbour_body(one: NeighbourFact) -> bytes:
    return _NEIGHBOUR.pack(one.dpid, one.port, of_length(one.mac, (6,))) + of_length(
        one.address, _ADDRESS_LENGTHS
    )


def _fact(record: type, layout: Struct) -> Callable[[bytes], PeerMessage]:
    """The reader of a record whose last field is a flag."""

    def read(body: bytes) -> PeerMessage:
        *parts, last = whole(layout, body)
        found: PeerMessage = record(*parts, flag(last))
        return found

    return read


def _answer(body: bytes) -> TokenAnswer:
    request, known = whole(_RESULT, body)
    return TokenAnswer(request, flag(known))


def _result(body: bytes) -> WriteResult:
    request, done = whole(_RESULT, body)
    return WriteResult(request, flag(done))


def _counters(body: bytes) -> JoinCounters:
    """Counters of one address family, which the byte after the switch's id names: 4 or 6."""
    (dpid, family), rest = head(_SWITCH, body)
    layout = {4: _COUNTER4, 6: _COUNTER6}.get(family)
    if layout is None:
        raise refused()
    if not rest or len(rest) % layout.size:
        raise refused(WireRefusal.BAD_MESSAGE_LENGTH)
    return JoinCounters(dpid, tuple(map(JoinCounter._make, layout.iter_unpack(rest))))


def _counters_body(one: JoinCounters) -> bytes:
    if not one.counters or len({len(counter.flow) for counter in one.counters}) != 1:
        raise refused()
    first = of_length(one.counters[0].flow, (12, 36))
    layout, family = (_COUNTER4, 4) if len(first) == 12 else (_COUNTER6, 6)
    return _SWITCH.pack(one.dpid, family) + b"".join(layout.pack(*counter) for counter in one.counters)


def _word(body: bytes) -> McpWord:
    mcp, state = whole(_MCP, body)
    if state not in ReportState.ALL:
        raise refused()
    return McpWord(mcp, state)


def _empty(record: PeerMessage) -> Callable[[bytes], PeerMessage]:
    def read(body: bytes) -> PeerMessage:
        if body:
            raise refused(WireRefusal.BAD_MESSAGE_LENGTH)
        return record

    return read


# By the message type on the wire: the record, the function that reads its body, the function that writes its body.
_FORMS: dict[int, tuple[type, Callable[[bytes], PeerMessage], Callable[..., bytes]]] = {
    1: (Hello, _hello, _hello_body),
    2: (Heartbeat, lambda body: Heartbeat(*whole(_NUMBER8, body)), lambda one: _NUMBER8.pack(one.number)),
    3: (TokenEntries, lambda body: TokenEntries(_entries(body)), lambda one: _entries_body(one.entries)),
    4: (EndedTokens, lambda body: EndedTokens(_entries(body)), lambda one: _entries_body(one.entries)),
    5: (ReplicaStart, _empty(ReplicaStart()), lambda one: b""),
    6: (ReplicaEnd, _empty(ReplicaEnd()), lambda one: b""),
    7: (ReplicaRequest, _empty(ReplicaRequest()), lambda one: b""),
    8: (ReplicaDigest, lambda body: ReplicaDigest(*whole(_DIGEST, body)), lambda one: _DIGEST.pack(*one)),
    9: (TokenQuestion, _question, _question_body),
    10: (TokenAnswer, _answer, lambda one: _RESULT.pack(*one)),
    11: (ForwardedSegment, _segment, _segment_body),
    12: (SwitchWrite, _write, _write_body),
    13: (WriteResult, _result, lambda one: _RESULT.pack(*one)),
    # 14 to 16 are not used: versions 1 to 3 could read them, and never sent them.
    17: (LimitWish, _wish, _wish_body),
    18: (NeighbourFact, _neighbour, _neighbour_body),
    19: (PortFact, _fact(PortFact, _PORT_FACT), lambda one: _PORT_FACT.pack(*one)),
    20: (LinkFact, _fact(LinkFact, _LINK), lambda one: _LINK.pack(*one)),
    22: (LimitGift, _gift, _gift_body),
    21: (McpFact, _fact(McpFact, _MCP), lambda one: _MCP.pack(*one)),
    23: (RestQuestion, rest_question, rest_question_body),
    24: (RestAnswer, rest_answer, rest_answer_body),
    25: (LimitExcess, _excess, _gift_body),
    26: (LimitStanding, _standing, lambda one: _STANDING.pack(*one)),
    27: (JoinCounters, _counters, _counters_body),
    28: (McpWord, _word, lambda one: _MCP.pack(*one)),
    29: (ForwardedError, _leg_error, lambda one: _PLACE.pack(one.dpid, one.port) + one.frame),
}
_KINDS = {record: (kind, write) for kind, (record, _, write) in _FORMS.items()}


def encoded(message: PeerMessage) -> bytes:
    """The bytes of a message, with its head. Raises WireError for a value that does not fit."""
    kind, write = _KINDS[type(message)]
    try:
        return framed(kind, write(message))
    except error:
        raise refused() from None


def decoded(kind: int, body: bytes) -> PeerMessage:
    """The record in a message. `kind` is the type in the message's head. Raises WireError."""
    form = _FORMS.get(kind)
    if form is None:
        raise refused(WireRefusal.UNKNOWN_MESSAGE)
    return form[1](body)
