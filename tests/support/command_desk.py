"""A northbound that commands ask, and somebody else who changes things between their requests."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from webob import Request

from steering.northbound.composition import Northbound
from tests.support.fixed_view import TOKEN, FixedView, north
from tests.support.noted_control import Noted


class Desk:
    """A northbound, and what somebody else does just before the next PUT reaches it."""

    def __init__(self) -> None:
        self.control = Noted()
        self.view = FixedView()
        self.north: Northbound = north(self.view, control=self.control)
        self.meanwhile: Callable[[], object] | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "PUT" and self.meanwhile is not None:
            act, self.meanwhile = self.meanwhile, None
            act()
        return self.north.application(environ, start_response)

    def declare(self, mcp: Any) -> None:
        """Somebody else's description of an MCP."""
        self.control.mcp = lambda name: mcp  # type: ignore[method-assign]

    def put(self, path: str, body: Any) -> None:
        """Somebody else's change, over whatever there is."""
        headers = {"Authorization": f"Bearer {TOKEN}", "If-Match": "*", "Content-Type": "application/json"}
        request = Request.blank(f"/v1/{path}", method="PUT", headers=headers, body=json.dumps(body).encode())
        assert request.get_response(self.north.application).status_code == 200
