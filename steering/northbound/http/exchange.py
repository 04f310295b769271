"""A request as resources get it, a reply as they give it, and the route between."""

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
    """One request, authenticated, allowed and parsed. `path`: placeholders of the route; `body`: a model, or
    text where the route takes text. `asked_by`: the controller whose REST asks, "" for a client: it wants to hear of what
    this controller knows itself."""

    path: dict[str, str]
    query: dict[str, Any]
    accept: str
    who: Identity
    body: Body | str | None
    if_match: str | None
    last_event: str
    asked_by: str = ""


class RestReply(NamedTuple):
    """A body to send as JSON, bytes with their own media type, or a stream. `tag`: its entity tag."""

    body: Json | bytes | Iterable[bytes]
    media_type: str = JSON_TYPE
    next_query: dict[str, Any] | None = None  # parameters of the next page
    status: int = 200
    tag: str | None = None
    incomplete: tuple[str, ...] = ()  # controllers whose part is missing


class Uses(IntFlag):
    """What more than its own answer a route can lead to; each is a status that OpenAPI names."""

    NOTHING = 0
    IF_MATCH = auto()  # 412, 428
    SEQUENCE = auto()  # 409
    STREAM = auto()  # 503
    STATE = auto()  # 409
    LOOKUP = auto()  # 404, 503
    PEERS = auto()  # 503: another controller is to answer; and it may answer another one


class RestRoute(NamedTuple):
    """A method of a resource. `name` is its OpenAPI operation; `schema` names its answer's body, None for one
    without; `takes` the model of the request's body, or `str` for a text of YAML or JSON. `roles` may use it;
    `bound`: of them, a token of role mcp only where {name} is its own MCP, of role device its own name."""

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
    changes: bool = False  # it is audited
    largest: int = 1 << 20  # bytes of the request's body
    of_peers: tuple[Parameter, ...] = ()  # that other controllers give, and nobody else
