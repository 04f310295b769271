"""What the reading routes answer with."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from steering.model.view import View, Wanted
from steering.northbound.accesses import Accesses
from steering.northbound.conditional import tag_of
from steering.northbound.exchange import MAX_ID, Call, Reply
from steering.northbound.problems import bad_request, not_found, shown
from steering.northbound.pseudonyms import of_limits, pseudonym
from steering.northbound.slowservers import SlowServers

Json = dict[str, Any]
MAX_NAMES_SHOWN = 16


class Resources:
    """`description` is the OpenAPI document; `pseudonyms` the key that subscribers' names are made with."""

    def __init__(
        self,
        view: View,
        accesses: Accesses,
        registry: CollectorRegistry,
        now: Callable[[], float],
        description: Json,
        pseudonyms: bytes,
    ) -> None:
        self._view = view
        self._accesses = accesses
        self._registry = registry
        self._now = now
        self._description = description
        self._pseudonyms = pseudonyms
        self._slow = SlowServers()

    def health(self, _: Call) -> Reply:
        return Reply(self._view.health())

    def topology(self, _: Call) -> Reply:
        return Reply(self._view.topology())

    def mcps(self, _: Call) -> Reply:
        return Reply({"mcps": self._view.mcps()})

    def mcp(self, call: Call) -> Reply:
        found = self._mcp(call)
        return Reply(found | {"slow_servers": self._slow.of(found["name"])})

    def access_networks(self, _: Call) -> Reply:
        return Reply({"access_networks": self._accesses.all()})

    def access_network(self, call: Call) -> Reply:
        found = self._access(call)
        return Reply(found, tag=tag_of(found))

    def gateways(self, _: Call) -> Reply:
        return Reply({"gateways": self._view.gateways()})

    def subscribers(self, _: Call) -> Reply:
        found = [
            {**one, "id": self._pseudonym(one["id"]), "access": self._accesses.of_subscriber(one["id"])}
            for one in self._view.subscribers()
        ]
        return Reply({"subscribers": found})

    def limits(self, _: Call) -> Reply:
        return Reply(of_limits(self._pseudonyms, self._view.limits()))

    def sessions(self, call: Call) -> Reply:
        query = call.query
        wanted = Wanted(query["mcp"], query["state"], query["token"], query["client"])
        page, total, more = self._view.sessions(query["cursor"], query["limit"], wanted)
        if wanted.mcp is not None and not total:
            self._check_mcp(wanted.mcp)
        following = None if more is None else {**call.query, "cursor": more}
        body = {"sessions": page, "total": total, "next": None if more is None else str(more)}
        return Reply(body, next_query=following)

    def session(self, call: Call) -> Reply:
        wanted = call.path["id"]
        found = self._view.session(wanted) if len(wanted) <= MAX_ID else None
        if found is None:
            raise not_found(f"no session {shown(wanted)}")
        return Reply(found)

    def decision(self, call: Call) -> Reply:
        wanted = call.path["id"]
        found = self._view.decision(wanted) if len(wanted) <= MAX_ID else None
        if found is None:
            raise not_found(f"no decision {shown(wanted)}")
        return Reply(self._discreet({**found, "age_s": max(0.0, self._now() - found["time_s"])}))

    def openapi(self, _: Call) -> Reply:
        return Reply(self._description)

    def metrics(self, call: Call) -> Reply:
        encode, media_type = choose_encoder(call.accept)
        return Reply(encode(self._registry), media_type)

    def _discreet(self, decision: Json) -> Json:
        """A decision without its subscriber's own name (N-7.1)."""
        name = decision.get("subscriber")
        return decision if name is None else {**decision, "subscriber": self._pseudonym(name)}

    def _pseudonym(self, subscriber: str) -> str:
        return pseudonym(self._pseudonyms, subscriber)

    def _mcp(self, call: Call) -> Json:
        wanted = call.path["name"]
        for found in self._view.mcps():
            if found["name"] == wanted:
                return found
        raise not_found(f"no MCP {shown(wanted)}")

    def _access(self, call: Call) -> Json:
        wanted = call.path["name"]
        found = self._accesses.one(wanted)
        if found is None:
            raise not_found(f"no access network {shown(wanted)}")
        return found

    def _check_mcp(self, name: str) -> None:
        """A misspelt MCP is told so: an empty list would look like an answer."""
        names = [known["name"] for known in self._view.mcps()]
        if name not in names:
            listed = ", ".join(names[:MAX_NAMES_SHOWN]) + (", ..." if len(names) > MAX_NAMES_SHOWN else "")
            raise bad_request(f"no MCP {shown(name)}; known: {listed or 'none'}")
