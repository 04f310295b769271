"""A model of controllers that share one limit, and of what may happen to them: switches get other owners, streams are cut, members come,
leave and die. Nothing happens by itself, and there is no clock."""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from steering.core.peer_facts import TellPeer
from steering.core.peers.limit_division import LimitDivision
from steering.core.peers.limit_parts import SharedLedger
from steering.core.selection.quotas import Allowance, QuotaKeys
from steering.model.ids import McpId
from steering.model.limit import Limit
from steering.wire.peer_messages import VERSION, LimitExcess, LimitGift, LimitStanding, LimitWish

SUBSCRIBER = 0
KEYS = {name: QuotaKeys(name, name.encode(), "", McpId(1)) for name in ("anna",)}


def allowance(most: int) -> Allowance:
    limit = Limit(most, "policy")
    return Allowance(limit, (limit, None, None, None), ((SUBSCRIBER, limit),))


class Member:
    """One controller. Sessions are given by their subscribers. `at`: by switch, the sessions that the controller counts. `unread`: switches
    whose sessions it does not know yet. `leaving`: sessions of switches that it gave up, and has not forgotten yet."""

    def __init__(self, name: str, most: int, ledger: Any = None) -> None:
        self.name = name
        self.ledger: SharedLedger = ledger or SharedLedger()
        self.ledger.keep({(SUBSCRIBER, most)})
        self.unread: set[int] = set()
        self.leaving: list[str] = []
        self.at: dict[int, list[str]] = {}
        self.division = LimitDivision(
            self.ledger,
            lambda waited: not (self.unread or self.leaving),
            lambda dpids: not self.unread & set(dpids),
        )
        self.reached: set[str] = set()
        self.now = 0.0


