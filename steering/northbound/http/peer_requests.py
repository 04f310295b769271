"""A request that another controller passes on: its WSGI environment, and the identity behind it."""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from steering.model.cluster import PeerRequest
from steering.model.identity import Identity, Role
from steering.northbound.http.problems import bad_request

_WHO = re.compile(r"[A-Za-z0-9._@-]{1,64}", re.ASCII)


def peer_environ(controller: str, request: PeerRequest) -> dict[str, Any]:
    path, _, query = request.target.partition("?")
    return {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "REMOTE_ADDR": f"controller {controller}",
    }


def peer_identity(controller: str, request: PeerRequest) -> Identity:
    """The identity of the client, as the controller that passes the request on names it. Raises Problem 400 for an unknown
    role, and for an id with characters that could forge a line of the audit log."""
    if request.role not in set(Role) or not _WHO.fullmatch(request.who):
        raise bad_request("a request of nobody")
    return Identity(request.who, Role(request.role), f"by {controller}")
