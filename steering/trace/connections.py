"""From the segments of a capture to its MPTCP connections: tokens, subflows, HMACs, fallbacks, resets.

Without I/O: feed segments in capture order, then ask. How doubtful cases are decided:

* Plain TCP is a connection of its own: version and tokens None, no fallback, one subflow.
* An MP_CAPABLE SYN answered by a plain SYN/ACK, or an MP_CAPABLE handshake whose initiator goes on without any
  MPTCP option, is a fallback: tokens None, the version is the one offered. First data without any MPTCP option,
  of either side, and an infinite mapping are fallbacks too, and keep the tokens: they happened later (RFC 8684 3.7).
* Segments that come before their SYN or SYN/ACK (captures of several interfaces) are of the same connection.
* MPTCP options in a connection whose handshake was not captured: version and tokens None, `begun_before` True.
* The version is the one of the SYN/ACK; where that was not captured, the third ACK's, then the SYN's.
* The initiator's key of version 1 is in the third ACK or only in the first data; either is taken.
* A join belongs to the connection one of whose tokens its SYN carries (the initiator's: a reverse join). If
  several connections have the token, the one whose keys verify its HMACs, else the latest one before the join.
* Joins of one token that no connection explains are one entry: version None, the token in the responder's
  place (most joins are the client's). A join whose SYN was not captured is an entry without tokens.
* `backup` and `address_id` are those of the JOIN SYN; MP_PRIO does not change them.
* hmac: `bad` if one HMAC was checked and is wrong, `ok` if at least one was checked and none is wrong, else
  `unseen` (also for every subflow that is not a join).
* The two legs of a transparent relay, and a connection captured on both sides of a NAT, are separate entries.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from steering.wire.crypto import join_ack_hmac, join_syn_ack_hmac, token
from steering.wire.errors import WireError, WireRefusal
from steering.wire.mptcp import MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck
from steering.wire.segment import Segment

from .leg_table import LegTable
from .legs import Leg, Reset

MAX_LEGS = 100_000
_MAX_CANDIDATES = 16  # connections of one token that a join is checked against: an HMAC costs time


class Hmac(StrEnum):
    """Whether the HMACs of a join verify."""

    OK = "ok"
    BAD = "bad"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Subflow:
    """One subflow, from the host that opened it. Addresses 4 or 16 bytes."""

    src: bytes
    sport: int
    dst: bytes
    dport: int
    join: bool
    address_id: int
    backup: bool
    hmac: Hmac
    reset: Reset | None
    fastclose: bool


@dataclass(frozen=True, slots=True)
class Connection:
    """One MPTCP connection, or one plain TCP connection. Tokens 4 bytes, None where the capture has no key."""

    version: int | None
    initiator_token: bytes | None
    responder_token: bytes | None
    fallback: bool
    subflows: tuple[Subflow, ...]
    begun_before: bool = False


class ConnectionTracker:
    """Feed it the segments of a capture. Memory is bounded by `limit` TCP connections.

    `refused` counts segments whose option list is malformed, `ignored` those of connections past the limit.
    """

    def __init__(self, limit: int = MAX_LEGS) -> None:
        self._table = LegTable(limit)
        self.refused: Counter[WireRefusal] = Counter()

    @property
    def ignored(self) -> int:
        return self._table.ignored

    def feed(self, segment: Segment) -> None:
        """Take the next segment. Never raises for what the segment holds."""
        try:
            self._table.take(segment)
        except WireError as error:
            self.refused[error.reason] += 1

    def connections(self) -> list[Connection]:
        """What was seen so far, in the order of the first segments."""
        sessions = [_Session(leg) for leg in self._table.legs if not leg.is_join]
        by_token: dict[bytes, list[_Session]] = {}
        for session in sessions:
            for known in {session.initiator_token, session.responder_token}:
                if known is not None:
                    by_token.setdefault(known, []).append(session)
        orphans: dict[bytes, _Session] = {}
        for leg in self._table.legs:
            if leg.is_join:
                carried = leg.offer.token if isinstance(leg.offer, MpJoinSyn) else b""
                owner = _owner(leg, by_token.get(carried, []))
                if owner is None:
                    owner = orphans.get(carried) if carried else None
                if owner is None:
                    owner = _Session(leg, responder_token=carried or None)
                    sessions.append(owner)
                    if carried:
                        orphans[carried] = owner
                else:
                    owner.joins.append(leg)
        sessions.sort(key=lambda session: session.order)
        return [session.connection() for session in sessions]


class _Session:
    """A connection being put together: its first leg (of an orphaned join: that join) and its joins."""

    def __init__(self, leg: Leg, responder_token: bytes | None = None) -> None:
        self.order = leg.order
        self.first = leg
        self.joins: list[Leg] = []
        self.version: int | None = None
        self.initiator_key = b""
        self.responder_key = b""
        self.fallback = False
        self.initiator_token: bytes | None = None
        self.responder_token = responder_token
        if not leg.is_join:
            self._learn(leg)

    def _learn(self, leg: Leg) -> None:
        offer, answer, third = (
            option if isinstance(option, MpCapable) else None for option in (leg.offer, leg.answer, leg.third)
        )
        agreed = answer or third or offer
        if agreed is None:
            return
        self.version = agreed.version
        refused = leg.answered and answer is None and third is None
        given_up = leg.initiator_went_on and not leg.initiator_kept_mptcp
        if refused or given_up:
            self.fallback = True
            return
        self.fallback = leg.infinite_mapping or leg.bare_data
        if answer:
            self.responder_key = answer.sender_key
        elif third:
            self.responder_key = third.receiver_key
        if third:
            self.initiator_key = third.sender_key
        elif offer and agreed.version == 0:
            self.initiator_key = offer.sender_key
        if self.responder_key:
            self.responder_token = token(agreed.version, self.responder_key)
        if self.initiator_key:
            self.initiator_token = token(agreed.version, self.initiator_key)

    def check(self, leg: Leg) -> Hmac:
        """Verify the HMACs of a join of this connection."""
        syn, syn_ack, ack = leg.offer, leg.answer, leg.third
        if not (isinstance(syn, MpJoinSyn) and isinstance(syn_ack, MpJoinSynAck)):
            return Hmac.UNSEEN
        if self.version is None or not (self.initiator_key and self.responder_key):
            return Hmac.UNSEEN
        # In the formulas, A sent the JOIN SYN: it carries the token of B.
        keys = (self.initiator_key, self.responder_key)
        key_a, key_b = keys if syn.token == self.responder_token else keys[::-1]
        given = (self.version, key_a, key_b, syn.nonce, syn_ack.nonce)
        good = syn_ack.hmac == join_syn_ack_hmac(*given)
        if isinstance(ack, MpJoinAck):
            good = good and ack.hmac == join_ack_hmac(*given)
        return Hmac.OK if good else Hmac.BAD

    def connection(self) -> Connection:
        return Connection(
            version=self.version,
            initiator_token=self.initiator_token,
            responder_token=self.responder_token,
            fallback=self.fallback,
            subflows=tuple(self._subflow(leg) for leg in (self.first, *self.joins)),
            begun_before=self.version is None and not self.first.is_join and self.first.spoke_mptcp,
        )

    def _subflow(self, leg: Leg) -> Subflow:
        syn = leg.offer if isinstance(leg.offer, MpJoinSyn) else None
        return Subflow(
            src=leg.initiator[0],
            sport=leg.initiator[1],
            dst=leg.responder[0],
            dport=leg.responder[1],
            join=leg.is_join,
            address_id=syn.address_id if syn else 0,
            backup=syn.backup if syn else False,
            hmac=self.check(leg),
            reset=leg.reset,
            fastclose=leg.fastclose,
        )


def _owner(leg: Leg, candidates: list[_Session]) -> _Session | None:
    """The connection a join belongs to, of those that have its token."""
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    candidates = candidates[-_MAX_CANDIDATES:]
    for session in candidates:
        if session.check(leg) is Hmac.OK:
            return session
    before = [session for session in candidates if session.order < leg.order]
    return max(before or candidates, key=lambda session: session.order)
