"""Requests to the controller, over HTTP or HTTPS, on one connection that is kept open. Only a relay with a controller loads
this module, since http.client and ssl take 5 MB.
"""

import http.client
import json
import ssl
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

from steering.relay.controller.hostile_json import read_object
from steering.relay.model import ControllerAccess

MOST_BYTES = 4_096  # bytes of an answer that are read; a longer answer counts as empty


class ControllerConnection:
    """A connection for one thread. Where the controller has closed it since the last request, it is opened once more."""

    def __init__(self, access: ControllerAccess) -> None:
        self._access = access
        self._url = urlsplit(access.url)
        self._open: http.client.HTTPConnection | None = None

    def ask(self, method: str, what: str, body: dict[str, Any], timeout: float) -> tuple[int, dict[str, Any]]:
        """The status and JSON object of the answer to a request for /v1/mcps/{this MCP}/`what`. The object is empty where the
        answer holds none. `timeout`: seconds. Raises OSError and ValueError."""
        kept = self._open is not None
        try:
            return self._ask(method, what, body, timeout)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            if not kept or isinstance(error, TimeoutError):
                raise _as_os_error(error) from None
        try:
            return self._ask(method, what, body, timeout)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise _as_os_error(error) from None

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _ask(
        self, method: str, what: str, body: dict[str, Any], timeout: float
    ) -> tuple[int, dict[str, Any]]:
        access = self._access
        connection = self._open = self._open or self._connection()
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        connection.request(
            method,
            f"{self._url.path.rstrip('/')}/v1/mcps/{quote(access.mcp, safe='')}/{what}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {access.token}", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        read = answer.read(MOST_BYTES)
        if not answer.isclosed():
            self.close()
        found: dict[str, Any] = {}
        with suppress(ValueError):
            found = read_object(read)
        return answer.status, found

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "https":
            context = ssl.create_default_context(cafile=self._access.ca)
            return http.client.HTTPSConnection(host, port, context=context)
        return http.client.HTTPConnection(host, port)


def _as_os_error(error: Exception) -> OSError:
    return error if isinstance(error, OSError) else OSError(str(error) or type(error).__name__)
