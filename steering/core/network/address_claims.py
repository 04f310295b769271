"""Claims: a host says that an address is at another port than the port where the address is known.

ARP and neighbour discovery prove nothing: a host could take another host's traffic by one claim. So the old port is
asked first. If a host answers there, the claim is refused. If nobody answers, the host has moved or is gone, and the
claim is believed. The number of open claims is bounded, in all and for each port. A refused claim is not looked at
again for REFUSED_FOR seconds.
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

PATIENCE = 0.6  # seconds that the old port has to answer: a host that really moves waits less than a second
ASK_AGAIN = 0.2  # seconds between two questions to the old port
CLAIMS = 1024  # most open claims
CLAIMS_EACH = 32  # most open claims of one port
REFUSED_FOR = 0.5  # seconds in which a refused claim is not looked at again
REMEMBERED = 4096  # most refused claims that are remembered


@dataclass(slots=True)
class Claim:
    """A claim of an address. It is believed at `deadline` unless a host answers at the old port.

    * `old`: the waypoint where the address is known.
    * `claimant`, `mac`: the place and the MAC that the address is claimed for. `claimant` is None where nobody claims
      the address: another address needs room at its port, so the host has to prove that it still has this one.
    * `lease`: the DHCP lease of the claimant, if the claim comes from a lease.
    * `told`: the DHCP server's answer. The claimant gets it when the claim is believed.
    * `declined`: the message that the DHCP server gets when the claim is refused.
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
    BOUND = 1  # the address is known there now, and was known nowhere before
    MOVED = 2  # the address is known there now, and no longer at its old port
    CONTESTED = 3  # the address is known elsewhere: its old port is asked
    KEPT = 4  # the host answered at its old port: a claim for another port is refused
    REFUSED = 5  # the claim is not believed


class HeardClaim(NamedTuple):
    """What became of a claim, and the outputs to send whatever the outcome is."""

    standing: ClaimOutcome
    outputs: list[Output]


class AddressClaims:
    """The open claims. The neighbour table sends the questions and acts on the answers. Times are seconds of the
    engine's clock."""

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
        """The time at which `due` next returns something. Infinity while no claim is open."""
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
        """Open a claim. True if it was opened: then the caller has to ask the old port now. No claim is opened if one
        is open for this address, if the same claim was refused a moment ago, or if a bound is reached."""
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
        """A host answered at the old port. Closes the claim that is open for the address, and returns it."""
        claim = self._close(address)
        if claim is not None and claim.claimant is not None:
            if len(self._refused) >= REMEMBERED:
                self._refused = {key: until for key, until in self._refused.items() if until > now}
            if len(self._refused) < REMEMBERED:
                self._refused[address, claim.claimant.waypoint.id] = now + REFUSED_FOR
        return claim

    def withdraw(self, address: bytes) -> None:
        """Close the claim of an address: the address got its place in another way."""
        self._close(address)

    def end_of(self, claimant: WaypointId) -> None:
        """Close all claims for a port. The port lost carrier."""
        if self._at[claimant]:
            places = (
                (a, None if c.claimant is None else c.claimant.waypoint.id) for a, c in self._open.items()
            )
            for address in [address for address, place in places if place == claimant]:
                self._close(address)

    def left(self, address: bytes) -> None:
        """The address is no longer known anywhere, so its old port need not be asked. A claim with a lease is believed
        at once, since a DHCP client does not ask again. Any other claim is closed."""
        claim = self._open.get(address)
        if claim is None or claim.lease is None:
            self._close(address)
        else:
            claim.deadline = 0.0

    def due(self, now: float) -> tuple[list[Claim], list[Claim]]:
        """Two lists. The first has the claims whose old port stayed silent; this call closes them. The second has the
        claims whose old port has to be asked again."""
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
