"""How one controller takes part in its cell: it says that it is there, follows what others say, and agrees with them by
compare-and-set on who decides for which switches.

Nothing that a session needs waits for this. A standby whose owner is gone acts at once, by the generation that it was
granted in advance, and tells etcd afterwards: the switches refuse whoever is older. While etcd cannot be reached, all
stays as it was last known.
"""

import logging
import time
from collections.abc import Callable, Iterable

from steering.cluster.cell import (
    CONTROLLER,
    DRAIN,
    GAVE_UP,
    GENERATION,
    MEMBER,
    OWN,
    REBALANCE,
    SHARES,
    STARTS,
    ClusterCell,
    assignment_text,
    member_text,
    rebalance_text,
)
from steering.cluster.rebalance import TAKEN_WITHIN, plan
from steering.cluster.shares import Allotment, claimed, granted, share_names, share_of
from steering.cluster.silent_members import SilentMembers
from steering.model.cluster import (
    LAST_GENERATION,
    NO_DUTY,
    ClusterMember,
    Duty,
    Grant,
    Rebalance,
    RebalanceRefusal,
    ShareAssignment,
    ShareMove,
    ShareRole,
)
from steering.model.ids import DatapathId
from steering.store.etcd.access import EtcdError
from steering.store.etcd.keys import MOST_OPERATIONS, Delete, Keys, Put
from steering.store.etcd.watch import EtcdWatch, KeyChange

LEASE = 3  # seconds without a sign of life after which etcd takes a member for gone
BEATS = 4  # signs of life in that time
LOOK = 0.1  # seconds between looks at whether something is to be agreed on
PATIENCE = 1.0  # seconds that a refused owner waits for etcd to tell who is newer
TAKEN = 3  # leases in which an earlier process of the same name has to be gone
_SHARES_AT_ONCE = MOST_OPERATIONS // 2

log = logging.getLogger(__name__)


class ClusterRefusal(Exception):
    """A controller may not take part; the message is one line."""


