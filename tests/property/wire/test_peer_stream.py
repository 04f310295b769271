"""The stream between controllers: what was encoded is what is decoded, however it arrives, and rubbish is refused."""

from hypothesis import given
from hypothesis import strategies as st

from steering.wire.errors import WireError
from steering.wire.handshake import Handshake, Kind
from steering.wire.peer_codec import decoded, encoded
from steering.wire.peer_messages import (
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
from steering.wire.peer_stream import HEAD, LONGEST, cut


def exactly(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


U8, U16, U32 = st.integers(0, 2**8 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
U64, FLAG = st.integers(0, 2**64 - 1), st.booleans()
MAYBE_KEY = st.just(b"") | exactly(8)
MAYBE_FOUR = st.just(b"") | exactly(4)


@st.composite
def handshakes(draw: st.DrawFn) -> Handshake:
    family = draw(st.sampled_from((4, 6)))
    address = exactly(4 if family == 4 else 16)
    return Handshake(
        family, draw(address), draw(address), draw(U16), draw(U16), draw(U32), draw(U32), draw(U8),
        draw(st.sampled_from(Kind)), draw(U8), draw(MAYBE_KEY), draw(MAYBE_KEY), draw(MAYBE_FOUR), draw(U8), draw(FLAG),
        draw(MAYBE_FOUR), draw(FLAG), draw(FLAG), draw(U16), draw(U16),
    )  # fmt: skip


@st.composite
def tokens(draw: st.DrawFn) -> tuple[TokenEntry, ...]:
    address = exactly(draw(st.sampled_from((4, 16))))
    return tuple(draw(st.lists(st.builds(TokenEntry, U32, U16, address, U16), min_size=1, max_size=20)))


@st.composite
def openflow(draw: st.DrawFn) -> bytes:
    parts = draw(
        st.lists(st.tuples(st.sampled_from((13, 14)), st.binary(max_size=60)), min_size=1, max_size=5)
    )
    return b"".join(
        bytes((4, kind)) + (8 + len(rest)).to_bytes(2, "big") + b"\0\0\0\1" + rest for kind, rest in parts
    )


NAME = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
VERSIONS = st.tuples(st.integers(1, 9), st.integers(0, 9)).map(lambda two: (two[0] + two[1], two[0]))
HELLO = st.builds(
    lambda name, number, site, versions: Hello(name, number, site, *versions),
    NAME,
    U64,
    exactly(32),
    VERSIONS,
)


@st.composite
def counters(draw: st.DrawFn) -> JoinCounters:
    flow = exactly(draw(st.sampled_from((12, 36))))
    some = draw(st.lists(st.builds(JoinCounter, flow, U64, U64), min_size=1, max_size=20))
    return JoinCounters(draw(U64), tuple(some))


ADDRESS = exactly(4) | exactly(16)
LIMIT_KEY = st.binary(max_size=255) | st.text(max_size=60) | U32
MESSAGE: st.SearchStrategy[PeerMessage] = st.one_of(
    HELLO,
    st.builds(Heartbeat, U64),
    st.builds(TokenEntries, tokens()),
    st.builds(EndedTokens, tokens()),
    st.sampled_from((ReplicaStart(), ReplicaEnd(), ReplicaRequest())),
    st.builds(ReplicaDigest, U32, U64),
    st.builds(TokenQuestion, U32, U32, ADDRESS, U16),
    st.builds(TokenAnswer, U32, FLAG),
    st.builds(
        ForwardedSegment,
        st.sampled_from(SegmentKind.ALL),
        U64,
        U32,
        U32,
        handshakes(),
        st.binary(max_size=200),
        FLAG,
    ),
    st.builds(ForwardedError, U64, U32, st.binary(max_size=200)),
    st.builds(SwitchWrite, U32, U64, FLAG, openflow()),
    st.builds(WriteResult, U32, FLAG),
    st.builds(NeighbourFact, U64, U32, exactly(6), ADDRESS),
    st.builds(PortFact, U64, U32, FLAG),
    st.builds(LinkFact, U64, U32, U64, U32, FLAG),
    st.builds(McpFact, U16, FLAG),
    st.builds(McpWord, U16, st.sampled_from(ReportState.ALL)),
    counters(),
    st.builds(LimitWish, U8, LIMIT_KEY, U32),
    st.builds(LimitGift, U8, LIMIT_KEY, U32, U32),
    st.builds(LimitExcess, U8, LIMIT_KEY, U32, U32),
    st.builds(LimitStanding, U64, U64, FLAG),
    st.builds(
        RestQuestion,
        U32,
        st.integers(0, 1),
        st.text(max_size=30),
        st.text(max_size=30),
        st.text(max_size=200),
    ),
    st.builds(RestAnswer, U32, st.integers(200, 599), FLAG, st.binary(max_size=300)),
)


@given(st.lists(MESSAGE, max_size=6), st.lists(st.integers(1, 300), min_size=1, max_size=20))
def test_messages_arrive_as_they_were_sent_in_pieces_of_any_size(
    sent: list[PeerMessage], sizes: list[int]
) -> None:
    stream, rest, received = b"".join(map(encoded, sent)), b"", []
    turn = 0
    while stream:
        size = sizes[turn % len(sizes)]
        turn += 1
        messages, rest = cut(rest + stream[:size])
        received += [decoded(*message) for message in messages]
        stream = stream[size:]
    assert received == sent and rest == b""
    assert list(map(type, received)) == list(map(type, sent))  # empty records are equal to each other


@given(st.binary(max_size=400))
def test_any_bytes_are_messages_or_are_refused_and_what_is_kept_is_bounded(stream: bytes) -> None:
    try:
        messages, rest = cut(stream)
        for message in messages:
            decoded(*message)
    except WireError:
        return
    assert len(rest) < HEAD + LONGEST


@given(MESSAGE, st.data())
def test_a_message_that_was_changed_is_another_one_or_is_refused(
    sent: PeerMessage, data: st.DataObject
) -> None:
    body = bytearray(encoded(sent)[HEAD:])
    kind = data.draw(st.integers(0, 29))
    if body and data.draw(FLAG):
        body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    del body[data.draw(st.integers(0, len(body))) :]
    try:
        read = decoded(kind, bytes(body))
    except WireError:
        return
    try:
        assert decoded(kind, encoded(read)[HEAD:]) == read
    except WireError:
        assert isinstance(read, ForwardedSegment)  # fields of an option that its flags leave out
