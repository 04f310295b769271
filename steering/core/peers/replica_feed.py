"""Sends the other controllers the tokens of the sessions here: changes at once, whole replicas in portions, digests now and
then."""

from steering.core.handshakes.room import Readiness
from steering.core.outputs import Output
from steering.core.peer_facts import TellPeer
from steering.core.peers.ended_tokens import EndedTokenMemory
from steering.core.peers.followed_table import FollowedTable
from steering.core.peers.replica_sync import TOKENS, PeerSync, parts_of
from steering.wire.peer_messages import (
    EndedTokens,
    ReplicaDigest,
    ReplicaEnd,
    ReplicaStart,
    TokenEntries,
    TokenEntry,
)

TOLD_AT_ONCE = 8  # messages of a whole replica to one controller in one tick
PORTIONS = 10  # most times in one tick that as many numbers are examined to find these sessions
DIGESTS = 5.0  # seconds between two digests
TOLD_AGAIN = 1.0  # least seconds between two whole replicas that are sent to one controller


class ReplicaFeed:
    """What the other controllers are told of the sessions here. `reached`: the controllers that can be reached now. `ended`
    remembers the tokens whose end is told."""

    def __init__(
        self, table: FollowedTable, readiness: Readiness, reached: set[str], ended: EndedTokenMemory
    ) -> None:
        self._table = table
        self._readiness = readiness
        self._reached = reached
        self._ended = ended
        self._syncs: dict[str, PeerSync] = {}
        self._digest_at = 0.0
        self._wished: set[str] = set()  # controllers that asked for a whole replica
        self._told_all: dict[str, float] = {}  # earliest time of the next whole replica for a controller

    def wish(self, name: str) -> None:
        """A controller asks for a whole replica. `take_wishes` returns it once, however often it has asked."""
        self._wished.add(name)

    def take_wishes(self, now: float) -> list[str]:
        """The controllers that asked for a whole replica, and got none a moment ago."""
        found = sorted(name for name in self._wished if self._told_all.get(name, 0.0) <= now)
        self._told_all |= dict.fromkeys(found, now + TOLD_AGAIN)
        self._wished.difference_update(found)
        return found

    def lost(self, name: str) -> None:
        """A controller is lost. When it is reached again, it gets a whole replica."""
        self._syncs.pop(name, None)
        self._wished.discard(name)

    def begin(self, name: str, now: float) -> list[Output]:
        """Begin to send a controller the tokens of all sessions here, in portions.

        Changes of a session whose portion has not been sent yet are not sent by themselves: the portion will contain them.
        """
        if name not in self._reached:
            return []
        outputs = self.flush(now)
        self._syncs[name] = PeerSync(self._table.youngest if len(self._table) else 0)
        return [*outputs, TellPeer(name, ReplicaStart())]

    def go_on(self) -> list[Output]:
        """The next portion for each controller that is being sent a whole replica."""
        return [output for name, sync in list(self._syncs.items()) for output in self._portion(name, sync)]

    def _portion(self, name: str, sync: PeerSync) -> list[Output]:
        table, left = self._table, TOKENS * TOLD_AT_ONCE
        entries: list[TokenEntry] = []
        for _ in range(PORTIONS):
            if left <= 0 or sync.sent >= sync.end:
                break
            found, sync.sent = table.by_id.following(sync.sent, sync.end, left)
            left -= len(found)
            entries += filter(None, map(table.told, found))
        outputs: list[Output] = [TellPeer(name, TokenEntries(part)) for part in parts_of(entries)]
        if sync.sent >= sync.end and not self._readiness.recovering:
            del self._syncs[name]
            outputs.append(TellPeer(name, ReplicaEnd()))
        return outputs

    def flush(self, now: float) -> list[Output]:
        """Messages to all controllers: tokens that came or ended since the last call, and wishes for parts of limits."""
        table = self._table
        outputs: list[Output] = (
            [TellPeer("", wish) for wish in table.shared.wishes(now)] if self._reached else []
        )
        learnt, ended = table.learnt, table.ended
        if not learnt and not ended:
            return outputs
        table.learnt, table.ended = [], []
        self._ended.note(
            (one for _, one in ended), now
        )  # some of these are of sessions that another controller has from now on
        for name in sorted(self._reached):
            sync = self._syncs.get(name)
            came = [one for number, one in learnt if sync is None or not sync.is_ahead(number)]
            went = [one for number, one in ended if sync is None or not sync.is_ahead(number)]
            outputs += [TellPeer(name, TokenEntries(part)) for part in parts_of(came)]
            outputs += [TellPeer(name, EndedTokens(part)) for part in parts_of(went)]
        return outputs

    def forget_changes(self) -> None:
        """Nobody is reached. Whoever is reached later gets a whole replica."""
        self._table.learnt.clear()
        self._table.ended.clear()

    def digest_now(self, now: float) -> None:
        """The entries of all own switches were read. Now digests may be sent."""
        self._digest_at = now

    def digests(self, now: float) -> list[Output]:
        """A digest for each controller that is not being sent a whole replica, if it is time for one."""
        if now < self._digest_at or self._readiness.recovering:
            return []
        self._digest_at = now + DIGESTS
        told = ReplicaDigest(self._table.sum.tokens, self._table.sum.digest)
        return [TellPeer(name, told) for name in sorted(self._reached) if name not in self._syncs]
