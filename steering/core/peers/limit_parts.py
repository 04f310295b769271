"""Shares limits between several controllers: each controller has a part of a limit, and the sum of the parts is the limit.

A controller that has nearly used up its part asks the others. Each of them gives half of what it does not use. The giver
subtracts the gift before sending it, and the receiver adds it on arrival. A gift that is lost on the way is lost. Thus all
controllers together never admit more sessions than the limit, whatever messages are lost (escrow, O'Neil 1986). In a
partition each controller keeps its part.
"""

from collections.abc import Container, Iterable

from steering.core.selection.quotas import LIMITED, Allowance, Ledger, QuotaKeys, full_limit
from steering.model.limit import FullLimit
from steering.wire.peer_messages import LimitGift, LimitWish

LOW = 8  # more is asked for when less than an eighth of a part is left
SHIFTED = 65_536  # most keys whose part differs from the even share
ASKED_AGAIN = 0.5  # least seconds between two wishes for one key

QuotaKey = tuple[int, bytes | str | int]  # index in LIMITED, and key
# The same with the limit, because a gift for another limit must not change this part.
PartKey = tuple[int, bytes | str | int, int]


class SharedLedger(Ledger):
    """A ledger whose limits are this controller's parts of the policy's limits."""

    def __init__(self) -> None:
        super().__init__()
        self._members: tuple[str, ...] = ("",)
        self._me = ""
        self._shifts: dict[PartKey, int] = {}  # sessions received from others, minus sessions given to others
        self._wanted: dict[QuotaKey, int] = {}  # keys for which more is wanted, and their limits
        self._asked: dict[QuotaKey, float] = {}  # when others were asked last
        # The limits of the policy. None until the policy is replaced for the first time: any limit may be shifted.
        self._limits: Container[tuple[int, int]] | None = None

    def share(self, me: str, members: Iterable[str]) -> None:
        """The controllers that have parts from now on. All parts are even shares again, which every controller computes
        alike."""
        self._me, self._members = me, tuple(sorted(members))
        self._shifts.clear()
        self._wanted.clear()

    def keep(self, limits: Container[tuple[int, int]]) -> None:
        """A new policy has these limits: index in LIMITED, and most sessions.

        Gifts of a limit that stays are kept, because controllers do not change their policy in the same moment. Gifts of
        any other limit are dropped. They would take memory for ever, and a later policy that has the limit again begins with
        even shares. For the same reason a gift that arrives later for such a limit is ignored (`_may_shift`): its giver has
        an even share again.
        """
        self._limits = limits
        self._shifts = {key: by for key, by in self._shifts.items() if (key[0], key[2]) in limits}
        self._wanted = {key: most for key, most in self._wanted.items() if (key[0], most) in limits}

    def part(self, place: int, key: bytes | str | int, most: int) -> int:
        """This controller's part, in sessions, for a key whose limit is `most`."""
        members = self._members
        base, left = divmod(most, len(members))
        return base + (members.index(self._me) < left) + self._shifts.get((place, key, most), 0)

    def full(self, allowed: Allowance, keys: QuotaKeys) -> FullLimit | None:
        """The limit of the first key whose part has no room for one more session, else None. For a key whose part is nearly
        full, the other controllers will be asked (`wishes`)."""
        for place, limit in allowed.limited:
            key = keys[place]
            count, part = self.count(place, key), self.part(place, key, limit.most)
            if count + 1 >= part - part // LOW and len(self._wanted) < SHIFTED:
                self._wanted[place, key] = limit.most
            if count >= part:
                return full_limit(place, key, limit)
        return None

    def wishes(self, now: float) -> list[LimitWish]:
        """The messages that ask the other controllers for more. `now`: seconds."""
        found = []
        wanted, self._wanted = self._wanted, {}
        self._asked = {key: at for key, at in self._asked.items() if at + ASKED_AGAIN > now}
        for (place, key), most in wanted.items():
            if (place, key) not in self._asked:
                self._asked[place, key] = now
                found.append(LimitWish(place, key, most))
        return found

    def asked(self, wish: LimitWish) -> LimitGift | None:
        """The gift that answers another controller's wish, None if there is nothing to give."""
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
        """Add another controller's gift, unless the part would become larger than the limit."""
        key = (gift.place, gift.key, gift.most)
        if self._may_shift(key) and self.part(*key) + gift.sessions <= gift.most:
            self._shift(key, gift.sessions)

    def _may_shift(self, key: PartKey) -> bool:
        """Whether the part of a key may change: the policy has its limit, and there is room to record the change."""
        place, _, most = key
        if place >= len(LIMITED) or (self._limits is not None and (place, most) not in self._limits):
            return False
        return key in self._shifts or len(self._shifts) < SHIFTED

    def _shift(self, key: PartKey, by: int) -> None:
        shift = self._shifts.pop(key, 0) + by
        if shift:
            self._shifts[key] = shift
