"""Divides limits anew between controllers, whenever a controller comes, goes, or takes a switch over.

No controller gets a larger part of a limit before all others have begun to use their smaller parts, and have told their excess: the
sessions that they have beyond their parts.

Divisions are numbered. A controller that sees other members, or other owners of switches, begins the next division. A controller that
begins a division uses at once no more than the part that this division gives it. A controller is ready when it knows the sessions of all
switches that it decides for, and has told its excess. A division is complete when all members are ready for the same number, members and
owners. Then each controller has the part that this division gives it.

A controller that cannot be heard keeps its part. No division is complete without this controller, until others decide for all of its
switches and have read these switches. From then on it can begin no session.

A controller that starts has no part before its first division is complete. If it finds no other controller, the division is complete
as soon as it knows the sessions of its switches, or some seconds later: a single switch that is away must not keep all hosts of the
site from MCPs.
"""

from collections.abc import Callable, Collection, Mapping
from hashlib import sha256

from steering.core.outputs import Output
from steering.core.peer_facts import TellPeer
from steering.core.peers.limit_parts import SharedLedger
from steering.model.ids import DatapathId
from steering.wire.peer_messages import WITH_DIVISIONS, LimitExcess, LimitStanding

LAST = 2**64 - 1  # the greatest number of a division
FAR = 2**32  # the numbers of two honest controllers never differ by so much
SETTLES = 3.0  # seconds within which a division is complete, if all controllers hear each other
AWAY = 15.0  # a switch that has not connected after so many seconds counts as away


