"""A change that cannot be kept is refused by name, counted, logged once, and not shown by GET afterwards."""

import json
from pathlib import Path
from typing import Any

import pytest
from webob import Request

from steering.store.state_directory import StateDirectory
from tests.support.fixed_answers import IMSI
from tests.support.fixed_view import CLOCK, TOKEN, north
from tests.support.full_disk import full_disk
from tests.support.noted_control import Noted
from tests.support.rest_replies import problem

ENTRY = {"name": "a", "action": "deny"}
CHANGES: list[tuple[str, str, str, Any]] = [
    ("PUT", "/v1/acl", "/v1/acl", {"entries": [ENTRY]}),
    ("POST", "/v1/registry", "/v1/registry", {"subscriber": IMSI}),
    ("PUT", "/v1/pairings/cpe-2", "/v1/pairings", {"addresses": ["10.1.0.9"]}),
    ("DELETE", "/v1/pairings/cpe-1", "/v1/pairings", None),
    ("POST", "/v1/bindings", "/v1/bindings", {"device": "cpe-1", "int_port": 22}),
    ("PUT", "/v1/links/s1:3-s2:3", "/v1/links/s1:3-s2:3", {"weight": 7}),
    ("PUT", "/v1/access-networks/lte", "/v1/access-networks/lte",
     {"type": "wlan", "trust": "operator", "sequence": 5}),
    ("POST", "/v1/mcps/core/drain", "/v1/mcps/core", None),
    ("POST", "/v1/offload", "/v1/access-networks", {"from": "lte", "to": "wlan"}),
]  # fmt: skip


class Rest:
    def __init__(self, folder: Path) -> None:
        self.now = CLOCK
        self.control = Noted()
        self.north = north(control=self.control, store=StateDirectory(folder), now=lambda: self.now)

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}", "If-Match": "*"}
        request = Request.blank(path, method=method, headers=headers)
        if body is not None:
            request.body, request.content_type = json.dumps(body).encode(), "application/json"
        return request.get_response(self.north.application)

    def refused(self) -> str:
        lines = self("GET", "/metrics").text.splitlines()
        return next(
            line for line in lines if line.startswith('steering_state_refused_total{reason="no-space"}')
        )


@pytest.mark.parametrize(
    ("method", "path", "shown", "body"), CHANGES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_on_a_full_disk_a_change_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, method: str, path: str, shown: str, body: Any
) -> None:
    rest = Rest(tmp_path)
    assert rest("PUT", "/v1/pairings/cpe-1", {"addresses": ["10.1.0.2"]}).status_code == 200
    before, given = rest("GET", shown).json, list(rest.control.given)
    with full_disk():
        answer = rest(method, path, body)
    assert "nothing is changed: no-space" in problem(answer, 503) and answer.headers["Retry-After"]
    assert rest("GET", shown).json == before and rest.control.given == given
    assert rest.refused().endswith(" 1.0")
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert line.exc_info is None and "cannot be kept" in line.message
    assert rest(method, path, body).status_code in (200, 201, 202)  # there is room again


def test_the_log_says_it_once_for_as_long_as_it_lasts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rest = Rest(tmp_path)
    for later in (0, 30, 59, 59, 61):
        rest.now += later
        with full_disk():
            assert rest("PUT", "/v1/acl", {"entries": [ENTRY]}).status_code == 503
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 2
    assert rest.refused().endswith(" 5.0")


def test_saving_some_at_a_time_never_fails_and_is_counted(tmp_path: Path) -> None:
    rest = Rest(tmp_path)
    who = rest("GET", "/v1/subscribers").json["subscribers"][0]["id"]
    assert rest("PUT", f"/v1/subscribers/{who}/access", {"sequence": 3}).status_code == 200
    with full_disk():
        rest.north.save()
    assert rest.refused().endswith(" 1.0") and not list(tmp_path.iterdir())
    rest.north.save()
    assert [path.name for path in tmp_path.iterdir()] == ["orders.json"]


def test_a_binding_that_is_over_is_over_on_a_full_disk_too(tmp_path: Path) -> None:
    rest = Rest(tmp_path)
    rest("PUT", "/v1/pairings/cpe-1", {"addresses": ["10.1.0.2"]})
    assert rest("POST", "/v1/bindings", {"device": "cpe-1", "int_port": 22}).status_code == 201
    rest("DELETE", "/v1/pairings/cpe-1")
    with full_disk():
        rest.north.bindings.look()
    assert rest("GET", "/v1/bindings").json == {"bindings": []}
