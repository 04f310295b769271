"""The route table and what each resource answers."""

from collections.abc import Callable
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from steering.model.view import View
from steering.northbound import parameters
from steering.northbound.parameters import Parameter
from steering.northbound.problems import bad_request, not_found, shown

Json = dict[str, Any]
JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain"
MAX_ID = 128
MAX_NAMES_SHOWN = 16


class Call(NamedTuple):
    """One request, already authenticated and parsed. `path`: placeholders of the route."""

    path: dict[str, str]
    query: dict[str, Any]
    accept: str


class Reply(NamedTuple):
    """A body to send as JSON, or bytes with their own media type."""

    body: Json | bytes
    media_type: str = JSON_TYPE
    next_query: dict[str, Any] | None = None  # parameters of the next page


class Resources:
    """What the routes answer with. `description` is the OpenAPI document."""

    def __init__(
        self, view: View, registry: CollectorRegistry, now: Callable[[], float], description: Json
    ) -> None:
        self._view = view
        self._registry = registry
        self._now = now
        self._description = description

    def health(self, _: Call) -> Reply:
        return Reply(self._view.health())

    def topology(self, _: Call) -> Reply:
        return Reply(self._view.topology())

    def mcps(self, _: Call) -> Reply:
        return Reply({"mcps": self._view.mcps()})

    def sessions(self, call: Call) -> Reply:
        offset, limit = call.query["offset"], call.query["limit"]
        mcp, state = call.query["mcp"], call.query["state"]
        page, total = self._view.sessions(offset, limit, mcp, state)
        if mcp is not None and not total:
            self._check_mcp(mcp)
        after = offset + len(page)
        more = {**call.query, "offset": after} if page and after < total else None
        return Reply({"sessions": page, "total": total, "offset": offset}, next_query=more)

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
        return Reply({**found, "age_s": max(0.0, self._now() - found["time_s"])})

    def openapi(self, _: Call) -> Reply:
        return Reply(self._description)

    def metrics(self, call: Call) -> Reply:
        encode, media_type = choose_encoder(call.accept)
        return Reply(encode(self._registry), media_type)

    def _check_mcp(self, name: str) -> None:
        """A misspelt MCP is told so: an empty list would look like an answer."""
        names = [known["name"] for known in self._view.mcps()]
        if name not in names:
            listed = ", ".join(names[:MAX_NAMES_SHOWN]) + (", ..." if len(names) > MAX_NAMES_SHOWN else "")
            raise bad_request(f"no MCP {shown(name)}; known: {listed or 'none'}")


class Route(NamedTuple):
    """A resource. `name` is its OpenAPI operation; `schema` names its body, None for one without."""

    name: str
    path: str
    summary: str
    answer: Callable[[Resources, Call], Reply]
    schema: str | None
    parameters: tuple[Parameter, ...] = ()
    media_type: str = JSON_TYPE


ROUTES = (
    Route("health", "/v1/health", "State of the controller", Resources.health, "Health"),
    Route("topology", "/v1/topology", "Switches, links, attachments, hosts", Resources.topology, "Topology"),
    Route("mcps", "/v1/mcps", "The MCPs and what they carry", Resources.mcps, "Mcps"),
    Route(
        "sessions",
        "/v1/sessions",
        "M-sessions, a page at a time",
        Resources.sessions,
        "Sessions",
        (parameters.OFFSET, parameters.LIMIT, parameters.MCP, parameters.STATE),
    ),
    Route("session", "/v1/sessions/{id}", "One M-session and its subflows", Resources.session, "Session"),
    Route("decision", "/v1/decisions/{id}", "Why an MCP was chosen, or none", Resources.decision, "Decision"),
    Route("openapi", "/v1/openapi.json", "This description", Resources.openapi, None),
    Route("metrics", "/metrics", "Prometheus metrics", Resources.metrics, None, media_type=TEXT_TYPE),
)
