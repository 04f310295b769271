"""The files of the live page: only those that are shipped, with a strict policy, and nothing by any other path."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webob import Request, Response

from steering.cli import reasons
from steering.northbound.http.pages import HEADERS, KINDS, MAX_FILE, Pages
from steering.runtime.http.page_files import page_files
from tests.support.fixed_view import TOKEN, served
from tests.support.rest_replies import problem

FILES = page_files()
NAMES = sorted(FILES)
FOLDER = Path(__file__).parents[4] / "steering" / "northbound" / "ui"


def pages(**more: Any) -> Pages:
    return Pages(served(), FILES, more.get("observe", lambda status, seconds: None))


def ask(path: str, method: str = "GET", **headers: str) -> Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request.blank(path, method=method, headers=sent).get_response(pages())


def test_what_is_shipped_is_what_is_in_the_folder() -> None:
    assert set(FILES) == {path.name for path in FOLDER.iterdir()}
    assert {"index.html", "main.js", "style.css"} <= set(FILES)
    packaged = (FOLDER.parents[2] / "setup.cfg").read_text()
    assert all(f"*.{ending}" in packaged for ending in KINDS)


@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_served_without_a_token_and_under_a_strict_policy(name: str) -> None:
    found = ask(f"/ui/{name}")
    assert (found.status_code, found.body) == (200, FILES[name])
    assert found.headers["Content-Type"] == KINDS[name.rpartition(".")[2]]
    assert all(found.headers[header] == value for header, value in HEADERS)
    assert "unsafe" not in found.headers["Content-Security-Policy"]
    assert found.headers["Cache-Control"] == "no-cache"
    head = ask(f"/ui/{name}", "HEAD")
    assert (head.status_code, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(FILES[name]))


def test_the_folder_is_its_index_and_its_name_leads_there() -> None:
    assert ask("/ui/").body == FILES["index.html"]
    led = ask("/ui")
    assert (led.status_code, led.headers["Location"]) == (308, "/ui/")


def test_an_unchanged_file_is_not_sent_again() -> None:
    tag = ask("/ui/main.js").headers["ETag"]
    for told in (tag, f'"other", W/{tag}'):
        same = ask("/ui/main.js", If_None_Match=told)
        assert (same.status_code, same.body, same.headers["ETag"]) == (304, b"", tag)
    assert ask("/ui/main.js", If_None_Match='"' + "0" * 64 + '"').status_code == 200
    assert ask("/ui/main.js", If_None_Match=" " * 2000 + tag).status_code == 200  # longer than is read


@pytest.mark.parametrize(
    "path",
    [
        "/ui/../openapi.json", "/ui/..%2fopenapi.json", "/ui/%2e%2e/openapi.json", "/ui//etc/passwd", "/ui/./main.js",
        "/ui/nothing.js", "/ui/main.js/", "/ui/MAIN.JS", "/ui/main.js%00", "/ui/__init__.py", "/ui/ui/main.js",
    ],
)  # fmt: skip
def test_no_other_path_leads_to_a_file(path: str) -> None:
    assert "no file" in problem(ask(path), 404)


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_any_path_is_one_of_the_files_or_none(rest: str) -> None:
    told: list[str] = []
    environ = {"PATH_INFO": "/ui/" + rest, "REQUEST_METHOD": "GET"}
    body = b"".join(pages()(environ, lambda status, headers: told.append(status)))
    assert told == ["404 Not Found"] or body == FILES[rest or "index.html"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_but_reading_is_taken(method: str) -> None:
    found = ask("/ui/", method)
    assert "GET, HEAD" in problem(found, 405)
    assert found.headers["Allow"] == "GET, HEAD"


def test_everything_else_is_the_rests() -> None:
    for path in ("/", "/ui2", "/uix/main.js", "/v1/health"):
        problem(ask(path), 401)
    assert ask("/v1/health", Authorization=f"Bearer {TOKEN}").json["status"] == "ok"


def test_answers_are_counted() -> None:
    seen: list[int] = []
    app = pages(observe=lambda status, seconds: seen.append(status))
    for path in ("/ui/", "/ui/nothing.js", "/v1/health"):
        Request.blank(path).get_response(app)
    assert seen == [200, 404]


@pytest.mark.parametrize(
    ("name", "data"),
    [("../x.js", b""), ("x.py", b""), ("X.js", b""), ("x.js.map", b""), ("x.js", bytes(MAX_FILE + 1))],
)
def test_what_must_not_be_served_is_refused_at_the_start(name: str, data: bytes) -> None:
    with pytest.raises(ValueError, match="no file of the page"):
        Pages(served(), FILES | {name: data}, lambda status, seconds: None)


# ---- the page's own promises -----------------------------------------------------------------------

TEXTS = {name: data.decode() for name, data in FILES.items()}


def test_no_markup_is_made_of_text_and_nothing_is_inline() -> None:
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser"
    )
    assert {name for name, text in TEXTS.items() if re.search(forbidden, text)} == set()
    index = TEXTS["index.html"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", index)


def test_nothing_comes_from_elsewhere() -> None:
    for name, text in TEXTS.items():
        foreign = [url for url in re.findall(r"https?://[^\s\"'`)]+", text) if "www.w3.org" not in url]
        assert not foreign, name
    named = re.findall(r'from "\./([\w.]+)"', "".join(TEXTS.values()))
    named += re.findall(r'(?:href|src)="([\w.]+)"', TEXTS["index.html"])
    assert set(named) | {"index.html"} == set(FILES)


def test_the_page_speaks_the_words_of_explain() -> None:
    for constant, words in (("REASONS", reasons.REASONS), ("FILTERS", reasons.FILTERS)):
        body = re.search(rf"export const {constant} = {{(.*?)\n}};", TEXTS["words.js"], re.S)
        assert body is not None
        assert dict(re.findall(r'^  "([^"]+)": "([^"]+)",?$', body[1], re.M)) == words
