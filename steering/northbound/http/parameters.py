"""Query parameters. One record of each parameter parses its values, bounds them, and describes them to OpenAPI."""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from steering.model.period_begin import MAX_TEXT, read_since
from steering.model.session import SessionState
from steering.northbound.http.problems import bad_request, shown

MAX_FIELDS = 16
MAX_NAME = 64
MAX_LIMIT = 1_000
DEFAULT_LIMIT = 100

Json = dict[str, Any]
ADDRESS_SCHEMA: Json = {"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]}
_FLAGS = {"0": False, "1": True, "false": False, "true": True, "": True}  # `?dry_run` without a value is true
_DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)
CONTROLLER_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_CURSOR = re.compile(rf"(?:({CONTROLLER_NAME}):)?([0-9]{{1,18}})", re.ASCII)
_TOKEN = re.compile(r"[0-9a-fA-F]{8}", re.ASCII)


class Parameter(NamedTuple):
    """A query parameter. `parse` raises ValueError with a sentence that says which values are allowed."""

    name: str
    description: str
    schema: Json
    default: Any
    parse: Callable[[str], Any]


class SessionCursor(NamedTuple):
    """Where a page of sessions ended: behind session number `after` of `controller`, "" for the controller that is asked."""

    controller: str
    after: int

    def __str__(self) -> str:
        return f"{self.controller}:{self.after}" if self.controller else str(self.after)


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not _DIGITS.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high} is wanted")
        return int(text)

    return parse


def _name(text: str) -> str:
    if not 1 <= len(text) <= MAX_NAME:
        raise ValueError(f"a name of 1 to {MAX_NAME} characters is wanted")
    return text


def _state(text: str) -> str:
    if text not in set(SessionState):
        raise ValueError(f"one of {', '.join(SessionState)} is wanted")
    return text


def _token(text: str) -> int:
    if not _TOKEN.fullmatch(text):
        raise ValueError("8 hex digits are wanted")
    return int(text, 16)


def read_address(text: str) -> IPv4Address | IPv6Address:
    """An IP address as a request has it. Raises ValueError with a sentence that says what is allowed."""
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError("an IP address is wanted") from None
    if getattr(address, "scope_id", None):
        raise ValueError("an address without a zone is wanted")
    return address


def _address(text: str) -> bytes:
    return read_address(text).packed


def _cursor(text: str) -> SessionCursor:
    told = _CURSOR.fullmatch(text)
    if told is None:
        raise ValueError("a cursor is wanted as the page before told it")
    return SessionCursor(told[1] or "", int(told[2]))


def _time(text: str) -> float:
    try:
        value = float(text) if len(text) <= MAX_NAME else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1 << 33:
        raise ValueError("seconds since 1970 are wanted")
    return value


def _flag(text: str) -> bool:
    if text not in _FLAGS:
        raise ValueError("one of 0, 1, false, true is wanted")
    return _FLAGS[text]


def _integer(low: int, high: int, default: int) -> Json:
    return {"type": "integer", "minimum": low, "maximum": high, "default": default}


LIMIT = Parameter(
    "limit",
    "How many sessions to list",
    _integer(1, MAX_LIMIT, DEFAULT_LIMIT),
    DEFAULT_LIMIT,
    _whole(1, MAX_LIMIT),
)
MCP = Parameter(
    "mcp", "Only sessions at this MCP", {"type": "string", "minLength": 1, "maxLength": MAX_NAME}, None, _name
)
SWITCH = Parameter(
    "switch", "Only this switch", {"type": "string", "minLength": 1, "maxLength": MAX_NAME}, None, _name
)
STATE = Parameter(
    "state", "Only sessions in this state", {"type": "string", "enum": list(SessionState)}, None, _state
)


TOKEN = Parameter(
    "token",
    "Only sessions with this token, 8 hex digits",
    {"type": "string", "pattern": "^[0-9a-fA-F]{8}$"},
    None,
    _token,
)
CLIENT = Parameter("client", "Only sessions of a host with this address", ADDRESS_SCHEMA, None, _address)
CURSOR = Parameter(
    "cursor",
    "Where the page before ended; the Link header of each page has the next one's",
    {"type": "string", "pattern": f"^({CONTROLLER_NAME}:)?[0-9]{{1,18}}$"},
    SessionCursor("", 0),
    _cursor,
)
CONTROLLER = Parameter(
    "controller",
    "Only sessions of this controller of a cluster",
    {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
    None,
    _name,
)
EVENTS_OF = CONTROLLER._replace(description="Only events of this controller of a cluster")
SINCE = Parameter(
    "since",
    "First what is kept of the events from then on: a span (10m) or a time with its zone. Last-Event-ID goes before it",
    {"type": "string", "minLength": 2, "maxLength": MAX_TEXT},
    None,
    read_since,
)
IP = Parameter("ip", "An external address", ADDRESS_SCHEMA, None, _address)
PORT = Parameter(
    "port", "An external port", {"type": "integer", "minimum": 0, "maximum": 65_535}, None, _whole(0, 65_535)
)
TIME = Parameter(
    "time",
    "Seconds since 1970; not given, now",
    {"type": "number", "minimum": 0, "maximum": 1 << 33},
    None,
    _time,
)
_FLAG = {"type": "string", "enum": list(_FLAGS), "default": "0"}
DRY_RUN = Parameter("dry_run", "1: check only", _FLAG, False, _flag)
FORCE = Parameter("force", "1: end the sessions that live there", _FLAG, False, _flag)


def parse_query(raw: str, declared: tuple[Parameter, ...]) -> dict[str, Any]:
    """The values of a query string by parameter name, with defaults for parameters that are not given.

    Raises Problem 400 for an unknown or repeated parameter, a value out of bounds, more than
    MAX_FIELDS fields or bytes that are no UTF-8.
    """
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise bad_request("the query string cannot be read") from None
    known = {parameter.name: parameter for parameter in declared}
    values: dict[str, Any] = {}
    for name, text in pairs:
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise bad_request(f"unknown parameter {shown(name)}; known here: {allowed}")
        if name in values:
            raise bad_request(f"parameter {name} is given more than once")
        try:
            values[name] = known[name].parse(text)
        except ValueError as error:
            raise bad_request(f"{name}={shown(text)}: {error}") from None
    return {parameter.name: values.get(parameter.name, parameter.default) for parameter in declared}


def text_of(name: str, value: Any) -> str:
    """A parsed value as text of a query string."""
    if name == "token":
        return f"{value:08x}"
    return str(ip_address(value)) if isinstance(value, bytes) else str(value)
