"""/v1/mappings: MCPs that share external addresses report which subscriber has which address and ports, and an operator
asks who had an address and port at a time (RFC 6888 section 4, N-5.6.7).

A stored mapping names its subscriber by pseudonym, and a destination only where the policy asks for destinations (RFC 6888
REQ-12). Where the policy switches logging off, reports are not stored.
"""

from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from typing import Any, cast

from steering.model.mapping import Mapping, Mappings, holder
from steering.northbound.auth.pseudonyms import pseudonym
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import Problem, bad_request, not_found
from steering.northbound.schema.binding_bodies import MappingBatch, MappingReport
from steering.northbound.schema.bodies import LATEST
from steering.northbound.schema.view import View
from steering.store.interface import StateError

Json = dict[str, Any]

MOST_IN_MEMORY = 10_000
ACCEPTED = int(HTTPStatus.ACCEPTED)


class RecentMappings:
    """The last MOST_IN_MEMORY mappings, in memory, for a controller without a state directory."""

    def __init__(self) -> None:
        self.kept: list[Mapping] = []

    def append(self, mappings: Any) -> None:
        self.kept = [*self.kept, *mappings][-MOST_IN_MEMORY:]

    def find(self, address: str, port: int, at: float | None) -> Mapping | None:
        return holder(self.kept, address, port, float(LATEST) if at is None else at)


class MappingLog:
    """The resource /v1/mappings. `key` makes the pseudonyms. `work` runs a search where no packet waits for it: reading full
    files takes half a second."""

    def __init__(self, view: View, kept: Mappings, key: bytes, work: Callable[..., Any]) -> None:
        self._work = work
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
        kept = [self._mapping(one, name) for one in given if one.destination is None or destinations]
        if keeps:
            try:
                self._kept.append(kept)
            except StateError as error:
                raise Problem(
                    HTTPStatus.SERVICE_UNAVAILABLE, f"mappings cannot be kept: {error.refusal}"
                ) from None
        return RestReply({"name": name, "kept": len(kept) if keeps else 0}, status=ACCEPTED)

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
