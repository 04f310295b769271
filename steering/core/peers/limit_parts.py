"""Shares limits between several controllers: each controller has a part of a limit, and the sum of the parts is the limit.

A controller that has nearly used up its part asks the others. Each of them gives half of what it does not use. The giver
subtracts the gift before sending it, and the receiver adds it on arrival. A gift that is lost on the way is lost until limits
are divided anew (limit_division). Thus all controllers together never admit more sessions than the limit, whatever messages are
lost (escrow, O'Neil 1986). In a partition each controller keeps its part.

A controller may have more sessions of a key than its part, because it took sessions over with a switch, or because it had been given
more before limits were divided anew. It tells the others of this excess, and each of them subtracts the whole excess from its own part.
With three or more controllers, that is more than necessary. It ends when the others, asked for more, have given the excess away.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from steering.core.selection.quotas import LIMITED, Allowance, Ledger, QuotaKeys, full_limit
from steering.model.limit import FullLimit
from steering.wire.peer_messages import LimitExcess, LimitGift, LimitWish

LOW = 8  # a controller asks for more when less than 1/LOW of its part is free
SHIFTED = 65_536  # most keys whose part was changed by gifts, and most excesses that are remembered
ASKED_AGAIN = 0.5  # seconds between two wishes for one key
PORTION = 512  # most excesses that one call examines, and most keys that are asked for after a division
SCANNED = 40_000  # keys after which one call ends its search for excess

QuotaKey = tuple[int, bytes | str | int]  # index in LIMITED, and key
# Index in LIMITED, key, and the limit. With the limit, because a gift for another limit must not change this part.
PartKey = tuple[int, bytes | str | int, int]


class SharedLedger(Ledger):
    """A ledger whose limits are this controller's parts. `most`: sessions.

    `is_divided`: the last division is complete, so that gifts are possible. `is_sure`: a session for which there is no room here is
    refused. It is False for a moment while limits are being divided (limit_division): then there may be room soon.
    """

    def __init__(self, most: int = 1) -> None:
        super().__init__(most)
        # Of each division that counts: the number of controllers with a part, and this controller's place among them. While several
        # divisions count, the part is the least of those that they give.
        self._divisions: list[tuple[int, int]] = [(1, 0)]
        self.is_divided = True
        self._shifts: dict[
            PartKey, int
        ] = {}  # sessions that were given to this controller, less those that it gave away
        self._wanted: dict[QuotaKey, int] = {}  # keys for which more will be asked -> limit
        self._asked: dict[QuotaKey, float] = {}  # keys for which more was asked -> when, seconds
        # The limits of the policy: index in LIMITED, and limit. None until the first policy was told.
        self._limits: Collection[tuple[int, int]] | None = None
        self._places: Collection[int] = range(len(LIMITED))  # indexes in LIMITED that have limits
        # Sessions that went to another controller with a switch, and may not be counted there yet.
        self._leaving: dict[QuotaKey, int] = {}
        self._is_giving_up = False
        self.tells = False  # whether excess is told to the others
        self._excess: dict[PartKey, int] = {}  # this controller's excess, as the others were told
        self._over: dict[PartKey, None] = {}  # keys whose excess may have changed since it was told
        self._read: dict[QuotaKey, None] = {}  # keys of sessions that were read from switches meanwhile
        self._scan: Iterator[int] | None = None  # searches all counts for excess, and fills `_over`
        self._round: list[PartKey] = []  # keys of `_excess` that are still to be examined in this round
        self._is_too_much = False  # there is more excess than others remember, so some was not told
        self._others: dict[str, dict[PartKey, int]] = {}  # the excess of each other controller
        # Controllers that are telling all of their excess: what they have told so far. It replaces the old one at the end.
        self._new: dict[str, dict[PartKey, int]] = {}

    # ---- divisions; called by limit_division only ----------------------------------------------------

    def begin(self, members: Collection[str], me: str) -> None:
        """A division among `members` begins. From now on this controller's part is at most the part that this division gives. Gifts
        that were received are dropped."""
        place = len(members), sorted(members).index(me)
        if self._divisions and place not in self._divisions:
            self._divisions.append(place)
        self.is_divided = self.tells = False
        self._shifts = {key: by for key, by in self._shifts.items() if by < 0}
        self._wanted.clear()

    def nothing(self) -> None:
        """This controller has no part until a division is complete."""
        self._divisions = []

    def complete(self, members: Collection[str], me: str) -> None:
        """All members have begun this division and told their excess. If this controller has excess, it asks the others for more at
        once."""
        self._divisions = [(len(members), sorted(members).index(me))]
        self.is_divided = self.is_sure = True
        self._shifts.clear()
        self._leaving.clear()
        for name in self._others.keys() - members:
            del self._others[name]
        for name in self._new.keys() - members:
            del self._new[name]
        for place, key, most in [*self._excess][:PORTION]:
            self._wanted[place, key] = most
        self._round = [*self._excess]  # sessions that went with a switch do not count any more

    @contextmanager
    def giving_up(self) -> Iterator[None]:
        """In this context, sessions that end here live on at another controller. That controller may not count them yet, so they
        still count here until the next division is complete."""
        self._is_giving_up = True
        try:
            yield
        finally:
            self._is_giving_up = False

    def give_back(self, keys: QuotaKeys) -> None:
        super().give_back(keys)
        if self._is_giving_up:
            for place in self._places:
                key = place, keys[place]
                self._leaving[key] = self._leaving.get(key, 0) + 1

    def found(self, keys: QuotaKeys) -> None:
        """A session was read from a switch. It counts even if the part has no room for it. Then the excess is told later."""
        self.take(keys)
        if self.tells and self._limits:
            self._read.update(((place, keys[place]), None) for place in self._places)

    # ---- what is beyond parts ------------------------------------------------------------------------

    def tell_all_excess(self) -> None:
        """Have the next calls of `excess_to_tell` return all excess anew."""
        self._excess.clear()
        self._round.clear()
        self._look_through()

    def _look_through(self) -> None:
        self._over.clear()
        self._read.clear()
        self.tells, self._is_too_much = True, False
        self._scan = self._beyond()

    def _beyond(self) -> Iterator[int]:
        """Searches all counts for keys with more sessions than their part, and puts these keys into `_over`. Yields after each portion
        the number of counts that were examined."""
        lost = min(0, min(self._shifts.values(), default=0))
        for place in range(len(LIMITED)):
            least = {
                most: self._own((place, "", most), lost) for at, most in self._limits or () if at == place
            }
            if not least:
                continue
            lowest = min(least.values())
            for number, beyond in self.above(place, lowest):
                for key, count in beyond:
                    self._over.update(
                        {(place, key, most): None for most, own in least.items() if count > own}
                    )
                yield number
            leaving = [key for at, key in self._leaving if at == place]
            for begin in range(0, len(leaving), PORTION):
                some = leaving[begin : begin + PORTION]
                self._over.update({(place, key, most): None for key in some for most in least})
                yield len(some)

    @property
    def is_told(self) -> bool:
        """Whether all excess was told: the search is over, and there is not more excess than others remember."""
        return self.tells and self._scan is None and not self._over and not self._is_too_much

    def excess_to_tell(self) -> list[LimitExcess]:
        """The changes of excess that the others have to be told now: a portion, if there are many."""
        if not self.tells:
            return []
        scanned = 0
        while self._scan is not None and scanned < SCANNED and len(self._over) < PORTION:
            number = next(self._scan, None)
            if number is None:
                self._scan = None
            scanned += number or 0
        return [one for key in self._next_looks() if (one := self._changed(key)) is not None]

    def _next_looks(self) -> list[PartKey]:
        """The keys whose excess is examined now: those in `_over`, and some of those that were told before. The latter may be late,
        because an excess that is told as too large does no harm."""
        while self._read and len(self._over) < PORTION:
            (place, name), _ = self._read.popitem()
            self._over.update({(at, name, most): None for at, most in self._limits or () if at == place})
        looks = [*self._over][:PORTION]
        for key in looks:
            del self._over[key]
        if not self._round and self._excess:
            if self._is_too_much and len(self._excess) < SHIFTED and self._scan is None:
                self._look_through()
            self._round = [*self._excess]
        again, self._round = self._round[-PORTION:], self._round[:-PORTION]
        return list(dict.fromkeys((*looks, *again)))

    def _changed(self, key: PartKey) -> LimitExcess | None:
        """The message about the excess of one key; None if the excess is as it was told."""
        place, name, most = key
        excess = 0
        if self._limits and (place, most) in self._limits:
            excess = max(0, self._used(place, name) - self._own(key, self._shifts.get(key, 0)))
        if excess == self._excess.get(key, 0):
            return None
        if not excess:
            del self._excess[key]
        elif key in self._excess or len(self._excess) < SHIFTED:
            self._excess[key] = excess
        else:
            self._is_too_much = True
            return None
        return LimitExcess(place, name, most, excess)

    def told(self) -> list[LimitExcess]:
        """All excess that the others were told, as messages."""
        return [LimitExcess(*key, excess) for key, excess in self._excess.items()] if self.tells else []

    def forget_excess(self, name: str) -> None:
        """Another controller begins to tell all of its excess anew. What it told before counts until it has told all."""
        self._new[name] = {}

    def told_excess(self, name: str, told: LimitExcess) -> None:
        """Another controller tells its excess of one key."""
        key = (told.place, told.key, told.most)
        for known in (self._others.setdefault(name, {}), self._new.get(name, {})):
            known.pop(key, None)
            if told.sessions and len(known) < SHIFTED and told.place < len(LIMITED):
                known[key] = min(told.sessions, told.most)

    def told_all_excess(self, name: str) -> None:
        """Another controller has told all of its excess."""
        self._others[name] = dict(self._new.pop(name, self._others.get(name, {})))

    # ---- parts ---------------------------------------------------------------------------------------

    def keep(self, limits: Collection[tuple[int, int]]) -> None:
        """The policy has these limits from now on: pairs of index in LIMITED and limit.

        Gifts of a limit that stays still count, because controllers do not change their policy at the same moment. Gifts of any other
        limit are dropped: they would take room for ever. If a later policy has such a limit again, all parts are whole again. Therefore
        a gift of such a limit that arrives later is ignored.
        """
        new = set(limits) - set(self._limits or ())
        self._limits = limits
        self._places = sorted({place for place, _ in limits})
        self._shifts = {key: by for key, by in self._shifts.items() if (key[0], key[2]) in limits}
        self._wanted = {key: most for key, most in self._wanted.items() if (key[0], most) in limits}
        if self.tells and new:
            self._look_through()  # the others were not told the excess of the new limits

    def _own(self, key: PartKey, shift: int) -> int:
        """The part that the divisions give, plus `shift`."""
        parts = []
        for members, at in self._divisions:
            base, left = divmod(key[2], members)
            parts.append(base + (at < left))
        return min(parts, default=0) + shift

    def part(self, place: int, key: bytes | str | int, most: int) -> int:
        """How many sessions of this controller may count towards a key whose limit is `most`."""
        at = (place, key, most)
        part = self._own(at, self._shifts.get(at, 0))
        for others in self._others.values():
            if others:
                part -= others.get(at, 0)
        return part

    def _used(self, place: int, key: bytes | str | int) -> int:
        used = self.count(place, key)
        return used + self._leaving.get((place, key), 0) if self._leaving else used

    def full(self, allowed: Allowance, keys: QuotaKeys) -> FullLimit | None:
        """The limit of the first key whose part has no room for one more session, else None. For a key whose part is nearly
        full, the other controllers will be asked (`wishes`)."""
        for place, limit in allowed.limited:
            key = keys[place]
            used, part = self._used(place, key), self.part(place, key, limit.most)
            if used + 1 >= part - part // LOW and self.is_divided and len(self._wanted) < SHIFTED:
                self._wanted[place, key] = limit.most
            if used >= part:
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

    def asked(self, wish: LimitWish, name: str = "") -> LimitGift | None:
        """The gift to controller `name`, which has asked for more; None if there is nothing to give. The gift is half of what is free
        here. It also covers that controller's excess, as far as the part allows, because the excess was subtracted from the part and
        cannot be used here."""
        key = (wish.place, wish.key, wish.most)
        if not self._may_shift(key):
            return None
        unused = self.part(*key) - self._used(*key[:2])
        beyond = self._others.get(name, {}).get(key, 0)
        given = min(beyond, unused + beyond) + max(0, unused + 1) // 2
        if given <= 0:
            return None
        self._shift(key, -given)
        return LimitGift(wish.place, wish.key, wish.most, given)

    def given(self, gift: LimitGift) -> None:
        """Add another controller's gift, unless the part would become larger than the limit."""
        key = (gift.place, gift.key, gift.most)
        if self._may_shift(key) and self._own(key, self._shifts.get(key, 0)) + gift.sessions <= gift.most:
            self._shift(key, gift.sessions)

    def _may_shift(self, key: PartKey) -> bool:
        """Whether the part of a key may change: the policy has its limit, and there is room to record the change."""
        place, _, most = key
        if place >= len(LIMITED) or (self._limits is not None and (place, most) not in self._limits):
            return False
        return self.is_divided and (key in self._shifts or len(self._shifts) < SHIFTED)

    def _shift(self, key: PartKey, by: int) -> None:
        shift = self._shifts.pop(key, 0) + by
        if shift:
            self._shifts[key] = shift
