"""Assigns shares to members: a pure function of the members, their capacities, and the present assignment.

An owner stays as long as it is there and does not drain, since a new owner has to read the switches' entries back. Where an
owner goes, its first standby follows, which already has a generation. Where loads differ by more than one share, shares move
from the most loaded member to the one that would be least loaded with them. A controller that reaches no switch of a share
does not own the share if another member reaches some, and never gets the share to level the load. A member that is there but not heard
keeps its shares and gets no more. Until it is heard, or left out (unheard_members), no share moves only to level the load.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import product
from string import ascii_lowercase
from typing import NamedTuple

from steering.cluster.cell import ALL
from steering.model.cluster import MOST_STANDBYS, ClusterMember, Grant, ShareAssignment, ShareMove
from steering.model.ids import DatapathId

Assignments = Mapping[str, ShareAssignment]
NOBODY: Mapping[str, Collection[str]] = {}


def share_name(number: int) -> str:
    return f"s{number:04}"


def share_names(shares: int) -> tuple[str, ...]:
    return tuple(map(share_name, range(shares)))


@lru_cache(maxsize=65_536)  # called for all switches ten times a second while some of them are away
def share_of(dpid: DatapathId, shares: int) -> str:
    """The share of a switch, by a hash that is the same at every controller and after every start."""
    digest = hashlib.sha256(dpid.to_bytes(8, "big")).digest()
    return share_name(int.from_bytes(digest[:8], "big") % shares)


def _rank(share: str, controller: str) -> bytes:
    """Rendezvous hash of a share and a controller: the lowest one is the first choice."""
    return hashlib.sha256(f"{share}@{controller}".encode()).digest()


def worker_names(workers: int) -> tuple[str, ...]:
    """Names of controllers on one machine that have one share each: w1, w2 and so on, some with letters behind.

    The owner of the first share takes the operator's orders. The names are chosen by their ranks so that the first controller always gets
    the first share while it is there: the first share is the first choice of this controller, and the last choice of all others.
    """
    first, *others = share_names(workers)

    def fits(name: str, is_first: bool) -> bool:
        own = _rank(first, name)
        return all((own < _rank(one, name)) is is_first for one in others)

    return tuple(
        next(name for name in _spellings(f"w{number}") if fits(name, number == 1))
        for number in range(1, workers + 1)
    )


def _spellings(word: str) -> Iterator[str]:
    """A word, and the same word with letters behind."""
    for length in range(4):
        yield from (word + "".join(letters) for letters in product(ascii_lowercase, repeat=length))


class WantedShare(NamedTuple):
    """The controllers of a share, without generations."""

    owner: str
    standbys: tuple[str, ...]


class Allotment:
    """One assignment of shares to members. `members`: those that are there. `now`: the present assignment, in which controllers
    may be named that are gone. `blind`: member -> the shares of which it reaches no switch; ALL: of all. `unheard`: members that
    are there but not heard. `left_out`: the unheard members that do not count when the load is levelled."""

    def __init__(
        self,
        members: Iterable[ClusterMember],
        shares: Collection[str],
        now: Assignments,
        blind: Mapping[str, Collection[str]] = NOBODY,
        unheard: Collection[str] = (),
        left_out: Collection[str] = (),
    ) -> None:
        everyone = {member.id: member for member in members}
        able = {name: member for name, member in everyone.items() if not member.draining}
        self._candidates = able or everyone
        self._shares = sorted(shares)
        self._now = now
        self._blind = blind
        self._unheard = unheard
        self._left_out = left_out

    def wanted(self, moves: int = 1) -> dict[str, WantedShare]:
        """The wanted owner and standbys of each share; empty where no member is there. `moves`: the most shares that move only
        to level the load."""
        if not self._candidates:
            return {}
        owners = self._staying()
        self._give_away(owners)
        self._level(owners, moves)
        return {
            share: WantedShare(owners[share], self._standbys(share, owners[share])) for share in self._shares
        }

    def moves(self) -> list[ShareMove]:
        """All moves until the load is level, in their order, if no member comes or goes. No share moves twice."""
        owners = self._staying()
        return self._level(owners, len(self._shares)) if owners else []

    def loads(self) -> dict[str, int]:
        """The present number of shares of each member that may have shares."""
        held = [one.owner.controller for one in self._now.values()]
        return {name: held.count(name) for name in sorted(self._candidates)}

    def _staying(self) -> dict[str, str]:
        """Share -> its owner, or the first standby where the owner is gone or drains."""
        owners = {}
        for share in self._shares:
            known = self._now.get(share)
            line = () if known is None else (known.owner, *known.standbys)
            able = self._able(share)
            heir = next((one.controller for one in line if one.controller in able), None)
            if heir is not None:
                owners[share] = heir
        return owners

    def _able(self, share: str) -> Collection[str]:
        """The candidates that reach switches of a share. If none does, the switches are off, and all candidates are returned."""
        found = self._reaching(share)
        return found or self._candidates

    def _reaching(self, share: str) -> Collection[str]:
        """The candidates that reach switches of a share, perhaps none."""
        if not self._blind:
            return self._candidates
        return [one for one in self._candidates if not {share, ALL}.intersection(self._blind.get(one, ()))]

    def _give_away(self, owners: dict[str, str]) -> None:
        """Give each share without an owner to the least loaded member."""
        for share in self._shares:
            if share not in owners:
                loads, able = self._loads(owners), self._able(share)
                takers = [one for one in able if one not in self._unheard] or able
                owners[share] = min(takers, key=lambda one: (loads[one], _rank(share, one)))

    def _level(self, owners: dict[str, str], most_moves: int) -> list[ShareMove]:
        moves: list[ShareMove] = []
        if set(self._unheard).difference(self._left_out):
            return moves  # members that are not heard may not hear this one, and would move the share back
        while len(moves) < most_moves and (move := self._move(owners)) is not None:
            owners[move.share] = move.taker
            moves.append(move)
        return moves

    def _move(self, owners: Mapping[str, str]) -> ShareMove | None:
        """The next move that levels the load, from the most loaded member that has a share which another member can take. None if the
        load is level."""
        loads, then = self._levelled(owners), self._levelled(owners, more=1)
        for giver in sorted(loads, key=lambda one: (loads[one], one), reverse=True):
            # Loads are compared with one share more. The least loaded member could be the most loaded one with the share, and move it on.
            found = self._least(then, [share for share, owner in owners.items() if owner == giver])
            if found is not None and then[found[1]] < loads[giver]:
                return ShareMove(found[0], giver, found[1])
        return None

    def _least(self, then: Mapping[str, float], some: list[str]) -> tuple[str, str] | None:
        """One of some shares, and the member that takes it: of the members that reach switches of the share, the one that would have
        the least load with it. None if no member reaches switches of any of the shares. These switches are off or have not connected
        yet, and their share would move once more as soon as one member reaches them."""
        for taker in sorted(then, key=lambda one: (then[one], one)):
            fit = [share for share in some if taker in self._reaching(share)]
            if fit:
                return min(fit, key=lambda one: _rank(one, taker)), taker
        return None

    def _standbys(self, share: str, owner: str) -> tuple[str, ...]:
        """The standbys of a share: first its previous owner, if it is there, then its present standbys, then others by rank. Those
        that reach no switch of it come last."""
        known = self._now.get(share)
        line = [] if known is None else [one.controller for one in (known.owner, *known.standbys)]
        rest = sorted(self._candidates, key=lambda one: _rank(share, one))
        found = dict.fromkeys(one for one in (*line, *rest) if one in self._candidates and one != owner)
        able = self._able(share)
        return tuple(sorted(found, key=lambda one: one not in able))[:MOST_STANDBYS]

    def _levelled(self, owners: Mapping[str, str], more: int = 0) -> dict[str, float]:
        """The loads of the members among which the load is levelled."""
        loads = self._loads(owners, more)
        return {name: load for name, load in loads.items() if name not in self._left_out}

    def _loads(self, owners: Mapping[str, str], more: int = 0) -> dict[str, float]:
        """The number of shares of each candidate divided by its capacity. `more`: shares added to each number."""
        held = dict.fromkeys(self._candidates, more)
        for owner in owners.values():
            held[owner] += 1
        return {name: count / self._capacity(name) for name, count in held.items()}

    def _capacity(self, controller: str) -> int:
        return max(1, self._candidates[controller].capacity)


def granted(wanted: WantedShare, known: ShareAssignment | None, last: int) -> tuple[ShareAssignment, int]:
    """The assignment of a share with generations, and the last generation granted with it. `last`: the last generation granted
    before, for any share.

    A controller keeps its grant of this share where it can, in whatever role: a standby that takes over uses it. An owner
    that becomes a standby needs a new generation, so that it can take over from its successor.
    """
    line: list[Grant] = []
    for controller in (wanted.owner, *wanted.standbys):
        had = None if known is None else known.grant_of(controller)
        # An owner needs a newer generation than the former owner, unless it is the same controller. A standby needs a newer one than its owner.
        if line:
            serves = had is not None and had.generation > line[0].generation
        else:
            serves = had is not None and known is not None and had.generation >= known.owner.generation
        if had is None or not serves:
            last += 1
            had = Grant(controller, last)
        line.append(had)
    return ShareAssignment(line[0], tuple(line[1:])), last


def claimed(known: ShareAssignment, controller: str) -> ShareAssignment | None:
    """The assignment after a standby has taken a share over with its own generation; None for a controller without a grant.
    Controllers before it in the line are left out: they are gone, or get a new generation when they are back. So are
    standbys behind it with an older generation, since switches would refuse them: the order of the line need not be the
    order of generations."""
    line = (known.owner, *known.standbys)
    place = next((n for n, one in enumerate(line) if one.controller == controller), None)
    if place is None:
        return None
    owner = line[place]
    return ShareAssignment(
        owner, tuple(one for one in line[place + 1 :] if one.generation > owner.generation)
    )
