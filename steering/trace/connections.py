"""Finds the MPTCP connections in the segments of a capture: tokens, subflows, HMACs, fallbacks, resets.

It does no I/O: feed it the segments in the order of the capture, then ask it. Doubtful cases are decided so:

* Plain TCP is a connection of its own: version and tokens None, no fallback, one subflow.
* An MPTCP option that is malformed, asks for an extension or offers no algorithm counts as absent (RFC 8684 3).
* An MP_CAPABLE SYN answered by a plain SYN/ACK, or an MP_CAPABLE handshake whose initiator goes on without any MPTCP
  option, is a fallback: tokens None, the version is the one offered.
* These are fallbacks that keep the tokens, since they happened later (RFC 8684 3.7): first data without any MPTCP
  option, of either side; first data that is acknowledged by an end that sends no MPTCP option any more, where no join
  succeeded; and a mapping of data-level length 0 on a segment with data (the infinite mapping). On a segment without
  data such a mapping changes nothing.
* Segments that come before their SYN or SYN/ACK, as in captures of several interfaces, belong to the same connection.
* MPTCP options in a connection whose handshake was not captured: version and tokens None, `begun_before` True.
* The version is that of the SYN/ACK; where that was not captured, of the third ACK, else of the SYN. For a version
  above 1 there are no tokens.
* In version 1 the initiator's key is taken from the third ACK or from the first data. Where the third ACK repeats
  other keys than the SYN (version 0) and the SYN/ACK had, the keys of SYN and SYN/ACK count, and `keys_differ` is
  True.
* A join belongs to the connection that has the token of its SYN; with the initiator's token it is a reverse join. If
  several connections have that token, the join belongs to the one whose keys verify its HMACs, else to the latest one
  before it.
* Where both ends send a SYN at once (RFC 9293 3.5, figure 7), that is one connection, of the end whose SYN was captured first. RFC 8684
  says nothing of it. Where both SYN/ACKs have MP_CAPABLE with a key, these are the keys; Linux sends none there and falls back.
* Joins with a token of no connection are one entry for each token: the version is None, and the token stands as that
  of the responder, since most joins come from clients. A join whose SYN was not captured is an entry without tokens.
* `backup` and `address_id` are those of the JOIN SYN; MP_PRIO does not change them.
* hmac: `bad` if one HMAC was checked and is wrong, `ok` if at least one was checked and none is wrong, else `unseen`
  (also for every subflow that is not a join).
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
_MAX_CANDIDATES = (
    16  # most connections with one token against which a join is checked, as each HMAC costs time
)


class ConnectionTracker:
    """Feed it the segments of a capture. Memory is bounded by `limit` TCP connections.

    `refused` counts segments with a malformed list of options; their options before the damage are read. `ignored`
    counts segments of connections beyond the limit.
    """

    def __init__(self, limit: int = MAX_LEGS) -> None:
        self._table = LegTable(limit)
        self.refused: Counter[WireRefusal] = Counter()

    @property
    def ignored(self) -> int:
        return self._table.ignored

    def feed(self, segment: Segment) -> None:
        """Take the next segment. No content of a segment makes it raise."""
        damage = self._table.take(segment)
        if damage is not None:
            self.refused[damage] += 1

    def connections(self) -> list[Connection]:
        """The connections so far, in the order of their first segments."""
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
    """The connection to which a join belongs, among those that have its token."""
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    candidates = candidates[-_MAX_CANDIDATES:]
    for session in candidates:
        if session.check(leg) is Hmac.OK:
            return session
    before = [session for session in candidates if session.order < leg.order]
    return max(before or candidates, key=lambda session: session.order)
