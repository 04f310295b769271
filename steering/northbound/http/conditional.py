"""Entity tags and If-Match: nobody replaces what somebody else has changed meanwhile (RFC 9110 section 13)."""

import hashlib
import json
import re
from http import HTTPStatus
from typing import Any

from steering.northbound.http.problems import Problem

MAX_HEADER = 2_048

_TAGS = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def tag_of(representation: Any) -> str:
    """The strong entity tag of JSON data."""
    text = json.dumps(representation, sort_keys=True, separators=(",", ":"))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'


def require_match(given: str | None, current: str) -> None:
    """Raises Problem 428 without If-Match (RFC 6585 section 3) and 412 for one that does not have `current`.

    `*` matches whatever there is. A weak tag never matches.
    """
    if given is None:
        raise Problem(
            HTTPStatus.PRECONDITION_REQUIRED, "this needs If-Match: the ETag that a GET told, or * for any"
        )
    if given.strip() == "*":
        return
    if len(given) > MAX_HEADER or current not in _TAGS.findall(given):
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED, "it has been changed meanwhile: GET it again, and its ETag"
        )
