"""TCP connections that tests make up, segment by segment, and what their hosts would have chosen."""

from dataclasses import dataclass, field

from steering.trace.connections import ConnectionTracker
from steering.wire.crypto import join_ack_hmac, join_syn_ack_hmac, token
from steering.wire.mptcp import MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck, MptcpOption
from steering.wire.segment import Flags, Segment

KEY_A, KEY_B = bytes.fromhex("c9860dfe1c8da533"), bytes.fromhex("1b6ffbbde3984628")
TOKEN_A, TOKEN_B = bytes.fromhex("92c53b6f"), bytes.fromhex("169a4894")
NONCE_A, NONCE_B = bytes.fromhex("784013b4"), bytes.fromhex("c0f227d4")
SYN, SYN_ACK, ACK = Flags.SYN, Flags.SYN | Flags.ACK, Flags.ACK
FIN_ACK, RST = Flags.FIN | Flags.ACK, Flags.RST | Flags.ACK
UE, UE2, SERVER = bytes([10, 1, 0, 2]), bytes([10, 2, 0, 2]), bytes([10, 9, 0, 2])


@dataclass
class Talk:
    """One TCP connection that we make up, fed segment by segment."""

    tracker: ConnectionTracker
    client: tuple[bytes, int] = (UE, 40000)
    server: tuple[bytes, int] = (SERVER, 80)
    isn: tuple[int, int] = (1000, 900_000_000)
    tags: tuple[bytes, bytes] = (b"", b"")
    sent: list[Segment] = field(default_factory=list)

    def say(
        self, flags: int, *options: MptcpOption, back: bool = False, version: int = 1, payload: bytes = b""
    ) -> None:
        """A segment of the client, or of the server (`back`)."""
        src, dst = (self.server, self.client) if back else (self.client, self.server)
        mine, theirs = self.isn[::-1] if back else self.isn
        offset = 0 if flags & Flags.SYN else 1
        raw = b"".join(
            option.encode(option.version if isinstance(option, MpCapable) else version) for option in options
        )
        segment = Segment(
            family=4,
            src=src[0],
            dst=dst[0],
            sport=src[1],
            dport=dst[1],
            seq=mine + offset,
            ack=theirs + 1 if flags & Flags.ACK else 0,
            flags=flags,
            window=1,
            options=raw,
            payload=payload,
            link_tag=self.tags[back],
        )
        self.sent.append(segment)
        self.tracker.feed(segment)

    def open(self, version: int = 1, third: bool = True) -> None:
        self.say(SYN, MpCapable(version, KEY_A if version == 0 else b""))
        self.say(SYN_ACK, MpCapable(version, KEY_B), back=True)
        if third:
            self.say(ACK, MpCapable(version, KEY_A, KEY_B))

    def join(self, towards: bytes = TOKEN_B, version: int = 1, spoil: bytes = b"") -> None:
        """A join that carries `towards`; `spoil` takes the place of the ACK's HMAC."""
        keys = (KEY_A, KEY_B) if towards == token(version, KEY_B) else (KEY_B, KEY_A)
        given = (version, *keys, NONCE_A, NONCE_B)
        self.say(SYN, MpJoinSyn(3, towards, NONCE_A, backup=True))
        self.say(SYN_ACK, MpJoinSynAck(4, join_syn_ack_hmac(*given), NONCE_B), back=True)
        self.say(ACK, MpJoinAck(spoil or join_ack_hmac(*given)))
