"""The records between the WSGI application and the resources: a request (`Call`), a reply, and a route."""

from collections.abc import Callable, Iterable
from enum import IntFlag, auto
from typing import Any, NamedTuple

from steering.model.identity import Identity, Role
from steering.northbound.http.body import Body
from steering.northbound.http.parameters import Parameter

Json = dict[str, Any]

JSON_TYPE = "application/json"
YAML_TYPE = "application/yaml"
TEXT_TYPE = "text/plain"
MAX_ID = 128

READERS = frozenset({Role.READER, Role.OPERATOR})
OPERATOR = frozenset({Role.OPERATOR})
EVERYONE = frozenset(Role)


class Call(NamedTuple):
    """One request: authenticated, allowed and parsed. `path`: the values of the route's placeholders. `body`: a model, or text
    where the route takes text. `asked_by`: the name of the controller that passes the request on, "" for a client. A
    controller gets what this controller itself knows, and nothing of others."""

    path: dict[str, str]
    query: dict[str, Any]
    accept: str
    who: Identity
    body: Body | str | None
    if_match: str | None
    last_event: str
    asked_by: str = ""


class RestReply(NamedTuple):
    """`body`: a dict to send as JSON, bytes of type `media_type`, or a stream of bytes. `tag`: the ETag of the body."""

    body: Json | bytes | Iterable[bytes]
    media_type: str = JSON_TYPE
    next_query: dict[str, Any] | None = None  # parameters of the next page
    status: int = 200
    tag: str | None = None
    incomplete: tuple[str, ...] = ()  # names of controllers whose part of the answer is missing


class Uses(IntFlag):
    """What a route uses, and with it the error statuses that OpenAPI lists for the route."""

    NOTHING = 0
    IF_MATCH = auto()  # 412, 428
    SEQUENCE = auto()  # 409
    STREAM = auto()  # 503
    STATE = auto()  # 409
    LOOKUP = auto()  # 404, 503
    PEERS = auto()  # 503: another controller has to answer and does not; other controllers may ask this route


class RestRoute(NamedTuple):
    """A path and HTTP method, and the resource's method that answers. `name`: the OpenAPI operation. `schema`: the name of
    the answer's schema, None for an answer without one. `takes`: the model of the request's body, or `str` for a text of
    YAML or JSON. `roles`: the roles that may use the route. `bound`: a token of role mcp may use the route only where {name}
    is its own MCP, a token of role device only where {name} is its own name."""

    method: str
    name: str
    path: str
    summary: str
    answer: Callable[[Any, Call], RestReply]
    schema: str | None
    roles: frozenset[Role] = READERS
    parameters: tuple[Parameter, ...] = ()
    media_type: str = JSON_TYPE
    takes: type[Body] | type[str] | None = None
    status: int = 200
    uses: Uses = Uses.NOTHING
    bound: bool = False
    changes: bool = False  # requests are written to the audit log
    largest: int = 1 << 20  # bytes of the request's body
    of_peers: tuple[Parameter, ...] = ()  # query parameters that only other controllers may give
