"""The forms of etcd's JSON gateway on the server's side: fields of requests, keys and changes in answers, and refusals."""

from base64 import b64decode, b64encode
from typing import Any, NamedTuple

OVERHEAD = 64  # bytes that a key or a change costs besides its key and value
# gRPC's status codes.
INVALID, NOT_FOUND, EXHAUSTED, OUT_OF_RANGE, UNIMPLEMENTED, UNAVAILABLE = 3, 5, 8, 11, 12, 14

Json = dict[str, Any]


class GatewayError(Exception):
    """A request is refused. `code`: gRPC's status code. The message is one line, as etcd's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class KeyEvent(NamedTuple):
    """A change of one key. `value`: None where the key was deleted. `lease`: that of the value, or of the deleted one."""

    key: bytes
    value: bytes | None
    lease: int = 0

    @property
    def size(self) -> int:
        return len(self.key) + len(self.value or b"") + OVERHEAD


def told(event: KeyEvent, revision: int, name_only: bool = False) -> Json:
    """A key as the gateway tells it."""
    found = {"key": b64encode(event.key).decode("ascii"), "mod_revision": str(revision)}
    if event.value is not None and not name_only:
        found["value"] = b64encode(event.value).decode("ascii")
    return found


def told_event(event: KeyEvent, revision: int) -> Json:
    """A change as a watch tells it."""
    kind: Json = {"type": "DELETE"} if event.value is None else {}
    return kind | {"kv": told(event, revision)}


def watched_span(body: Json) -> tuple[bytes, bytes, int]:
    """The range of a request for a watch, and the revision from which on it wants changes (0: from now on). Raises GatewayError."""
    wanted = body.get("create_request")
    if not isinstance(wanted, dict):
        raise GatewayError(INVALID, "a watch begins with create_request")
    return (*span_in(wanted), number_in(wanted, "start_revision"))


def span_in(body: Json) -> tuple[bytes, bytes]:
    """The range of a request: from a key up to before another one."""
    begin = bytes_in(body, "key")
    return begin, bytes_in(body, "range_end") if body.get("range_end") else begin + b"\0"


def bytes_in(body: Json, name: str) -> bytes:
    """A field of bytes in base64. Raises GatewayError."""
    try:
        return b64decode(body.get(name, ""), validate=True)
    except (ValueError, TypeError):
        raise GatewayError(INVALID, f"{name} is not in base64") from None


def number_in(body: Json, name: str) -> int:
    """A field with a whole number, which may be a text; 0 where it is left out. Raises GatewayError."""
    found = body.get(name, 0)
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 20:
        found = int(found)
    if type(found) is not int or not 0 <= found < 1 << 63:
        raise GatewayError(INVALID, f"{name} is no number")
    return found
