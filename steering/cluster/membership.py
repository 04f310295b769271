"""One controller's membership of its cell in etcd: its key, and the lease with which that key ends.

A process that was frozen may find that another one has taken its name meanwhile. Both would have the same shares, with the same
generations. So it leaves the name to the other one, for as long as that lives.
"""

import logging
import secrets
from collections.abc import Callable

from steering.cluster.cell import BLIND, MEMBER, STARTS, ClusterCell, member_text, run_of
from steering.model.cluster import ClusterMember
from steering.store.etcd.keys import Keys, Put

log = logging.getLogger(__name__)


class CellMembership:
    """`site`: the digest of the controller's site file. `seconds`: how long the lease lasts without a sign of life.
    `revision_of`: the last revision that is known of a key. Methods raise EtcdError."""

    def __init__(self, keys: Keys, site: str, seconds: int, revision_of: Callable[[str], int]) -> None:
        self.lease = 0  # the number of the lease in etcd; 0: none
        self.is_replaced = False  # whether another process has the controller's name
        self._run = secrets.token_hex(8)
        self._keys = keys
        self._site = site
        self._seconds = seconds
        self._revision_of = revision_of
        self._follows = self._is_marked = (
            False  # whether it follows policies; whether its STARTS key in etcd says that it does not
        )

    def begin(self, me: ClusterMember, blind: str = "") -> bool:
        """Put the member's key with a new lease; False where another member has its name. `blind`: what is told of switches that
        are not reached."""
        self.lease = self._keys.grant(self._seconds)
        # Asked for after the grant: etcd may have told of the key's end meanwhile.
        if self._put(me, blind, self._revision_of(MEMBER + me.id)):
            return True
        # An endpoint may have put it and died before it answered. The next one then finds a key where there was none.
        there = self._keys.get(MEMBER + me.id)
        is_own = there is not None and run_of(there.text) == self._run
        self._is_marked = self._is_marked or (is_own and not self._follows)
        return is_own

    def _put(self, me: ClusterMember, blind: str, revision: int) -> bool:
        """Put the member's key with the lease, where it was changed last at `revision`."""
        key = MEMBER + me.id
        puts = [Put(key, member_text(me, self._site, self._run), self.lease)]
        if blind:
            puts.append(Put(BLIND + me.id, blind, self.lease))
        starts = not self._follows
        if starts:
            puts.append(Put(STARTS + me.id, "1", self.lease))
        done = self._keys.commit({key: revision}, puts)
        self._is_marked = self._is_marked or (done and starts)
        return done

    def keep(self, me: ClusterMember, blind: str = "", was_away: Callable[[], None] = lambda: None) -> None:
        """Give a sign of life. A lease that has ended meanwhile is followed by a new one: `was_away` is called before others can see it.
        `blind`: as in `begin`."""
        if self.is_replaced or not self._keys.keep_alive(self.lease):
            was_away()
            self._begin_again(me, blind)

    def _begin_again(self, me: ClusterMember, blind: str) -> None:
        """Put the member's key with a new lease. The one of before has gone with its lease. One that is there is another process's, or this
        one's own where etcd was restored from a copy."""
        there = self._keys.get(MEMBER + me.id)
        self.heard(me, None if there is None else there.text)
        if not self.is_replaced:
            self.lease = self._keys.grant(self._seconds)
            self._put(me, blind, 0 if there is None else there.revision)

    def heard(self, me: ClusterMember, text: str | None) -> None:
        """Etcd tells what the member's key holds now."""
        was_replaced = self.is_replaced
        self.is_replaced = text is not None and run_of(text) != self._run
        if self.is_replaced and not was_replaced:
            log.error(
                "another controller of the cell is called %s now: this one decides for nothing; end one of them",
                me.id,
            )

    def follows(self, me: ClusterMember) -> None:
        """Tell the cell that this member follows policies from now on."""
        self._follows = True
        if self._is_marked:
            self._keys.delete(STARTS + me.id)
            self._is_marked = False

    def end(self) -> None:
        """End the membership at once, if it has begun."""
        if self.lease:
            self._keys.revoke(self.lease)

    def earlier_of_another_site(self, me: ClusterMember) -> set[str]:
        """The members with another site file that joined before this one. Of two controllers that start at once, the first one stays."""
        seen = ClusterCell()
        for one in self._keys.below(MEMBER).found:
            seen.take(one.key, one.text, one.revision)
        came = seen.revisions.get(MEMBER + me.id, 0)
        others = {name for name, site in seen.sites.items() if site != self._site}
        return {name for name in others if seen.revisions[MEMBER + name] < came}
