"""Questions for the MACs of hosts (ARP, ND), and the packets that wait for the answers.

The number of questions is bounded, for each port and in all. A port that has no room drops its oldest question. A
host that exists answers within milliseconds, so a scan of a whole prefix does not push out the questions for real
hosts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from steering.core.network.site_index import Attachment
from steering.core.outputs import Output
from steering.core.part import NEVER
from steering.model.ids import WaypointId
from steering.model.network import AccessNetwork, Gateway, Mcp

WAITING_EACH = 4  # most packets kept for one address
PLACES_EACH = 4  # most ports behind which one address is asked for
QUESTIONS = 1_024  # most open questions
QUESTIONS_EACH = 64  # most open questions of one port
RETRY, TRIES = 1.0, 3  # seconds between two tries, and tries

Ask = Callable[[Attachment, bytes], list[Output]]


@dataclass(slots=True)
class AddressQuery:
    """A question for one address, and the packets that wait for the answer.

    * `waypoint`: the waypoint whose bound QUESTIONS_EACH counts the question.
    * `frames`: packets to the host.
    * `sent`: packets from the host, each with the waypoint where it came in.
    * `places`: the waypoints behind which the host is asked.
    """

    waypoint: WaypointId
    next_try: float
    tries: int = 1
    frames: list[bytes] = field(default_factory=list)
    sent: list[tuple[WaypointId, bytes]] = field(default_factory=list)
    places: list[WaypointId] = field(default_factory=list)


class AddressQueries:
    """The open questions. `ask` makes the frame that asks. A question is dropped when its waypoints left the site."""

    def __init__(self, by_waypoint: Callable[[], Mapping[WaypointId, Attachment]], ask: Ask) -> None:
        self._by_waypoint = by_waypoint
        self._ask = ask
        self._open: dict[bytes, AddressQuery] = {}
        self._at: dict[WaypointId, dict[bytes, None]] = {}  # waypoint -> its addresses, the oldest first

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, address: bytes) -> bool:
        return address in self._open

    def wait(self, attachment: Attachment, address: bytes, now: float, **frame: bytes) -> list[Output]:
        """Keep a packet until a host answers: `to` the host, or sent `by` the host. The host is asked behind every
        port where such a packet came, once for each port. Packets to a host that moved still come to its old port,
        where nobody answers."""
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
        """Close the question for an address, and return it."""
        query = self._open.pop(address, None)
        if query is not None:
            here = self._at[query.waypoint]
            del here[address]
            if not here:
                del self._at[query.waypoint]
        return query

    def due(self) -> float:
        """The time at which `again` next has something to do."""
        return min((query.next_try for query in self._open.values()), default=NEVER)

    def again(self, now: float) -> list[Output]:
        """Ask again for hosts that have not answered. Give up a question after TRIES tries."""
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
    """The addresses of the MCP or next hop behind an attachment. The MAC that answers for one of them gets all traffic
    of the attachment."""
    part = attachment.part
    if isinstance(part, Mcp):
        return frozenset(address.packed for address in part.addresses)
    if isinstance(part, Gateway):
        here = (address for port, address in part.link_hops if port == attachment.waypoint.port)
        return frozenset(address.packed for address in (*part.next_hops, *here))
    return frozenset()


def stands_for_network(attachment: Attachment) -> bool:
    """Whether the route for the network's prefix leads to this port: the network's first one. True for gateways and
    MCPs."""
    part = attachment.part
    return not isinstance(part, AccessNetwork) or part.ports[0] == attachment.waypoint.port
