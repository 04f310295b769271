"""How controllers divide limits anew when one comes, goes, or takes a switch over: nobody gets a larger part before all others have
a smaller one, and have told what they have beyond it.

Each division has a number, and whoever sees that members or owners of switches are others begins the next one. To begin is to have no
more than this division gives, at once and without asking. A controller is ready when it knows the sessions of all switches that it
decides for, and has told what it has beyond its part. When all are ready for the same number, members and owners, the division is
complete, and each has the part that it gives. A controller that is not heard keeps its part: no division is complete without it,
until others decide for each of its switches and have read them. Then it can begin no session.

A controller that starts has no part before its first division is complete. Where it finds nobody, that is when it knows the sessions
of its switches, or some seconds later: one switch that is away shall not keep all of a site's hosts out.
"""

from collections.abc import Callable, Collection, Mapping
from hashlib import sha256

from steering.core.outputs import Output
from steering.core.peer_facts import TellPeer
from steering.core.peers.limit_parts import SharedLedger
from steering.model.ids import DatapathId
from steering.wire.peer_messages import WITH_DIVISIONS, LimitExcess, LimitStanding

LAST = 2**64 - 1  # of division's numbers
FAR = 2**32  # so many divisions there are not between two that speak with each other
SETTLES = 3.0  # seconds in which a division is complete, where all hear each other
AWAY = 15.0  # seconds in which a switch connects that is not away


class LimitDivision:
    """`knows_sessions`: whether all switches that this controller decides for have told of their sessions, or had the time to, and
    those that it decides for no more have none here. Its argument: whether it has waited until switches that do not connect are
    away. `have_told`: of some switches, whether they really have told."""

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
        # Switches that got another owner since a division was complete, and whose they were meanwhile.
        self._before: dict[DatapathId, set[str]] = {}
        self._has_owners = False  # whether it is known who decides for each switch
        self._versions: dict[str, int] = {}  # of those that are reached
        self._number = 0
        self._among = 0
        self._is_ready = False
        self._has_begun = False  # whether a division was ever complete here
        self._since: float | None = None  # when the division under way was first looked at
        self._waited = 0.0  # seconds since then
        self._unsure: float | None = None  # when the first division was, after one was complete
        self._said: dict[str, LimitStanding] = {}  # by those that are reached

    # ---- who is there ----------------------------------------------------------------------------

    def changed(
        self,
        me: str,
        others: frozenset[str],
        owners: Mapping[DatapathId, str],
        switches: Collection[DatapathId],
    ) -> list[Output]:
        """Who is there, and who decides for which switches of the site, from now on."""
        members = others | {me}
        self._has_owners = owners.keys() >= set(switches)
        # A switch that nobody decides for any more is still its last owner's.
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
        # It is ready with the next look: what was taken has to be noted as unread first.
        return self._begin(self._number + 1)

    def up(self, name: str, version: int) -> list[Output]:
        """Another controller can be reached. It may have begun anew meanwhile, and what was under way is lost."""
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
            # However many follow before one is complete, a host waits no longer for that.
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
        """Whether a member knows no divisions yet, as it is of an earlier version: then each goes by who is there, as that one does."""
        return any(self._versions.get(name, WITH_DIVISIONS) < WITH_DIVISIONS for name in self._members)

    def _tell(self, message: LimitStanding | LimitExcess) -> list[Output]:
        heard = [name for name, version in self._versions.items() if version >= WITH_DIVISIONS]
        return [TellPeer(name, message) for name in sorted(heard) if name in self._members]

    def is_far(self, told: LimitStanding) -> bool:
        """Whether no division that there was since has this number: whoever says so lies, and after the last number there is none. Who
        starts does not know how many there were."""
        return told.number > (self._number + FAR if self._has_begun else LAST // 2)

    def standing(self, name: str, told: LimitStanding) -> list[Output]:
        """Another controller tells where it stands."""
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
            # What was said to it while it did not know of this controller it has not heard.
            outputs += [TellPeer(name, excess) for excess in self._ledger.told()]
            if self._is_ready:
                outputs.append(TellPeer(name, LimitStanding(self._number, self._among, True)))
        return outputs

    def tick(self, now: float) -> list[Output]:
        """Time goes by: what takes too long is waited for no more."""
        if self._since is None:
            self._since = now
        if self._unsure is None:
            self._unsure = now
        self._waited = now - self._since
        if now >= self._unsure + SETTLES:
            self._ledger.is_sure = True
        return self.look()

    def look(self) -> list[Output]:
        """Become ready, complete, tell what changed."""
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
            return False  # those that it will decide for have told nothing yet
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
