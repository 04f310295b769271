"""Hostile frames: random bytes, crafted headers around random options, captured frames with damage."""

from hypothesis import strategies as st

from steering.wire.craft import ethernet_frame, ip_datagram, tcp_segment
from tests.support.golden_captures import CAPTURES, ethernet_of, frames_of


def _captured() -> list[bytes]:
    """Every distinct captured frame of the handshakes and a sample of the rest, with an Ethernet header."""
    frames: list[bytes] = []
    for name in CAPTURES:
        of_this = [ethernet_of(link, frame) for link, frame in frames_of(name)]
        frames += [frame for at, frame in enumerate(of_this) if at < 20 or at % 10 == 0]
    return frames


CAPTURED = _captured()

# Option lists: whole options of the kinds that matter with any length byte, or any bytes.
_KINDS = st.sampled_from([0, 1, 2, 3, 4, 5, 8, 19, 29, 30, 30, 30, 34, 253, 254, 255])
_LENGTHS = st.sampled_from([0, 1, 2, 3, 4, 8, 10, 12, 16, 20, 22, 24, 40, 255])
_ONE_OPTION = st.tuples(_KINDS, _LENGTHS, st.binary(max_size=24)).map(
    lambda parts: bytes(parts[:2]) + parts[2]
)
OPTION_LISTS = st.one_of(
    st.binary(max_size=40),
    st.lists(_ONE_OPTION, max_size=6).map(lambda parts: b"".join(parts)[:40]),
)

_EXTENSIONS = st.lists(
    st.tuples(
        st.sampled_from([0, 43, 44, 50, 51, 59, 60, 135, 139, 140, 255]),
        st.binary(min_size=8, max_size=24),
    ),
    max_size=12,
)


@st.composite
def crafted(draw: st.DrawFn) -> bytes:
    """A frame whose headers are sound up to where they are drawn not to be."""
    options = draw(OPTION_LISTS)
    options += bytes(-len(options) % 4)
    size = draw(st.sampled_from([4, 16]))
    src, dst = bytes(range(size)), bytes(range(1, size + 1))
    segment = tcp_segment(
        src,
        dst,
        draw(st.integers(0, 65535)),
        draw(st.integers(0, 65535)),
        flags=draw(st.integers(0, 255)),
        options=options,
        payload=draw(st.binary(max_size=30)),
    )
    datagram = ip_datagram(
        src,
        dst,
        segment,
        protocol=draw(st.sampled_from([6, 6, 6, 17])),
        ip_options=bytes(4 * draw(st.integers(0, 10))) if size == 4 else b"",
        extensions=draw(_EXTENSIONS) if size == 16 else (),
    )
    tags = draw(st.lists(st.sampled_from([(0x8100, 1), (0x88A8, 2), (0x9100, 3)]), max_size=3))
    return ethernet_frame(datagram, tags=tags)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A captured frame with some bytes changed, a piece cut out or doubled, or its end missing."""
    frame = bytearray(draw(st.sampled_from(CAPTURED)))
    for at, value in draw(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=6)):
        if at < len(frame):
            frame[at] = value
    start, stop = sorted(draw(st.tuples(st.integers(0, 120), st.integers(0, 120))))
    match draw(st.integers(0, 3)):
        case 0:
            del frame[start:stop]
        case 1:
            frame[start:start] = frame[start:stop]
        case 2:
            del frame[stop:]
    return bytes(frame)


FRAMES = st.one_of(st.binary(max_size=300), crafted(), damaged())
