"""Link weights over REST: conditional, bounded, kept over a restart, and what the engine makes of them (D-1.d)."""

import json
from typing import Any

import pytest
from webob import Request

from steering.core.inputs import LinkWeighed
from steering.core.snapshots.view import EngineView
from steering.model.identity import Role
from steering.model.network import PortRef
from steering.northbound.schema.representation import JsonView
from steering.store.interface import StateError
from steering.store.link_weights import FILE
from steering.store.memory import MemoryStore
from tests.support.driven import Driven
from tests.support.fixed_view import TOKEN, north, token_of
from tests.support.sites import Driver

LINK = "/v1/links/s1:2-s3:2"
ENDS = PortRef(1, 2), PortRef(3, 2)


class Rest:
    def __init__(self, store: Any = None) -> None:
        self.driver = Driver()
        view = JsonView(EngineView(self.driver.engine, lambda: self.driver.now, "0.1.0"))
        self.control = Driven(self.driver)
        self.store = store or MemoryStore()
        self.north = north(view, control=self.control, store=self.store)

    def __call__(self, method: str, path: str, body: Any = None, token: str = TOKEN, **headers: str) -> Any:
        sent = {"Authorization": f"Bearer {token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        request = Request.blank(path, method=method, headers=sent)
        if body is not None:
            request.body, request.content_type = json.dumps(body).encode(), "application/json"
        return request.get_response(self.north.application)

    def weight(self) -> float:
        return {(link.a, link.b): link.weight for link in self.driver.engine.graph.links()}[ENDS]


@pytest.mark.row("D-1.d")
def test_a_weight_is_set_and_taken_back_by_whoever_has_seen_the_one_before() -> None:
    rest = Rest()
    seen = rest("GET", LINK)
    assert seen.json["weight"] == seen.json["own_weight"] == 1.0 and seen.json["set_weight"] is None
    assert rest("PUT", LINK, {"weight": 8.5}).status_code == 428
    set_ = rest("PUT", LINK, {"weight": 8.5}, If_Match=seen.headers["ETag"])
    assert (set_.status_code, set_.json["weight"], set_.json["set_weight"]) == (200, 8.5, 8.5)
    assert rest("PUT", LINK, {"weight": 2.0}, If_Match=seen.headers["ETag"]).status_code == 412
    assert rest.control.given == [LinkWeighed(*ENDS, 8.5)] and rest.weight() == 8.5
    for _ in range(9):
        rest.driver.later(0.3)
    back = rest("PUT", LINK, {"weight": None}, If_Match=set_.headers["ETag"])
    assert (back.status_code, back.json["weight"], rest.weight()) == (200, 1.0, 1.0)
    assert rest.store.read(FILE) == "{}"


@pytest.mark.row("D-1.d")
@pytest.mark.parametrize("name", ["s1:2-s3:2", "s3:2-s1:2", "s1-s3", "s3-s1"])
def test_a_link_has_its_ends_for_a_name_or_its_switches_where_they_have_one_link(name: str) -> None:
    assert Rest()("PUT", f"/v1/links/{name}", {"weight": 3}, If_Match="*").json["name"] == "s1:2-s3:2"


@pytest.mark.parametrize(
    "name",
    [
        "s1:2-s3:3",
        "s1:2",
        "s1-s2",
        "s1:1-s4:1",
        "-",
        "s1:x-s3:2",
        "s1:%C2%B2-s3:2",
        "s1:99999999999-s3:2",
        "a" * 200,
    ],
)
def test_what_is_no_link_is_not_found(name: str) -> None:
    rest = Rest()
    assert rest("PUT", f"/v1/links/{name}", {"weight": 3}, If_Match="*").status_code == 404
    assert rest("GET", f"/v1/links/{name}").status_code == 404 and rest.control.given == []


@pytest.mark.parametrize("weight", [0, -1, 1_000_001, "1", True, 1e400])
def test_weights_have_bounds(weight: Any) -> None:
    rest = Rest()
    body = json.dumps({"weight": weight}).encode()
    request = Request.blank(LINK, method="PUT", headers={"Authorization": f"Bearer {TOKEN}", "If-Match": "*"})
    request.body, request.content_type = body, "application/json"
    assert request.get_response(rest.north.application).status_code in (400, 422)
    assert rest.control.given == []


def test_only_an_operator_sets_weights() -> None:
    rest = Rest()
    for role in set(Role) - {Role.OPERATOR}:
        assert rest("PUT", LINK, {"weight": 3.0}, token=token_of(role), If_Match="*").status_code in (
            401,
            403,
        )
    assert rest.control.given == []


@pytest.mark.row("D-1.d")
def test_weights_outlive_the_controller() -> None:
    rest = Rest()
    rest("PUT", LINK, {"weight": 4.0}, If_Match="*")
    rest("PUT", "/v1/links/s2-s4", {"weight": 5.0}, If_Match="*")
    again = Rest(rest.store)
    again.north.restore.links()
    assert again.weight() == 4.0
    assert {one["set_weight"] for one in again("GET", "/v1/links").json["links"]} == {None, 4.0, 5.0}


def test_a_file_that_is_none_of_ours_is_said_and_a_name_of_another_site_passed_over(caplog: Any) -> None:
    for text in ("[]", "{", '{"s1:2-s3:2": -1}', '{"s1:2-s3:2": {}}'):
        store = MemoryStore()
        store.write(FILE, text)
        with pytest.raises(StateError, match=r"links\.json"):
            Rest(store)
    store = MemoryStore()
    store.write(FILE, '{"gone:1-away:2": 3.0}')
    rest = Rest(store)
    rest.north.restore.links()
    assert rest.control.given == [] and "of no use" in caplog.text


def test_the_list_tells_what_is_kept_and_whether_all_is_settled() -> None:
    rest = Rest()
    told = rest("GET", "/v1/links").json
    assert (told["settled"], told["kept_flows"], len(told["links"])) == (True, 0, 4)
