"""A northbound over fixed answers, asked as a client asks, and what its control was given."""

import json
from typing import Any

from webob import Request, Response

from tests.support.fixed_view import TOKEN, FixedView, north
from tests.support.noted_control import Noted
from tests.support.sites import UE_LTE

UPDATE = {"type": "wlan", "trust": "third-party", "sequence": 7}
QUESTION = {"source": UE_LTE, "destination": "10.9.0.2", "port": 443}


class Rest:
    """A northbound over fixed answers, and what its control was given."""

    def __init__(self, **more: Any) -> None:
        self.control = Noted()
        self.app = north(FixedView(), control=self.control, **more).application

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = TOKEN,
        kind: str = "application/json",
        **headers: str,
    ) -> Response:
        sent = {"Authorization": f"Bearer {token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request.blank(path, method=method, headers=sent, body=data)
        if body is not None:
            request.headers["Content-Type"] = kind
        return request.get_response(self.app)
