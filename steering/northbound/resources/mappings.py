"""/v1/mappings: MCPs that share external addresses report which subscriber has which address and ports, and an operator
asks who had an address and port at a time (RFC 6888 section 4, N-5.6.7).

A stored mapping names its subscriber by pseudonym, and a destination only where the policy asks for destinations (RFC 6888
REQ-12). Where the policy switches logging off, reports are not stored. An MCP may only report mappings of its own addresses and pools.
Otherwise it could attribute an address of another MCP to anybody. Mappings that an operator brings, such as the log of a relay with other pools,
are stored as they are.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from typing import Any, cast

from steering.model.identity import Role
from steering.model.mapping import Mapping, MappingRefusal, Mappings, holder
from steering.model.network import Network
from steering.northbound.auth.pseudonyms import pseudonym
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.meter import HttpMeter
from steering.northbound.http.problems import Problem, bad_request, not_found
from steering.northbound.schema.binding_bodies import MappingBatch, MappingReport
from steering.northbound.schema.bodies import LATEST
from steering.northbound.schema.view import View
from steering.store.interface import StateError

Json = dict[str, Any]

MOST_IN_MEMORY = 10_000
ACCEPTED = int(HTTPStatus.ACCEPTED)


def _is_within(external: Network, sources: tuple[Network, ...]) -> bool:
    first, length = external.network_address, external.prefixlen
    return any(length >= source.prefixlen and first in source for source in sources)


class RecentMappings:
    """The last MOST_IN_MEMORY mappings of each MCP, in memory, for a controller without a state directory."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[Mapping]] = {}

    def append(self, mappings: Iterable[Mapping]) -> None:
        for mapping in mappings:
            self._kept.setdefault(mapping.mcp, deque(maxlen=MOST_IN_MEMORY)).append(mapping)

    def find(self, address: str, port: int, at: float | None) -> Mapping | None:
        every = (mapping for of_mcp in self._kept.values() for mapping in of_mcp)
        return holder(every, address, port, float(LATEST) if at is None else at)


class MappingLog:
    """The resource /v1/mappings. `key` makes the pseudonyms. `work` runs a search where no packet waits for it: reading full
    files takes half a second."""

    def __init__(
        self, view: View, kept: Mappings, key: bytes, work: Callable[..., Any], meter: HttpMeter
    ) -> None:
        self._work = work
        self._meter = meter
        self._view = view
        self._kept = kept
        self._key = key

    def report(self, call: Call) -> RestReply:
        """Store what an MCP reports. The answer is 202 also where logging is off: the MCP need not know."""
        name = call.path["name"]
        logged = self._view.mapping_logging(name)
        if logged is None:
            raise not_found("no such MCP")
        keeps, destinations = logged
        given = cast(MappingBatch, call.body).mappings
        if call.who.role is not Role.OPERATOR:
            given = self._own(given, name)
        kept = [self._mapping(one, name) for one in given if one.destination is None or destinations]
        if keeps:
            try:
                self._kept.append(kept)
            except StateError as error:
                raise Problem(
                    HTTPStatus.SERVICE_UNAVAILABLE, f"mappings cannot be kept: {error.refusal}"
                ) from None
        return RestReply({"name": name, "kept": len(kept) if keeps else 0}, status=ACCEPTED)

    def _own(self, given: list[MappingReport], mcp: str) -> list[MappingReport]:
        """The mappings of an MCP's own addresses. All others are counted and dropped."""
        sources = self._view.sources_of(mcp)
        own = [one for one in given if _is_within(ip_network(one.external), sources)]
        if len(own) < len(given):
            self._meter.mappings_refused[mcp, MappingRefusal.OTHER_ADDRESS] += len(given) - len(own)
        return own

    def _mapping(self, one: MappingReport, mcp: str) -> Mapping:
        who = self._view.subscriber_of(ip_network(one.internal).network_address.packed)
        return Mapping(
            mcp, one.internal, one.external, one.first_port, one.last_port, one.begin, one.end,
            pseudonym(self._key, who) if who else "",
            str(one.destination) if one.destination is not None else "",
        )  # fmt: skip

    def find(self, call: Call) -> RestReply:
        """The mapping that held an external address and port at a time. Raises Problem 404 where none is known."""
        query = call.query
        if query["ip"] is None or query["port"] is None:
            raise bad_request("ip and port are wanted: whose were they?")
        address = str(ip_address(query["ip"]))
        try:
            found = self._work(self._kept.find, address, query["port"], query["time"])
        except StateError as error:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, f"the mappings cannot be read: {error.refusal}"
            ) from None
        if found is None:
            raise not_found(f"nobody is known to have had {address} port {query['port']} then")
        shown = {name: value if value != "" else None for name, value in asdict(found).items()}
        return RestReply(shown)