class World:
    """All controllers and switches. `masters`: the controller that each switch obeys. `live`: the sessions that each switch holds, by
    subscriber. `versions`: of the protocol, for controllers with an earlier one."""

    def __init__(
        self, names: Iterable[str], switches: int, most: int, versions: dict[str, int] | None = None
    ) -> None:
        self.versions = versions or {}
        self.most, self.allowed = most, allowance(most)
        self.members: dict[str, Member] = {}
        self.masters: dict[int, str] = {}
        self.live: dict[int, list[str]] = {dpid: [] for dpid in range(switches)}
        self.posts: dict[tuple[str, str], deque[Any]] = {}
        self.cut: set[frozenset[str]] = set()
        names = list(names)
        for dpid in range(switches):
            self.masters[dpid] = names[dpid % len(names)]
        for name in names:
            self.members[name] = Member(name, most)
        for name in names:
            self.hears(name)
        self.settle()

    # ---- messages --------------------------------------------------------------------------------

    def _sends(self, by: str, outputs: Iterable[Any]) -> None:
        for one in outputs:
            assert isinstance(one, TellPeer)
            for to in [one.name] if one.name else sorted(self.members[by].reached):
                if to in self.members[by].reached:
                    self.posts[by, to].append(one.message)

    def deliver(self, by: str, to: str) -> bool:
        """The next message of a stream arrives; False if there is none."""
        post = self.posts.get((by, to))
        if not post:
            return False
        message, member = post.popleft(), self.members[to]
        if by not in member.division._members:
            return True  # a message of a controller that is no member is ignored
        if isinstance(message, LimitStanding):
            self._sends(to, member.division.standing(by, message))
        elif isinstance(message, LimitExcess):
            member.ledger.told_excess(by, message)
        elif isinstance(message, LimitWish):
            gift = member.ledger.asked(message, by)
            self._sends(to, [] if gift is None else [TellPeer(by, gift)])
        elif isinstance(message, LimitGift):
            member.ledger.given(message)
        return True

    def settle(self) -> None:
        """Deliver all messages, read all switches, and let all controllers forget what they gave up."""
        for _ in range(6):
            for name in sorted(self.members):
                self.hears(name)
            for name in sorted(self.members):
                self.forgets(name, len(self.members[name].leaving))
                for dpid in sorted(self.members[name].unread):
                    self.reads(name, dpid)
            for name in sorted(self.members):
                self.ticks(name)
            while sum(self.deliver(by, to) for by, to in sorted(self.posts)):
                pass

    # ---- what happens ----------------------------------------------------------------------------

    def hears(self, name: str) -> None:
        """A controller learns the members, the owners of switches, and which streams are open."""
        member = self.members[name]
        for other in [one for one in sorted(member.reached) if not self._are_joined(name, one)]:
            self._parts(name, other)
        owners = dict(self.masters)
        there = {one for one in self.members if one in owners.values() or self._are_joined(name, one)}
        there |= set(owners.values())
        for dpid in [dpid for dpid in member.at if owners.get(dpid) != name]:
            member.leaving += member.at.pop(dpid)
            member.unread.discard(dpid)
        for dpid, owner in owners.items():
            if owner == name and dpid not in member.at:
                member.at[dpid] = []
                if self.live[dpid] or member.division._me:
                    member.unread.add(dpid)
        self._sends(name, member.division.changed(name, frozenset(there - {name}), owners, self.live))
        for other in sorted(self.members):
            if other != name and self._are_joined(name, other):
                self._joins(name, other)

    def _are_joined(self, a: str, b: str) -> bool:
        return a in self.members and b in self.members and a != b and frozenset((a, b)) not in self.cut

    def _joins(self, a: str, b: str) -> None:
        for one, other in ((a, b), (b, a)):
            member = self.members[one]
            if other not in member.reached and other in member.division._members:
                member.reached.add(other)
                self.posts[one, other] = deque()
                version = min(self.versions.get(name, VERSION) for name in (one, other))
                self._sends(one, member.division.up(other, version))

    def _parts(self, a: str, b: str) -> None:
        for one, other in ((a, b), (b, a)):
            self.posts.pop((one, other), None)
            if one in self.members:
                self.members[one].reached.discard(other)
                self.members[one].division.lost(other)

    def reads(self, name: str, dpid: int) -> None:
        """A controller reads the sessions that a switch holds."""
        member = self.members[name]
        member.unread.discard(dpid)
        if self.masters.get(dpid) != name:
            return
        counted, lives = Counter(member.at[dpid]), Counter(self.live[dpid])
        for who in (lives - counted).elements():
            member.ledger.take(KEYS[who])
        for who in (counted - lives).elements():
            member.ledger.give_back(KEYS[who])
        member.at[dpid] = list(self.live[dpid])

    def forgets(self, name: str, some: int) -> None:
        """A controller forgets some of the sessions of switches that it gave up."""
        member = self.members[name]
        with member.ledger.giving_up():
            for who in member.leaving[:some]:
                member.ledger.give_back(KEYS[who])
        del member.leaving[:some]

    def ticks(self, name: str) -> None:
        member = self.members[name]
        member.now += 1.0
        if member.reached:
            self._sends(name, [TellPeer("", wish) for wish in member.ledger.wishes(member.now)])
        self._sends(name, member.division.look())

    def begins(self, dpid: int, who: str) -> bool:
        """A session begins at a switch, if the controller that the switch obeys has room. Returns whether it began."""
        member = self.members.get(self.masters.get(dpid, ""))
        if member is None or dpid not in member.at or member.ledger.full(self.allowed, KEYS[who]) is not None:
            return False
        member.ledger.take(KEYS[who])
        member.at[dpid].append(who)
        self.live[dpid].append(who)
        return True

    def ends(self, dpid: int) -> None:
        """The oldest session at a switch ends."""
        if not self.live[dpid]:
            return
        who = self.live[dpid].pop(0)
        member = self.members.get(self.masters.get(dpid, ""))
        if member is not None and who in member.at.get(dpid, []):
            member.at[dpid].remove(who)
            member.ledger.give_back(KEYS[who])

    def takes(self, name: str, dpid: int) -> None:
        """A switch obeys another controller from now on. The former owner and the others do not know it yet."""
        self.masters[dpid] = name
        if dpid in self.members[name].at:
            self.members[name].unread.add(
                dpid
            )  # it had the switch before, and does not know the sessions that began since

    def comes(self, name: str) -> None:
        """A controller starts. It has to read its switches first."""
        if name not in self.members:
            self.members[name] = Member(name, self.most)
            self.hears(name)

    def dies(self, name: str) -> None:
        """A controller dies. Its switches obey nobody until another one takes them."""
        if name in self.members and len(self.members) > 1:
            for other in sorted(self.members):
                self._parts(name, other)
            del self.members[name]

    def parts(self, group: Iterable[str]) -> None:
        """Cut all streams between the controllers of a group and all others."""
        group = set(group)
        for a in group:
            for b in self.members.keys() - group:
                self.cut.add(frozenset((a, b)))
                self._parts(a, b)

    def heals(self) -> None:
        """Let all streams through again, and give each switch without a controller to one."""
        self.cut.clear()
        names = sorted(self.members)
        for dpid, master in self.masters.items():
            if master not in self.members:
                self.takes(names[dpid % len(names)], dpid)
        self.settle()

    def total(self, who: str) -> int:
        return sum(some.count(who) for some in self.live.values())