class LimitDivision:
    """This controller's side of the divisions.

    `knows_sessions(waited)` returns whether this controller knows the sessions of all switches that it decides for, and has forgotten
    the sessions of all others. `waited`: switches that have not connected count as away, and need not be known. `have_told(switches)`
    returns whether the entries of all these switches were really read.
    """

    def __init__(
        self,
        ledger: SharedLedger,
        knows_sessions: Callable[[bool], bool],
        have_told: Callable[[Collection[DatapathId]], bool],
    ) -> None:
        self._ledger = ledger
        self._knows_sessions = knows_sessions
        self._have_told = have_told
        self._me = ""
        self._members: frozenset[str] = frozenset()
        self._owners: Mapping[DatapathId, str] = {}
        # Switches that got another owner since the last complete division, each with all its owners since then but the present one.
        self._before: dict[DatapathId, set[str]] = {}
        self._has_owners = False  # whether it is known who decides for each switch
        self._versions: dict[str, int] = {}  # of the protocol, by controllers that can be reached
        self._number = 0
        self._among = 0  # a hash of members and owners
        self._is_ready = False
        self._has_begun = False  # whether a division was ever complete here
        self._since: float | None = None  # when the division under way was first looked at
        self._waited = 0.0  # seconds since then
        self._unsure: float | None = None  # when the first division since a complete one was looked at
        self._said: dict[str, LimitStanding] = {}  # the last word of each controller that can be reached

    # ---- who is there ----------------------------------------------------------------------------

    def changed(
        self,
        me: str,
        others: frozenset[str],
        owners: Mapping[DatapathId, str],
        switches: Collection[DatapathId],
    ) -> list[Output]:
        """Take who is a member, and which controller decides for which of the site's switches."""
        members = others | {me}
        self._has_owners = owners.keys() >= set(switches)
        # A switch without an owner still counts as its last owner's.
        kept = {dpid: owner for dpid, owner in {**self._owners, **owners}.items() if dpid in switches}
        if (me, members, kept) == (self._me, self._members, self._owners):
            return []
        is_first = not self._me
        for dpid, owner in owners.items():
            before = self._owners.get(dpid, me)
            if owner != before:
                self._before.setdefault(dpid, set()).add(before)
        self._me, self._members, self._owners = me, members, kept
        told = repr((sorted(members), sorted(self._owners.items())))
        self._among = int.from_bytes(sha256(told.encode()).digest()[:8], "big")
        if is_first:
            self._ledger.nothing()
        # This controller cannot be ready before the next look: its new switches have to be noted as unread first.
        return self._begin(self._number + 1)

    def up(self, name: str, version: int) -> list[Output]:
        """Another controller can be reached again. It may have started anew, and messages that were on their way are lost."""
        self._versions[name] = version
        self._said.pop(name, None)
        return self._begin(self._number + 1) if name in self._members else []

    def lost(self, name: str) -> None:
        self._versions.pop(name, None)
        self._said.pop(name, None)

    # ---- divisions -------------------------------------------------------------------------------

    def _begin(self, number: int) -> list[Output]:
        self._number, self._is_ready = min(number, LAST), False
        self._since, self._waited = None, 0.0
        if self._ledger.is_divided:
            # SETTLES counts from the first of several incomplete divisions, so that hosts do not wait for each of them.
            self._ledger.is_sure, self._unsure = False, None
        self._ledger.begin(self._members, self._me)
        if self._speaks_with_older():
            self._complete()
            return []
        return self._tell(LimitStanding(self._number, self._among, False))

    def _complete(self) -> None:
        self._ledger.complete(self._members, self._me)
        self._has_begun = True

    def _speaks_with_older(self) -> bool:
        """Whether a member has an earlier version without divisions. Then every controller computes its part from the members, as that
        version does."""
        return any(self._versions.get(name, WITH_DIVISIONS) < WITH_DIVISIONS for name in self._members)

    def _tell(self, message: LimitStanding | LimitExcess) -> list[Output]:
        heard = [name for name, version in self._versions.items() if version >= WITH_DIVISIONS]
        return [TellPeer(name, message) for name in sorted(heard) if name in self._members]

    def is_far(self, told: LimitStanding) -> bool:
        """Whether the number in a message is so great that its sender lies. Otherwise a liar could use up the numbers. A controller
        that starts does not know how many divisions there were, so it accepts half of all numbers."""
        return told.number > (self._number + FAR if self._has_begun else LAST // 2)

    def standing(self, name: str, told: LimitStanding) -> list[Output]:
        """Another controller tells its division, and whether it is ready."""
        self._said[name] = told
        if told.ready:
            self._ledger.told_all_excess(name)
        else:
            self._ledger.forget_excess(name)
        if told.number > self._number:
            return self._begin(told.number)
        outputs = self.look()
        if told.number < self._number:
            return [*outputs, TellPeer(name, LimitStanding(self._number, self._among, False))]
        if not told.ready:
            # It ignored what was sent to it while it did not know this controller, so that is sent again.
            outputs += [TellPeer(name, excess) for excess in self._ledger.told()]
            if self._is_ready:
                outputs.append(TellPeer(name, LimitStanding(self._number, self._among, True)))
        return outputs

    def tick(self, now: float) -> list[Output]:
        """Time has passed. `now`: seconds. What takes too long is not waited for any longer."""
        if self._since is None:
            self._since = now
        if self._unsure is None:
            self._unsure = now
        self._waited = now - self._since
        if now >= self._unsure + SETTLES:
            self._ledger.is_sure = True
        return self.look()

    def look(self) -> list[Output]:
        """Become ready if that is possible now, complete the division if all are ready, and tell the others of changes."""
        if not self._me or self._speaks_with_older():
            return []
        ledger = self._ledger
        if not self._is_ready and not ledger.tells and self._may_be_ready():
            ledger.tell_all_excess()
        outputs = [one for excess in ledger.excess_to_tell() for one in self._tell(excess)]
        if not self._is_ready and ledger.is_told:
            self._is_ready = True
            outputs += self._tell(LimitStanding(self._number, self._among, True))
        if self._is_ready and not ledger.is_divided and ledger.is_told and self._are_all_ready():
            self._before.clear()
            self._complete()
        return outputs

    def _may_be_ready(self) -> bool:
        if not self._has_begun and self._waited < SETTLES and not self._has_owners:
            return False  # it is not known yet for which switches this controller will decide
        if not self._has_begun and self._waited >= SETTLES and self._members == {self._me}:
            return True
        mine = [dpid for dpid in self._before if self._owners.get(dpid) == self._me]
        unsure = [dpid for dpid in mine if not self._members.issuperset(self._before[dpid])]
        return self._knows_sessions(self._waited >= AWAY) and self._have_told(unsure)

    def _are_all_ready(self) -> bool:
        wanted = LimitStanding(self._number, self._among, True)
        others = self._members - {self._me}
        return self._members.issuperset(self._owners.values()) and all(
            self._said.get(name) == wanted for name in others
        )
