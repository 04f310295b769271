"""Addresses whose hosts are asked for, and what waits for their answers.

Bounded for each port and in all. Where a port has no room its oldest question gives way: hosts that are there answer
within milliseconds, so that a scan of a whole prefix keeps nobody's question from its answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from steering.core.network.site_index import Attachment
from steering.core.outputs import Output
from steering.core.part import NEVER
from steering.model.ids import WaypointId
from steering.model.network import AccessNetwork, Gateway, Mcp

WAITING_EACH = 4  # packets kept for one address
PLACES_EACH = 4  # ports behind which one address is asked for
QUESTIONS = 1_024  # addresses asked for at once
QUESTIONS_EACH = 64  # of those behind one port
RETRY, TRIES = 1.0, 3

Ask = Callable[[Attachment, bytes], list[Output]]


@dataclass(slots=True)
class AddressQuery:
    """An address being asked for, and the packets that wait for it: `frames` to its host, `sent` by it, each with where.
    `waypoint`: whose share of questions it takes; `places`: behind which it is asked."""

    waypoint: WaypointId
    next_try: float
    tries: int = 1
    frames: list[bytes] = field(default_factory=list)
    sent: list[tuple[WaypointId, bytes]] = field(default_factory=list)
    places: list[WaypointId] = field(default_factory=list)


class AddressQueries:
    """The open questions. `ask` makes the frame that asks; an unknown waypoint's question is dropped."""

    def __init__(self, by_waypoint: Callable[[], Mapping[WaypointId, Attachment]], ask: Ask) -> None:
        self._by_waypoint = by_waypoint
        self._ask = ask
        self._open: dict[bytes, AddressQuery] = {}
        self._at: dict[WaypointId, dict[bytes, None]] = {}  # in order of age

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, address: bytes) -> bool:
        return address in self._open

    def wait(self, attachment: Attachment, address: bytes, now: float, **frame: bytes) -> list[Output]:
        """A packet waits for a host's answer: `to` the host, or sent `by` it. The host is asked behind every port where such
        a packet came, unless it was: packets to a host that moved still come to its old place, where nobody answers.
        """
        waypoint = attachment.waypoint.id
        query = self._open.get(address)
        if query is None:
            self._make_room(waypoint)
            query = self._open[address] = AddressQuery(waypoint, now + RETRY)
            self._at.setdefault(waypoint, {})[address] = None
        if len(query.frames) + len(query.sent) < WAITING_EACH:
            query.frames += [frame["to"]] if "to" in frame else []
            query.sent += [(waypoint, frame["by"])] if "by" in frame else []
        if waypoint in query.places or len(query.places) >= PLACES_EACH:
            return []
        query.places.append(waypoint)
        return self._ask(attachment, address)

    def _make_room(self, waypoint: WaypointId) -> None:
        here = self._at.get(waypoint, {})
        if len(here) >= QUESTIONS_EACH:
            self.take(next(iter(here)))
        elif len(self._open) >= QUESTIONS:
            most = max(self._at.values(), key=len)
            self.take(next(iter(most)))

    def take(self, address: bytes) -> AddressQuery | None:
        """The question about an address, which is closed by this."""
        query = self._open.pop(address, None)
        if query is not None:
            here = self._at[query.waypoint]
            del here[address]
            if not here:
                del self._at[query.waypoint]
        return query

    def due(self) -> float:
        """The time at which `again` has something to do."""
        return min((query.next_try for query in self._open.values()), default=NEVER)

    def again(self, now: float) -> list[Output]:
        """Ask again for what has not answered; give up what was asked for often enough."""
        outputs: list[Output] = []
        for address, query in list(self._open.items()):
            if now < query.next_try:
                continue
            known = self._by_waypoint()
            places = [known[place] for place in query.places if place in known]
            if query.tries >= TRIES or not places:
                self.take(address)
                continue
            query.tries += 1
            query.next_try = now + RETRY
            outputs += [asked for place in places for asked in self._ask(place, address)]
        return outputs


def transit_addresses(attachment: Attachment) -> frozenset[bytes]:
    """The addresses of the MCP or next hop behind an attachment: whoever answers for one gets all traffic there."""
    part = attachment.part
    if isinstance(part, Mcp):
        return frozenset(address.packed for address in part.addresses)
    if isinstance(part, Gateway):
        here = (address for port, address in part.link_hops if port == attachment.waypoint.port)
        return frozenset(address.packed for address in (*part.next_hops, *here))
    return frozenset()


def stands_for_network(attachment: Attachment) -> bool:
    """Whether the network's prefix route leads to this very port. Gateways: every port may answer."""
    part = attachment.part
    return not isinstance(part, AccessNetwork) or part.ports[0] == attachment.waypoint.port
