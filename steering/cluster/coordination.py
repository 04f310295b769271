"""One controller's part in its cell: it shows that it lives, follows the others in etcd, and agrees with them by
compare-and-set on the owner of each share of switches.

No session waits for etcd. A standby whose owner is gone takes over at once, with the generation that it was granted in
advance, and writes that into etcd afterwards; switches refuse a controller with an older generation. While etcd cannot be
reached, the last known assignment stays.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from steering.cluster.cell import (
    CONTROLLER,
    DRAIN,
    GAVE_UP,
    GENERATION,
    MEMBER,
    OWN,
    REBALANCE,
    SHARES,
    ClusterCell,
    assignment_text,
    rebalance_text,
)
from steering.cluster.membership import CellMembership
from steering.cluster.rebalance import plan
from steering.cluster.rebalance_order import RebalanceOrder
from steering.cluster.shares import Allotment, claimed, granted, share_names, share_of
from steering.cluster.silent_members import SilentMembers
from steering.cluster.switch_reach import SwitchReach
from steering.cluster.unheard_members import UnheardMembers
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

LEASE = 3  # seconds without a sign of life after which a member's keys end in etcd
BEATS = 4  # signs of life within LEASE seconds
LOOK = 0.1  # seconds between two looks at what is to be agreed on
PATIENCE = 1.0  # seconds that an owner refused by a switch waits for etcd to name a newer one
TAKEN = 3  # leases that a new process waits for an earlier one of the same name to be gone
OUTLIVED = (
    2  # leases after which a dead member's lease has ended, also where etcd got another leader meanwhile
)
_SHARES_AT_ONCE = MOST_OPERATIONS // 2

log = logging.getLogger(__name__)


class ClusterRefusal(Exception):
    """This controller may not join the cell. The message is one line."""


class Coordination:
    """`me`: this controller. `site`: the digest of its site file. `shares`: the number of shares. `levels`: whether shares move to
    level the load without an operator's order. `starts_blind`: whether it reaches no switch before it is a member. `changed` is
    called when duties may have changed. `has_taken(share)`: whether the switches of a share obey this controller. `is_in_doubt`: whether
    streams have just ended, and it is not known yet who was cut off. `unreached`: as in SwitchReach. `lease`: seconds, see LEASE. `now`:
    seconds, monotonic."""

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
        starts_blind: bool = False,
        has_taken: Callable[[str], bool] = lambda share: True,
        is_in_doubt: Callable[[], bool] = lambda: False,
        unreached: Callable[[], Collection[str]] = tuple,
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
        self._membership = CellMembership(keys, site, lease, lambda key: self.cell.revisions.get(key, 0))
        self._stopped = False
        self.silence = SilentMembers()  # members whose streams have ended
        self.unheard = UnheardMembers()
        self._refused: dict[
            str, tuple[int, float]
        ] = {}  # share -> the generation that a switch refused, and when
        self._newest = 0  # the newest generation that a switch named
        self._failing = False
        self._away_until = float("-inf")  # this controller was away itself a moment before
        self._levels = levels
        self._starts_blind = starts_blind
        self.has_taken = has_taken
        self.is_in_doubt = is_in_doubt
        self._order = RebalanceOrder(keys, self._is_there, self._commit, lambda: self._now())
        self.reach = SwitchReach(me.id, unreached)

    @property
    def reached(self) -> bool:
        """Whether etcd answers."""
        return self._watch.reached and not self._failing

    @property
    def revision(self) -> int:
        """etcd's revision up to which all changes are known here."""
        return self._watch.revision

    @property
    def lease(self) -> int:
        """The number of the lease in etcd with which this membership ends."""
        return self._membership.lease

    # ---- the start and the end -------------------------------------------------------------------

    def join(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Become a member. Raises ClusterRefusal where another member has this name, or the site file or number of shares
        differs from the cell's. Raises EtcdError."""
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
        blind = self.reach.begins(share_names(self._count)) if self._starts_blind else ""
        if not self._membership.begin(self.me, blind):
            raise ClusterRefusal(f"another controller of the cell has just taken the name {self.me.id}")
        earlier = self._membership.earlier_of_another_site(self.me)
        if earlier:
            self._membership.end()
            raise ClusterRefusal(f"the site file differs from that of {', '.join(sorted(earlier))}")

    def follows(self) -> None:
        """Tell the cell that this member follows policies from now on, so that others wait for its answer. Called repeatedly,
        since etcd may not answer. Raises EtcdError."""
        self._membership.follows(self.me)

    def leave(self) -> None:
        """End the membership at once, without waiting for the lease's end. Never raises, as the controller is ending."""
        self._stopped = True
        self._watch.stop()
        try:
            self._membership.end()
        except EtcdError as error:
            log.warning("the cell is not told that this controller ends: %s", error)

    def follow(self) -> None:
        """Follow the cell's keys until `leave`; runs in a greenthread or thread of its own."""
        self._watch.run(self._take)

    def live(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Keep this controller's lease alive until `leave`; runs in a greenthread or thread of its own."""
        while not self._stopped:
            sleep(self._seconds / BEATS)
            try:
                if not self._stopped:
                    self.show_life()
                self._failing = False
            except EtcdError as error:
                if not self._failing:
                    log.warning("the cell cannot be told that this controller lives: %s", error)
                self._failing = True

    def show_life(self) -> None:
        """Keep this controller's lease alive, or begin a new one where it has ended. Raises EtcdError."""
        self._membership.keep(self.me, self.reach.text, self._note_absence)

    def _note_absence(self) -> None:
        self._away_until = self._now() + OUTLIVED * self._seconds
        self.silence.was_away()

    def agree(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Call `look` every LOOK seconds until `leave`; runs in a greenthread or thread of its own."""
        while not self._stopped:
            sleep(LOOK)
            try:
                self.look()
            except EtcdError as error:
                log.debug("nothing is agreed on for the moment: %s", error)

    # ---- what this controller is to a switch -----------------------------------------------------

    def duty(self, dpid: DatapathId) -> Duty:
        return self.duty_of(share_of(dpid, self._count))

    def duty_of(self, share: str) -> Duty:
        """This controller's role for a share, with its generation. It is OWNER where it is the first one in the line of owner
        and standbys that is there."""
        known = self.cell.shares.get(share)
        grant = None if known is None else known.grant_of(self.me.id)
        if known is None or grant is None or self._stopped or self._membership.is_replaced:
            return NO_DUTY  # a controller that is ending, or whose name another one has, takes nothing over
        refused = self._refused.get(share)
        if refused is not None and refused[0] >= grant.generation:
            return Duty(ShareRole.STANDBY, grant.generation)
        heir = self._heir(known)
        is_owner = heir is not None and heir.controller == self.me.id
        return Duty(ShareRole.OWNER if is_owner else ShareRole.STANDBY, grant.generation)

    def owner_of(self, dpid: DatapathId) -> str:
        """The controller that decides for a switch, as far as is known here; "" where none does."""
        share = share_of(dpid, self._count)
        if self.duty_of(share).role is ShareRole.OWNER:
            return self.me.id
        known = self.cell.shares.get(share)
        heir = None if known is None else self._heir(known)
        return "" if heir is None or heir.controller == self.me.id else heir.controller

    def _heir(self, known: ShareAssignment) -> Grant | None:
        """The first one in the line of owner and standbys that is there."""
        return next((one for one in (known.owner, *known.standbys) if self._is_there(one.controller)), None)

    def _is_there(self, controller: str) -> bool:
        if controller == self.me.id:
            return True
        return controller in self.cell.members and controller not in self.silence.gone

    def refused(self, dpid: DatapathId, generation: int, newest: int) -> None:
        """Note that a switch refused a generation of this controller because it knows a newer one, `newest` (0: not told)."""
        share = share_of(dpid, self._count)
        before = self._refused.get(share)
        if before is None or before[0] < generation:
            self._refused[share] = (generation, self._now())
            log.warning("share %s: another controller decides there by a newer generation", share)
        if self._newest < newest <= LAST_GENERATION:
            self._newest = newest
        self.changed()

    def lost(self, *controllers: str) -> None:
        """Note members whose streams have ended. Their standbys act at once, unless no member is heard any more
        (SilentMembers). A member is there again after `found`."""
        now = self._now()
        if self.silence.lost(controllers, self.cell.members.keys() - {self.me.id}, now):
            if now < self._away_until:
                self.silence.was_away()
            if self.silence.is_cut_off:
                log.warning("no other controller is heard: none counts as gone before its lease has ended")
            self.changed()

    def found(self, controller: str) -> None:
        """Note that a controller is heard, for the first time or again."""
        if self.silence.found(controller):
            self.changed()

    # ---- agreement -------------------------------------------------------------------------------

    def _take(self, changes: Iterable[KeyChange]) -> None:
        before = {share: known.owner.controller for share, known in self.cell.shares.items()}
        for change in changes:
            self.cell.take(change.key, change.text, change.revision)
            if change.key == MEMBER + self.me.id:
                self._membership.heard(self.me, change.text)
        self.silence.keep(self.cell.members)
        self._note_living(before)
        self.changed()

    def _note_living(self, before: Mapping[str, str]) -> None:
        """Note silent members that etcd names as the owner of a share that another one had before (`before`: share -> its owner): they have
        taken it, or another member hears them."""
        for share, known in self.cell.shares.items():
            owner = known.owner.controller
            if before.get(share, owner) != owner and self.silence.lives(owner, self._now()):
                log.warning("controller %s lives, though it is not heard: it has share %s now", owner, share)

    def look(self) -> None:
        """Write into etcd what has to be agreed on now. Raises EtcdError."""
        if self.silence.look(self.reached, OUTLIVED * self._seconds, self._now()):
            self.changed()
        if self._membership.is_replaced:
            return
        self._claim()
        self._renew()
        self._tell_taken()
        self.unheard.look(self._unheard(), bool(self.silence.heard), self._now())
        self.reach.look(self.cell, self._keys, self.lease, self._now())
        # A controller that is cut off does not know who can decide, and would give itself shares that others own.
        if self._is_eldest() and not self.silence.is_cut_off and not self.is_in_doubt():
            self._allot()

    def _is_eldest(self) -> bool:
        """Whether this member assigns the shares: it is the first by name of the members that are there and not left out. Two members that
        assign shares at once do no harm."""
        out = self.unheard.left_out
        there = [one.id for one in self.cell.present() if self._is_there(one.id) and one.id not in out]
        return bool(there) and there[0] == self.me.id

    def _claim(self) -> None:
        """Write into etcd a share that this controller has taken over."""
        for share, known in self.cell.shares.items():
            if known.owner.controller != self.me.id and self.duty_of(share).role is ShareRole.OWNER:
                change = claimed(known, self.me.id)
                if change is not None:
                    self._commit({share: change}, self.cell.last)
                return  # further shares follow with the next looks, when the watch has told this change

    def _renew(self) -> None:
        """Give this controller a newer generation for a share where a switch has refused it and etcd still names it as the
        owner: the controller with the newer generation is gone and has not written it into etcd."""
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

    def _unheard(self) -> set[str]:
        """The other members that use streams, but have none open to this controller. A member that has just started is one of them for a
        moment. A member that was cut off from its peers and began anew stays one."""
        others = [one for one in self.cell.present() if one.stream and one.id != self.me.id]
        return {one.id for one in others if one.id not in self.silence.heard} if self.me.stream else set()

    def _blind(self) -> Mapping[str, Collection[str]]:
        """Member -> the shares of which it reaches no switch. For this controller these are newer than what etcd has told."""
        others = {name: shares for name, shares in self.cell.blind.items() if name != self.me.id}
        return others | ({self.me.id: self.reach.blind} if self.reach.blind else {})

    def _allot(self) -> None:
        unheard = self._unheard()
        allotment = Allotment(
            (one for one in self.cell.present() if self._is_there(one.id)),
            share_names(self._count), self.cell.shares, self._blind(), unheard, self.unheard.left_out,
        )  # fmt: skip
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
            self._order.go_on(self.cell, allotment, self.cell.rebalance, unheard)

    def _tell_taken(self) -> None:
        """Write into etcd that this controller has taken the share that was moved to it."""
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
        """Compare-and-set of assignments and of the last granted generation. False where another member was faster: the watch
        tells its change, and the next look uses it. `also`: another key, its revision, and the change of it."""
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
        """Take all shares from a controller, or let it have shares again. Raises EtcdError."""
        if draining:
            self._keys.put(DRAIN + controller, "1")
        else:
            self._keys.delete(DRAIN + controller)

    def rebalance(self, dry_run: bool) -> tuple[ShareMove, ...]:
        """Order a rebalancing, unless `dry_run`; its moves. Raises RebalanceRefusal and EtcdError."""
        moves = tuple(plan(self.cell, self.silence.silent | self._unheard()))
        if not dry_run and not self._keys.commit(
            {REBALANCE: 0}, [Delete(GAVE_UP), Put(REBALANCE, rebalance_text(Rebalance()))]
        ):
            raise RebalanceRefusal("the load is being levelled already")
        return moves
