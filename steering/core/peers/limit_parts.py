"""One set of limits for several controllers: each has a part of a limit, and all parts together are the limit.

A controller that comes near its part asks the others, and each gives half of what it does not use. What is given is taken off
before it leaves, and added when it has arrived; what is lost on the way is lost. So all controllers together never let more
begin than the limit says, whoever hears whom (escrow, O'Neil 1986). In a partition each side has what it had.
"""

from collections.abc import Container, Iterable

from steering.core.selection.quotas import LIMITED, Allowance, Ledger, QuotaKeys, full_limit
from steering.model.limit import FullLimit
from steering.wire.peer_messages import LimitGift, LimitWish

LOW = 8  # a part with less than an eighth left is to grow
SHIFTED = 65_536  # keys whose part is another than at the beginning
ASKED_AGAIN = 0.5  # seconds between two wishes for one key

QuotaKey = tuple[int, bytes | str | int]  # place in LIMITED, and key
# The same and its limit: what is said of another limit shifts no part of this one.
PartKey = tuple[int, bytes | str | int, int]


class SharedLedger(Ledger):
    """A ledger whose limits are this controller's parts."""

    def __init__(self) -> None:
        super().__init__()
        self._members: tuple[str, ...] = ("",)
        self._me = ""
        self._shifts: dict[PartKey, int] = {}  # what was given to here, less what was given away
        self._wanted: dict[QuotaKey, int] = {}  # limits of keys whose part is to grow
        self._asked: dict[QuotaKey, float] = {}
        # Those of the policy; None while it is the one of the start, before which there was none to come back.
        self._limits: Container[tuple[int, int]] | None = None

    def share(self, me: str, members: Iterable[str]) -> None:
        """Who has parts from now on: those at the beginning again, which are the same wherever they are computed."""
        self._me, self._members = me, tuple(sorted(members))
        self._shifts.clear()
        self._wanted.clear()

    def keep(self, limits: Container[tuple[int, int]]) -> None:
        """The policy has these limits from now on: place in LIMITED, and how many. What was given of any other one is dropped: it would
        take room for ever, and a policy that has that limit again later begins with whole parts. What was given of a limit that
        stays counts on, as controllers do not change their policy in the same moment. What is under way of any other one is passed over when
        it comes: else it would count where a later policy has that limit again, and whoever gave it has whole parts again by then."""
        self._limits = limits
        self._shifts = {key: by for key, by in self._shifts.items() if (key[0], key[2]) in limits}
        self._wanted = {key: most for key, most in self._wanted.items() if (key[0], most) in limits}

    def part(self, place: int, key: bytes | str | int, most: int) -> int:
        """How many sessions here may count towards a key whose limit is `most`."""
        members = self._members
        base, left = divmod(most, len(members))
        return base + (members.index(self._me) < left) + self._shifts.get((place, key, most), 0)

    def full(self, allowed: Allowance, keys: QuotaKeys) -> FullLimit | None:
        """The first key with no room for one more here. A key that is nearly full is noted, to be asked for."""
        for place, limit in allowed.limited:
            key = keys[place]
            count, part = self.count(place, key), self.part(place, key, limit.most)
            if count + 1 >= part - part // LOW and len(self._wanted) < SHIFTED:
                self._wanted[place, key] = limit.most
            if count >= part:
                return full_limit(place, key, limit)
        return None

    def wishes(self, now: float) -> list[LimitWish]:
        """What the others are to be asked for."""
        found = []
        wanted, self._wanted = self._wanted, {}
        self._asked = {key: at for key, at in self._asked.items() if at + ASKED_AGAIN > now}
        for (place, key), most in wanted.items():
            if (place, key) not in self._asked:
                self._asked[place, key] = now
                found.append(LimitWish(place, key, most))
        return found

    def asked(self, wish: LimitWish) -> LimitGift | None:
        """What is given to another controller; None if there is nothing to give."""
        key = (wish.place, wish.key, wish.most)
        if not self._may_shift(key):
            return None
        unused = self.part(*key) - self.count(*key[:2])
        if unused <= 0:
            return None
        given = (unused + 1) // 2
        self._shift(key, -given)
        return LimitGift(wish.place, wish.key, wish.most, given)

    def given(self, gift: LimitGift) -> None:
        """Another controller gave this. No part is ever larger than its limit."""
        key = (gift.place, gift.key, gift.most)
        if self._may_shift(key) and self.part(*key) + gift.sessions <= gift.most:
            self._shift(key, gift.sessions)

    def _may_shift(self, key: PartKey) -> bool:
        """Whether the part of a key may change: its limit is one of the policy, and there is room to remember it."""
        place, _, most = key
        if place >= len(LIMITED) or (self._limits is not None and (place, most) not in self._limits):
            return False
        return key in self._shifts or len(self._shifts) < SHIFTED

    def _shift(self, key: PartKey, by: int) -> None:
        shift = self._shifts.pop(key, 0) + by
        if shift:
            self._shifts[key] = shift
