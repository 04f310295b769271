"""The body of a request: closed pydantic models, read strictly, with the paths of what is wrong in them."""

import json
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from steering.model.unique_keys import RepeatedKey, unique_keys
from steering.northbound.http.problems import Problem, bad_request, shown

Json = dict[str, Any]

MAX_ERRORS = 32


class Body(BaseModel):
    """Closed, exact types, no numbers that JSON cannot say. A model is built when it is used first, as all of them
    together take a tenth of a controller's start."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


def read(model: type[Body], data: bytes) -> Body:
    """A request's body. Raises Problem 400 for what is no JSON, or names a key twice in one object, 422 with the paths of
    what is wrong in it."""
    loaded(data)
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


def loaded(data: bytes | str) -> Any:
    """The data of a JSON text. Raises Problem 400 for what is no JSON, and for an object with one key twice: readers differ
    on which of the two values counts (RFC 8259 section 4)."""
    try:
        return json.loads(data, object_pairs_hook=unique_keys)
    except RepeatedKey as repeated:
        raise bad_request(f"the body names {shown(repeated.key)} twice in one object") from None
    except (ValueError, RecursionError):
        raise bad_request("the body is no JSON") from None


def path_of(location: tuple[int | str, ...]) -> str:
    """`("rules", 3, "when")` -> `rules[3].when`; the body itself is "$"."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return text.removeprefix(".") or "$"


def unprocessable(errors: list[Json], detail: str) -> Problem:
    """A 422 with up to MAX_ERRORS errors, each {"path", "message", ...}."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors[:MAX_ERRORS])


def wrong_at(path: str, message: str) -> Problem:
    """A 422 with one error."""
    return unprocessable([{"path": path, "message": message}], message)
