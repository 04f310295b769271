"""From the segments of a capture to its MPTCP connections: tokens, subflows, HMACs, fallbacks, resets.

Without I/O: feed segments in capture order, then ask. How doubtful cases are decided:

* Plain TCP is a connection of its own: version and tokens None, no fallback, one subflow.
* An MPTCP option that is malformed, asks for an extension or offers no algorithm counts as absent (RFC 8684 3).
* An MP_CAPABLE SYN answered by a plain SYN/ACK, or an MP_CAPABLE handshake whose initiator goes on without any
  MPTCP option, is a fallback: tokens None, the version is the one offered.
* These are fallbacks that keep the tokens, since they happened later (RFC 8684 3.7): first data without any MPTCP
  option, of either side; first data that is acknowledged by an end that sends no MPTCP option any more, where no join
  succeeded; and a mapping of data-level length 0 on a segment with data (the infinite mapping). On a segment without
  data such a mapping changes nothing.
* Segments that come before their SYN or SYN/ACK (captures of several interfaces) are of the same connection.
* MPTCP options in a connection whose handshake was not captured: version and tokens None, `begun_before` True.
* The version is the one of the SYN/ACK; where that was not captured, the third ACK's, then the SYN's. A version
  after 1 has no tokens.
* The initiator's key of version 1 is in the third ACK or only in the first data; either is taken. Where the third ACK
  repeats other keys than the SYN (version 0) and the SYN/ACK had, these two count, and `keys_differ` is True.
* A join belongs to the connection one of whose tokens its SYN carries (the initiator's: a reverse join). If
  several connections have the token, the one whose keys verify its HMACs, else the latest one before the join.
* Joins of one token that no connection explains are one entry: version None, the token in the responder's
  place (most joins are the client's). A join whose SYN was not captured is an entry without tokens.
* `backup` and `address_id` are those of the JOIN SYN; MP_PRIO does not change them.
* hmac: `bad` if one HMAC was checked and is wrong, `ok` if at least one was checked and none is wrong, else
  `unseen` (also for every subflow that is not a join).
* Which RST ends a subflow is decided in `resets`. MP_FASTCLOSE counts if its key is the receiver's or unknown.
* The two legs of a transparent relay, and a connection captured on both sides of a NAT, are separate entries.
"""

from collections import Counter

from steering.wire.errors import WireRefusal
from steering.wire.mptcp import MpJoinSyn
from steering.wire.segment import Segment

from .leg_table import LegTable
from .legs import Leg
from .sessions import Connection, ConnectionDraft, Hmac, TracedSubflow

__all__ = ["MAX_LEGS", "Connection", "ConnectionTracker", "Hmac", "TracedSubflow"]

MAX_LEGS = 100_000
_MAX_CANDIDATES = 16  # connections of one token that a join is checked against: an HMAC costs time


class ConnectionTracker:
    """Feed it the segments of a capture. Memory is bounded by `limit` TCP connections.

    `refused` counts segments whose option list is malformed: of these the options before the damage are read.
    `ignored` counts segments of connections past the limit.
    """

    def __init__(self, limit: int = MAX_LEGS) -> None:
        self._table = LegTable(limit)
        self.refused: Counter[WireRefusal] = Counter()

    @property
    def ignored(self) -> int:
        return self._table.ignored

    def feed(self, segment: Segment) -> None:
        """Take the next segment. Never raises for what the segment holds."""
        damage = self._table.take(segment)
        if damage is not None:
            self.refused[damage] += 1

    def connections(self) -> list[Connection]:
        """What was seen so far, in the order of the first segments."""
        sessions = [ConnectionDraft(leg) for leg in self._table.legs if not leg.is_join]
        by_token: dict[bytes, list[ConnectionDraft]] = {}
        for session in sessions:
            for known in {session.initiator_token, session.responder_token}:
                if known is not None:
                    by_token.setdefault(known, []).append(session)
        orphans: dict[bytes, ConnectionDraft] = {}
        for leg in self._table.legs:
            if leg.is_join:
                carried = leg.offer.token if isinstance(leg.offer, MpJoinSyn) else b""
                owner = _owner(leg, by_token.get(carried, []))
                if owner is None:
                    owner = orphans.get(carried) if carried else None
                if owner is None:
                    owner = ConnectionDraft(leg, responder_token=carried or None)
                    sessions.append(owner)
                    if carried:
                        orphans[carried] = owner
                else:
                    owner.joins.append(leg)
        sessions.sort(key=lambda session: session.order)
        return [session.connection() for session in sessions]


def _owner(leg: Leg, candidates: list[ConnectionDraft]) -> ConnectionDraft | None:
    """The connection a join belongs to, of those that have its token."""
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    candidates = candidates[-_MAX_CANDIDATES:]
    for session in candidates:
        if session.check(leg) is Hmac.OK:
            return session
    before = [session for session in candidates if session.order < leg.order]
    return max(before or candidates, key=lambda session: session.order)
