"""Answers of the northbound, looked at the way every client may."""

import json
from collections.abc import Callable
from typing import Any

from webob import Request, Response

from steering.core.snapshots.view import EngineView
from steering.northbound.schema.representation import JsonView
from tests.support.fixed_view import TOKEN, served
from tests.support.sites import Driver

Ask = Callable[[str], Any]


def problem(response: Response, status: int) -> str:
    """The detail of an RFC 9457 document, checked."""
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    body = json.loads(response.body)
    assert set(body) - {"errors"} == {"type", "title", "status", "detail"}
    assert (body["type"], body["status"]) == ("about:blank", status)
    assert body["title"] == response.status.split(" ", 1)[1]
    assert "\n" not in body["detail"]
    return str(body["detail"])


def asking(driver: Driver) -> Ask:
    """How to GET from the northbound of a driven engine."""

    def now() -> float:
        return driver.now

    view = JsonView(EngineView(driver.engine, now, "0.1.0"))
    app = served(view, driver.counters, now=now)

    def ask(path: str) -> Any:
        response = Request.blank(path, headers={"Authorization": f"Bearer {TOKEN}"}).get_response(app)
        assert response.status_code == 200, response.text
        return response.text if path == "/metrics" else json.loads(response.body)

    return ask