class Coordination:
    """`me`: this controller. `site`: the digest of its site file. `levels`: whether the load is levelled without an order to.
    `changed` is called when duties may have changed. `has_taken` tells whether the switches of a share obey this controller.
    `lease`: seconds; see LEASE. `now`: seconds,
    monotonic."""

    def __init__(
        self,
        keys: Keys,
        me: ClusterMember,
        site: str,
        shares: int = 1,
        lease: int = LEASE,
        changed: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.monotonic,
        levels: bool = True,
    ) -> None:
        self.me = me
        self.cell = ClusterCell()
        self.changed = changed
        self._keys = keys
        self._site = site
        self._count = shares
        self._now = now
        self._seconds = lease
        self._watch = EtcdWatch(keys, "")
        self._lease = 0
        self._stopped = False
        self._follows = self._is_marked = (
            False  # whether it goes by policies; whether etcd says that it does not
        )
        self.silence = SilentMembers()  # of members, as their streams tell
        self._refused: dict[
            str, tuple[int, float]
        ] = {}  # by share: the generation that a switch refused, and when
        self._newest = 0  # generation that a switch told of
        self._failing = False
        self._levels = levels
        self.has_taken: Callable[[str], bool] = lambda share: True
        self._moving: tuple[int, float] = (
            0,
            0.0,
        )  # etcd's revision of a move that is under way, and since when

    @property
    def reached(self) -> bool:
        """Whether etcd answers."""
        return self._watch.reached and not self._failing

    @property
    def revision(self) -> int:
        """etcd's revision up to which all is known."""
        return self._watch.revision

    @property
    def lease(self) -> int:
        """etcd's number of the lease with which this membership ends."""
        return self._lease

    # ---- the start and the end -------------------------------------------------------------------

    def join(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Become a member. Raises ClusterRefusal where another one has the name, the site file or the number of shares
        differs, and EtcdError."""
        if not CONTROLLER.fullmatch(self.me.id):
            raise ClusterRefusal(f"'{self.me.id}' cannot be a controller's name")
        ends = self._now() + TAKEN * self._seconds
        while True:
            for one in self._keys.below("").found:
                self.cell.take(one.key, one.text, one.revision)
            if self.me.id not in self.cell.members:
                break
            if self._now() > ends:
                raise ClusterRefusal(
                    f"another controller of the cell is called {self.me.id}: give --cluster-name"
                )
            sleep(0.5)
            self.cell = ClusterCell()
        others = {name for name, site in self.cell.sites.items() if site != self._site}
        if others:
            raise ClusterRefusal(f"the site file differs from that of {', '.join(sorted(others))}")
        if not self.cell.count and self._keys.commit({SHARES: 0}, [Put(SHARES, str(self._count))]):
            self.cell.count = self._count
        found = self._keys.get(SHARES)
        if found is None or found.text != str(self._count):
            raise ClusterRefusal("the cell has another number of shares")
        if not self._present():
            raise ClusterRefusal(f"another controller of the cell has just taken the name {self.me.id}")
        earlier = self._earlier_of_another_site()
        if earlier:
            self._keys.revoke(self._lease)
            raise ClusterRefusal(f"the site file differs from that of {', '.join(sorted(earlier))}")

    def _earlier_of_another_site(self) -> set[str]:
        """Members that came while this one did, before it: of two that start at once the first one stays."""
        seen = ClusterCell()
        for one in self._keys.below(MEMBER).found:
            seen.take(one.key, one.text, one.revision)
        came = seen.revisions.get(MEMBER + self.me.id, 0)
        others = {name for name, site in seen.sites.items() if site != self._site}
        return {name for name in others if seen.revisions[MEMBER + name] < came}

    def follows(self) -> None:
        """This member goes by what the cell agrees on, from now on: others wait for its word. To be called again and again, since
        etcd may not answer. Raises EtcdError."""
        self._follows = True
        if self._is_marked:
            self._keys.delete(STARTS + self.me.id)
            self._is_marked = False

    def leave(self) -> None:
        """Be gone at once, and not after the lease. It never fails: a controller that ends must end."""
        self._stopped = True
        self._watch.stop()
        try:
            if self._lease:
                self._keys.revoke(self._lease)
        except EtcdError as error:
            log.warning("the cell is not told that this controller ends: %s", error)

    def follow(self) -> None:
        """Take part until `leave`; runs in a greenthread or thread of its own."""
        self._watch.run(self._take)

    def live(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Say that this controller lives until `leave`; in a greenthread or thread of its own."""
        while not self._stopped:
            sleep(self._seconds / BEATS)
            try:
                if not self._stopped and not self._keys.keep_alive(self._lease):
                    self._present()
                self._failing = False
            except EtcdError as error:
                if not self._failing:
                    log.warning("the cell cannot be told that this controller lives: %s", error)
                self._failing = True

    def agree(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Look at what is to be agreed on until `leave`; in a greenthread or thread of its own."""
        while not self._stopped:
            sleep(LOOK)
            try:
                self.look()
            except EtcdError as error:
                log.debug("nothing is agreed on for the moment: %s", error)

    def _present(self) -> bool:
        """Put this member's key with a new lease; False where another one has its name."""
        self._lease = self._keys.grant(self._seconds)
        key = MEMBER + self.me.id
        revision = self.cell.revisions.get(key, 0)
        puts = [Put(key, member_text(self.me, self._site), self._lease)]
        starts = not self._follows
        if starts:
            puts.append(Put(STARTS + self.me.id, "1", self._lease))
        done = self._keys.commit({key: revision}, puts)
        self._is_marked = self._is_marked or (done and starts)
        return done

    # ---- what this controller is to a switch -----------------------------------------------------

    def duty(self, dpid: DatapathId) -> Duty:
        return self.duty_of(share_of(dpid, self._count))

    def duty_of(self, share: str) -> Duty:
        """OWNER where etcd says so, or where all before this one in the line are gone."""
        known = self.cell.shares.get(share)
        grant = None if known is None else known.grant_of(self.me.id)
        if known is None or grant is None or self._stopped:
            return NO_DUTY  # one that ends takes nothing over, whatever it hears of others
        refused = self._refused.get(share)
        if refused is not None and refused[0] >= grant.generation:
            return Duty(ShareRole.STANDBY, grant.generation)
        heir = self._heir(known)
        is_owner = heir is not None and heir.controller == self.me.id
        return Duty(ShareRole.OWNER if is_owner else ShareRole.STANDBY, grant.generation)

    def owner_of(self, dpid: DatapathId) -> str:
        """Who decides for a switch, as far as is known here; "" where nobody does."""
        share = share_of(dpid, self._count)
        if self.duty_of(share).role is ShareRole.OWNER:
            return self.me.id
        known = self.cell.shares.get(share)
        heir = None if known is None else self._heir(known)
        return "" if heir is None or heir.controller == self.me.id else heir.controller

    def _heir(self, known: ShareAssignment) -> Grant | None:
        """The first of the line that is there."""
        return next((one for one in (known.owner, *known.standbys) if self._is_there(one.controller)), None)

    def _is_there(self, controller: str) -> bool:
        if controller == self.me.id:
            return True
        return controller in self.cell.members and controller not in self.silence.gone

    def refused(self, dpid: DatapathId, generation: int, newest: int) -> None:
        """A switch refused a generation of this controller, as it knows a newer one (0: it did not tell which)."""
        share = share_of(dpid, self._count)
        before = self._refused.get(share)
        if before is None or before[0] < generation:
            self._refused[share] = (generation, self._now())
            log.warning("share %s: another controller decides there by a newer generation", share)
        if self._newest < newest <= LAST_GENERATION:
            self._newest = newest
        self.changed()

    def lost(self, *controllers: str) -> None:
        """Members' streams are silent. Who stands by for one acts at once, unless nobody is heard any more (SilentMembers). It
        counts as there again after `found`."""
        if self.silence.lost(controllers, self.cell.members.keys() - {self.me.id}):
            if self.silence.is_cut_off:
                log.warning("no other controller is heard: none counts as gone before its lease has ended")
            self.changed()

    def found(self, controller: str) -> None:
        """A controller is heard, for the first time or again."""
        if self.silence.found(controller):
            self.changed()

    # ---- agreement -------------------------------------------------------------------------------

    def _take(self, changes: Iterable[KeyChange]) -> None:
        for change in changes:
            self.cell.take(change.key, change.text, change.revision)
        self.silence.keep(self.cell.members)
        self.changed()

    def look(self) -> None:
        """Agree on what is to be agreed on now. Raises EtcdError."""
        self._claim()
        self._renew()
        self._tell_taken()
        # Who is cut off knows of nobody whether it can decide, and would give itself what it sees nobody have.
        if self._is_eldest() and not self.silence.is_cut_off:
            self._allot()

    def _is_eldest(self) -> bool:
        """One member allots, so that they do not get in each other's way. Two at once would do no harm."""
        there = [one.id for one in self.cell.present() if self._is_there(one.id)]
        return bool(there) and there[0] == self.me.id

    def _claim(self) -> None:
        """Tell etcd what was taken over."""
        for share, known in self.cell.shares.items():
            if known.owner.controller != self.me.id and self.duty_of(share).role is ShareRole.OWNER:
                change = claimed(known, self.me.id)
                if change is not None:
                    self._commit({share: change}, self.cell.last)
                return  # the next one with the next look, when this one is told

    def _renew(self) -> None:
        """An owner whom a switch refused, and who is owner all the same, needs a newer generation: whoever had the
        newer one is gone, and never told."""
        for share, (generation, when) in list(self._refused.items()):
            known = self.cell.shares.get(share)
            if known is None or known.owner.generation > generation:
                if known is not None and known.grant_of(self.me.id) is not None:
                    del self._refused[share]
                    self.changed()
                continue
            if known.owner.controller == self.me.id and self._now() - when > PATIENCE and self.reached:
                last = max(self.cell.last, self._newest) + 1
                grant = Grant(self.me.id, last)
                standbys = []
                for one in known.standbys:
                    last += 1
                    standbys.append(Grant(one.controller, last))
                self._commit({share: ShareAssignment(grant, tuple(standbys))}, last)
                return

    def _allot(self) -> None:
        allotment = Allotment(
            (one for one in self.cell.present() if self._is_there(one.id)),
            share_names(self._count),
            self.cell.shares,
        )
        last = self.cell.last
        changes = {}
        for share, wanted in allotment.wanted(moves=1 if self._levels else 0).items():
            assignment, last = granted(wanted, self.cell.shares.get(share), last)
            if assignment != self.cell.shares.get(share):
                changes[share] = assignment
            if len(changes) == _SHARES_AT_ONCE:
                break
        if changes:
            self._commit(changes, last)
        elif self.cell.rebalance is not None:
            self._rebalance(allotment, self.cell.rebalance)

    def _rebalance(self, allotment: Allotment, under_way: Rebalance) -> None:
        """Move the next share, where the one before it was taken."""
        revision = self.cell.revisions.get(REBALANCE, 0)
        if under_way.share:
            if self._moving[0] != revision:
                self._moving = revision, self._now()
            if self._is_there(under_way.taker) and self._now() < self._moving[1] + TAKEN_WITHIN:
                return
            log.warning(
                "the load is not levelled further: %s has not taken share %s",
                under_way.taker,
                under_way.share,
            )
            told = Put(GAVE_UP, rebalance_text(under_way))
            self._keys.commit({REBALANCE: revision}, [told, Delete(REBALANCE)])
            return
        move = next(iter(allotment.moves()), None)
        if move is None:
            log.info("the load is level")
            self._keys.commit({REBALANCE: revision}, [Delete(REBALANCE)])
            return
        wanted = allotment.wanted(moves=1)[move.share]
        assignment, last = granted(wanted, self.cell.shares.get(move.share), self.cell.last)
        told = Put(REBALANCE, rebalance_text(Rebalance(move.share, move.taker)))
        self._commit({move.share: assignment}, last, (REBALANCE, revision, told))

    def _tell_taken(self) -> None:
        """Tell that a share which is moved to here is here."""
        under_way = self.cell.rebalance
        if (
            under_way is not None
            and under_way.taker == self.me.id
            and self.duty_of(under_way.share).role is ShareRole.OWNER
            and self.has_taken(under_way.share)
        ):
            known = self.cell.revisions.get(REBALANCE, 0)
            self._keys.commit({REBALANCE: known}, [Put(REBALANCE, rebalance_text(Rebalance()))])

    def _commit(
        self, changes: dict[str, ShareAssignment], last: int, also: tuple[str, int, Put] | None = None
    ) -> bool:
        """Compare-and-set of assignments and of the last generation that is granted. Where another one was faster, its
        change is told by the watch, and the next look goes by that. `also`: another key, its revision, and what it is."""
        revisions = self.cell.revisions
        unchanged = {GENERATION: revisions.get(GENERATION, 0)}
        unchanged |= {OWN + share: revisions.get(OWN + share, 0) for share in changes}
        puts: list[Put | Delete] = [Put(OWN + share, assignment_text(one)) for share, one in changes.items()]
        if also is not None:
            unchanged[also[0]] = also[1]
            puts.append(also[2])
        done = self._keys.commit(unchanged, [Put(GENERATION, str(last)), *puts])
        if done:
            for share, one in changes.items():
                log.info(
                    "share %s: %s decides by generation %d", share, one.owner.controller, one.owner.generation
                )
        return done

    # ---- orders ----------------------------------------------------------------------------------

    def drain(self, controller: str, draining: bool) -> None:
        """Let a controller decide for nothing more, or again. Raises EtcdError."""
        if draining:
            self._keys.put(DRAIN + controller, "1")
        else:
            self._keys.delete(DRAIN + controller)

    def rebalance(self, dry_run: bool) -> tuple[ShareMove, ...]:
        """Level the load, unless `dry_run`. Returns the moves. Raises RebalanceRefusal and EtcdError."""
        moves = tuple(plan(self.cell, self.silence.silent))
        if not dry_run and not self._keys.commit(
            {REBALANCE: 0}, [Delete(GAVE_UP), Put(REBALANCE, rebalance_text(Rebalance()))]
        ):
            raise RebalanceRefusal("the load is being levelled already")
        return moves
