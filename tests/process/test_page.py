"""The live page of a real controller: on by default with its REST, off with --no-ui."""

import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

from tests.support.controller_process import LINKS, SITE, Running


def asked(running: Running, path: str) -> tuple[int, Message, bytes]:
    """Status, headers and body of an answer to somebody without a token."""
    url = (running.state / "rest").read_text().strip() + path
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read()


def test_the_page_is_there_and_the_layout_beside_it(tmp_path: Path) -> None:
    with Running(tmp_path) as running:
        status, headers, body = asked(running, "/ui/")
        assert status == 200 and b"main.js" in body
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert asked(running, "/ui/main.js")[0] == 200
        assert asked(running, "/ui/../openapi.json")[0] == 404
        assert asked(running, "/v1/topology/layout")[0] == 401
        assert '"switch s4"' in running.text("/v1/topology/layout")


def test_without_the_page_its_path_is_like_any_other(tmp_path: Path) -> None:
    with Running(tmp_path, SITE + LINKS, "--no-ui") as running:
        assert asked(running, "/ui/")[0] == 401
