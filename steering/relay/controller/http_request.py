"""One request to the controller, over HTTP or HTTPS. Loaded by whoever has a controller: http.client and ssl take 5 MB,
which a relay that has none is to do without.
"""

import http.client
import json
import ssl
from typing import Any
from urllib.parse import quote, urlsplit

from steering.relay.model import ControllerAccess


def status_of(access: ControllerAccess, method: str, what: str, body: dict[str, Any], timeout: float) -> int:
    """The status that the controller answers to `what` about this MCP. Raises OSError and ValueError."""
    parts = urlsplit(access.url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=access.ca)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request(
            method,
            f"{parts.path.rstrip('/')}/v1/mcps/{quote(access.mcp, safe='')}/{what}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {access.token}", "Content-Type": "application/json"},
        )
        return connection.getresponse().status
    except http.client.HTTPException as error:
        raise OSError(str(error) or type(error).__name__) from None
    finally:
        connection.close()
