"""What requests may carry: checked by pydantic, described to OpenAPI from the same models."""

from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from steering.model.network import NetworkAccessType, Trust
from steering.northbound.problems import Problem, bad_request

Json = dict[str, Any]

MAX_SEQUENCE = 2**53 - 1  # what every JSON reader holds exactly (RFC 8259 section 6)
MAX_ERRORS = 32


def _address(text: str) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError("an IP address is wanted") from None
    if getattr(address, "scope_id", None):
        raise ValueError("an address without a zone is wanted")
    return address


ADDRESS_SCHEMA: Json = {"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]}
IpAddress = Annotated[str, AfterValidator(_address), WithJsonSchema(ADDRESS_SCHEMA)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class Body(BaseModel):
    """Closed, exact types, no numbers that JSON cannot say."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class AccessUpdate(Body):
    """Network access type information (D-6.3e). `sequence` grows with every update: older ones are refused."""

    type: NetworkAccessType
    trust: Trust
    sequence: Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]


class LoadReport(Body):
    """An MCP's own word: whether it serves, and how full it is, 0 to 1."""

    alive: bool = True
    load: Annotated[float, Field(ge=0, le=1)] | None = None


class WhatIfQuestion(Body):
    """A connection that nobody opens."""

    source: IpAddress
    destination: IpAddress
    port: Annotated[int, Field(ge=1, le=65_535)]
    access: Name | None = None
    mptcp_version: Annotated[int, Field(ge=0, le=1)] = 1


class Rollback(Body):
    """An earlier version of the policy."""

    version: Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]


MODELS: tuple[type[Body], ...] = (AccessUpdate, LoadReport, WhatIfQuestion, Rollback)


def schemas() -> dict[str, Json]:
    """JSON Schemas of the models by name, as OpenAPI places them; nothing is referred to."""
    found: dict[str, Json] = {}
    for model in MODELS:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        found[model.__name__] = schema
    return found


def read(model: type[Body], data: bytes) -> Body:
    """A request's body. Raises Problem 400 for what is no JSON, 422 with the paths of what is wrong in it."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
    if any(one["type"] == "json_invalid" for one in wrong):
        raise bad_request("the body is no JSON")
    raise unprocessable(
        [{"path": path_of(one["loc"]), "message": one["msg"].removeprefix("Value error, ")} for one in wrong],
        f"the body is no {model.__name__}",
    )


def path_of(location: tuple[int | str, ...]) -> str:
    """`("rules", 3, "when")` -> `rules[3].when`; the body itself is "$"."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return text.removeprefix(".") or "$"


def unprocessable(errors: list[Json], detail: str) -> Problem:
    """422 that says what is wrong where: {"path", "message", ...} each."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors[:MAX_ERRORS])
