"""A body that names a key twice in one object is refused: of two values each reader may believe another one."""

from time import process_time
from typing import Any

import pytest
from webob import Request

from steering.northbound.http.body import loaded
from steering.northbound.http.problems import Problem
from tests.support.fixed_view import TOKEN, north
from tests.support.noted_control import Noted
from tests.support.rest_replies import problem


def put(path: str, text: str, control: Noted, method: str = "PUT") -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}", "If-Match": "*", "Content-Type": "application/json"}
    request = Request.blank(path, method=method, headers=headers, body=text.encode())
    return request.get_response(north(control=control).application)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/v1/links/s1:3-s2:3", '{"weight": 1, "weight": 2}'),
        ("/v1/acl", '{"entries": [{"name": "a", "action": "allow", "action": "deny"}]}'),
        ("/v1/acl", '{"entries": [{"name": "a", "\\u006eame": "b", "action": "deny"}]}'),
        ("/v1/policy", '{"policy": 1, "policy": 1}'),
    ],
)
def test_a_key_twice_in_one_object_is_refused_and_named(path: str, text: str) -> None:
    control = Noted()
    assert "twice in one object" in problem(put(path, text, control), 400)
    assert control.given == [] and control.asked == []


def test_the_same_key_in_two_objects_is_none_twice() -> None:
    text = '{"entries": [{"name": "a", "action": "deny"}, {"name": "b", "action": "deny"}]}'
    assert put("/v1/acl", text, Noted()).status_code == 200


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")]
)
def test_what_is_no_json_is_still_said_so(text: str) -> None:
    assert problem(put("/v1/acl", text, Noted()), 400) == "the body is no JSON"


def test_to_find_the_key_that_is_there_twice_takes_no_longer_than_to_read_the_body() -> None:
    names = ",".join(f'"{number:x}":0' for number in range(7_000))  # 64 KiB, as many as an MCP may send
    begun = process_time()
    loaded(f"{{{names}}}")
    read = process_time()
    with pytest.raises(Problem, match="'last' twice"):
        loaded(f'{{{names},"last":0,"last":0}}')
    assert process_time() - read < 20 * (read - begun)
