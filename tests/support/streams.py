"""TCP connections that are made up segment by segment, with the numbers that real hosts would use."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from steering.trace.connections import Connection, ConnectionTracker
from steering.wire.crypto import join_ack_hmac, join_syn_ack_hmac, token
from steering.wire.mptcp import (
    Dss,
    DssMapping,
    MpCapable,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MptcpOption,
)
from steering.wire.segment import Flags, Segment

KEY_A, KEY_B = bytes.fromhex("c9860dfe1c8da533"), bytes.fromhex("1b6ffbbde3984628")
TOKEN_A, TOKEN_B = token(1, KEY_A), token(1, KEY_B)
NONCE_A, NONCE_B = bytes.fromhex("784013b4"), bytes.fromhex("c0f227d4")
UE, UE2, SERVER = bytes([10, 1, 0, 2]), bytes([10, 2, 0, 2]), bytes([10, 9, 0, 2])
ACKED = Dss(data_ack=bytes(4))
FIN_ACK, RST_ACK = Flags.FIN | Flags.ACK, Flags.RST | Flags.ACK
_SPACE = 1 << 32


def mapped(length: int) -> Dss:
    """The DSS option of a segment with `length` bytes of data."""
    return Dss(bytes(4), DssMapping(bytes(4), 1, length))


def fastclose(key: bytes) -> MpFastclose:
    return MpFastclose(key)


@dataclass
class Stream:
    """One TCP connection: each call is a segment, numbered behind those before it."""

    client: tuple[bytes, int] = (UE, 40000)
    server: tuple[bytes, int] = (SERVER, 80)
    isn: tuple[int, int] = (1000, 900_000_000)
    window: int = 64_000
    tags: tuple[bytes, bytes] = (b"", b"")
    sent: list[Segment] = field(default_factory=list)
    following: list[int] = field(default_factory=list)  # of client and server: the next sequence number

    def __post_init__(self) -> None:
        self.following = list(self.isn)

    def say(
        self,
        flags: int,
        *options: MptcpOption,
        back: bool = False,
        data: int = 0,
        seq: int | None = None,
        ack: int | None = None,
        raw: bytes = b"",
        version: int = 1,
    ) -> Segment:
        """A segment of the client, or of the server (`back`); `seq` and `ack` in place of the right numbers."""
        mine, theirs = int(back), 1 - int(back)
        src, dst = (self.server, self.client) if back else (self.client, self.server)
        encoded = b"".join(
            option.encode(option.version if isinstance(option, MpCapable) else version) for option in options
        )
        number = self.following[mine] if seq is None else seq
        acknowledged = (self.following[theirs] if ack is None else ack) if flags & Flags.ACK else 0
        segment = Segment(
            family=4,
            src=src[0],
            dst=dst[0],
            sport=src[1],
            dport=dst[1],
            seq=number % _SPACE,
            ack=acknowledged % _SPACE,
            flags=flags,
            window=self.window,
            options=encoded + raw,
            payload=bytes(data),
            link_tag=self.tags[mine],
        )
        self.sent.append(segment)
        if seq is None:
            self.following[mine] += data + bool(flags & (Flags.SYN | Flags.FIN))
        return segment

    def open(self, version: int = 1) -> "Stream":
        """The MP_CAPABLE handshake."""
        self.say(Flags.SYN, MpCapable(version, KEY_A if version == 0 else b""))
        self.say(Flags.SYN | Flags.ACK, MpCapable(version, KEY_B), back=True)
        self.say(Flags.ACK, MpCapable(version, KEY_A, KEY_B))
        return self

    def join(self, towards: bytes = TOKEN_B, address_id: int = 3) -> "Stream":
        """The MP_JOIN handshake with right HMACs, up to its fourth segment."""
        keys = (KEY_A, KEY_B) if towards == TOKEN_B else (KEY_B, KEY_A)
        given = (1, *keys, NONCE_A, NONCE_B)
        self.say(Flags.SYN, MpJoinSyn(address_id, towards, NONCE_A))
        self.say(Flags.SYN | Flags.ACK, MpJoinSynAck(4, join_syn_ack_hmac(*given), NONCE_B), back=True)
        self.say(Flags.ACK, MpJoinAck(join_ack_hmac(*given)))
        self.say(Flags.ACK, ACKED, back=True)
        return self

    def talk(self, length: int = 100) -> "Stream":
        """Data of the client and of the server, each acknowledged."""
        for back in (False, True):
            self.say(Flags.ACK | Flags.PSH, mapped(length), back=back, data=length)
            self.say(Flags.ACK, ACKED, back=not back)
        return self

    def close(self) -> "Stream":
        """Both FINs."""
        self.say(FIN_ACK, ACKED)
        self.say(FIN_ACK, ACKED, back=True)
        self.say(Flags.ACK, ACKED)
        return self


def seen_at(segments: Iterable[Segment], tag: bytes) -> list[Segment]:
    """The same segments as another point of the network shows them."""
    return [replace(segment, link_tag=tag + segment.src) for segment in segments]


def connections_of(segments: Iterable[Segment]) -> list[Connection]:
    """What is in a capture of these segments."""
    tracker = ConnectionTracker()
    for segment in segments:
        tracker.feed(segment)
    return tracker.connections()


def only(segments: Iterable[Segment]) -> Connection:
    """The one connection of a capture."""
    (connection,) = connections_of(segments)
    return connection
