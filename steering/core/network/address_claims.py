"""Addresses that somebody claims at another place than where they are known: the old place is asked first.

ARP and neighbour discovery prove nothing, so a host could take another's traffic by one claim. An address that
still answers where it is keeps its place. One that is silent there has moved, or is gone, and the claim is believed.
Bounded: claims open in all and at one port; a claim that was refused is not looked at again for a moment.
"""

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import NamedTuple

from steering.core.network.lease import Lease
from steering.core.outputs import Output
from steering.model.ids import WaypointId
from steering.model.network import Attachment

PATIENCE = 0.6  # seconds that the old place has to answer: a move that is real stays well below a second
ASK_AGAIN = 0.2  # seconds between two questions to the old place
CLAIMS = 1024  # open at once
CLAIMS_EACH = 32  # of those at one port, so that one port does not take another's share
REFUSED_FOR = 0.5  # seconds in which a refused claim is not looked at again
REMEMBERED = 4096  # refused claims that are remembered


@dataclass(slots=True)
class Claim:
    """An address, the place and MAC that it is claimed for, and when that is believed.

    `claimant` is None where nobody claims the address: its place has to prove that it still has it, since
    others wait for its room. `lease`: what the network's DHCP server gave the claimant, if that is why it claims the address,
    and `told`: the server's answer, which the claimant gets when the claim is believed; `declined`: what the server gets when it
    is refuted.
    """

    address: bytes
    old: WaypointId
    claimant: Attachment | None
    mac: bytes
    deadline: float
    next_question: float
    lease: Lease | None
    told: tuple[Output, ...]
    declined: tuple[Output, ...]


class ClaimOutcome(Enum):
    """What became of a claim of an address by ARP or ND."""

    KNOWN = 0  # nothing new
    BOUND = 1  # known there from now on, and nowhere before
    MOVED = 2  # known there from now on, and no more where it was
    CONTESTED = 3  # known elsewhere: the address's old place is asked
    KEPT = 4  # it answered where it is, though somebody claimed it elsewhere
    REFUSED = 5  # not believed


class HeardClaim(NamedTuple):
    """What became of a claim, and the outputs to send whatever the outcome is."""

    standing: ClaimOutcome
    outputs: list[Output]


class AddressClaims:
    """The open claims. Time is an argument. The neighbour table sends the questions and acts on the answers."""

    def __init__(self) -> None:
        self._open: dict[bytes, Claim] = {}
        self._at: Counter[int] = Counter()  # waypoint of the claimant (0: none) -> its open claims
        self._refused: dict[tuple[bytes, int], float] = {}  # address and claimant's waypoint -> until when

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, address: bytes) -> bool:
        return address in self._open

    @property
    def due_at(self) -> float:
        """The time at which `due` has something to tell; infinity while no claim is open."""
        return min((min(c.deadline, c.next_question) for c in self._open.values()), default=inf)

    def open(
        self,
        address: bytes,
        old: WaypointId,
        claimant: Attachment | None,
        mac: bytes,
        now: float,
        lease: Lease | None = None,
        told: tuple[Output, ...] = (),
        declined: tuple[Output, ...] = (),
    ) -> bool:
        """Whether this opened a new claim, so that the address's old place has to be asked now. A claim that is
        open already, a claim that was refused a moment ago, and one beyond the bounds are not opened."""
        place = 0 if claimant is None else claimant.waypoint.id
        if address in self._open or len(self._open) >= CLAIMS or self._at[place] >= CLAIMS_EACH:
            return False
        if self._refused.get((address, place), 0.0) > now:
            return False
        deadline, next_question = now + PATIENCE, now + ASK_AGAIN
        self._open[address] = Claim(
            address, old, claimant, mac, deadline, next_question, lease, told, declined
        )
        self._at[place] += 1
        return True

    def answered(self, address: bytes, now: float) -> Claim | None:
        """The old place answered: the claim that this refutes, if one is open."""
        claim = self._close(address)
        if claim is not None and claim.claimant is not None:
            if len(self._refused) >= REMEMBERED:
                self._refused = {key: until for key, until in self._refused.items() if until > now}
            if len(self._refused) < REMEMBERED:
                self._refused[address, claim.claimant.waypoint.id] = now + REFUSED_FOR
        return claim

    def withdraw(self, address: bytes) -> None:
        """It is settled otherwise who has the address."""
        self._close(address)

    def end_of(self, claimant: WaypointId) -> None:
        """Whatever is claimed for a port is nobody's claim any more: the port has no carrier."""
        if self._at[claimant]:
            places = (
                (a, None if c.claimant is None else c.claimant.waypoint.id) for a, c in self._open.items()
            )
            for address in [address for address, place in places if place == claimant]:
                self._close(address)

    def left(self, address: bytes) -> None:
        """The address is no longer known anywhere, so its old place need not be asked. Whom the DHCP server gave it
        to has it at once, since he would not ask again. Any other claim is withdrawn."""
        claim = self._open.get(address)
        if claim is None or claim.lease is None:
            self._close(address)
        else:
            claim.deadline = 0.0

    def due(self, now: float) -> tuple[list[Claim], list[Claim]]:
        """Two lists: claims whose old place stayed silent, which are closed by this call; and claims whose old
        place has to be asked again."""
        silent = [claim for claim in self._open.values() if claim.deadline <= now]
        for claim in silent:
            self._close(claim.address)
        again = [claim for claim in self._open.values() if claim.next_question <= now]
        for claim in again:
            claim.next_question = now + ASK_AGAIN
        return silent, again

    def _close(self, address: bytes) -> Claim | None:
        claim = self._open.pop(address, None)
        if claim is not None:
            place = 0 if claim.claimant is None else claim.claimant.waypoint.id
            self._at[place] -= 1
            if not self._at[place]:
                del self._at[place]
        return claim
