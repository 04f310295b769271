"""The text of a policy that was in force: for operators, by its number."""

import pytest
from webob import Request, Response

from tests.support.fixed_view import TOKEN, served, token_of
from tests.support.rest_replies import problem


def ask(version: str, token: str = TOKEN) -> Response:
    headers = {"Authorization": f"Bearer {token}"}
    return Request.blank(f"/v1/policy/versions/{version}", headers=headers).get_response(served())


def test_a_kept_version_is_told() -> None:
    assert ask("3").json == {"version": 3, "text": "version: 1\n"}


@pytest.mark.parametrize("wanted", ["4", "0", "-3", "03", "3.0", "x", "9" * 40, "%C2%B3"])
def test_what_is_no_version_is_not_found(wanted: str) -> None:
    assert "of the policy is kept" in problem(ask(wanted), 404)


def test_a_reader_does_not_read_policies() -> None:
    problem(ask("3", token_of("reader")), 403)
