"""Serves the files of the live page, and passes every other request to the REST application.

The files are the same for everybody and hold nothing about the network, so they need no token. What the page shows, its
script asks of REST with the reader's own token. The files are served from memory: a request's path is the key of a
dictionary, never a path of the file system.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from steering.northbound.http.problems import MEDIA_TYPE, Problem, phrase, shown

ROOT = "/ui/"
INDEX = "index.html"
MAX_FILE = 1 << 18  # bytes of one file
MAX_TAGS = 1_024  # characters of If-None-Match that are read

# Nothing from other sites, no inline script or style, no text turned into markup (Trusted Types), not in a frame.
POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)  # fmt: skip
HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
)
KINDS = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_NAME = re.compile(r"[a-z][a-z_]{0,40}\.(html|js|css|svg)", re.ASCII)
_TAG = re.compile(r'(?:W/)?("[0-9a-f]{64}")', re.ASCII)

WsgiApplication = Callable[..., Iterable[bytes]]


class _Page(NamedTuple):
    data: bytes
    kind: str
    tag: str


class Pages:
    """WSGI: serves `files` (name -> bytes) below ROOT, and leaves every other path to `application`. `observe(status,
    seconds)` counts an answer. Raises ValueError for a file whose name, kind or size is not allowed."""

    def __init__(
        self, application: WsgiApplication, files: Mapping[str, bytes], observe: Callable[[int, float], None]
    ) -> None:
        self._application = application
        self._observe = observe
        self._pages = {ROOT + name: _page(name, data) for name, data in files.items()}
        self._pages[ROOT] = self._pages[ROOT + INDEX]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path != ROOT[:-1] and not path.startswith(ROOT):
            return self._application(environ, start_response)
        status, headers, body = self._answer(path, environ)
        self._observe(int(status), 0.0)
        headers = [*headers, *HEADERS, ("Content-Length", str(len(body)))]
        if status is HTTPStatus.NOT_MODIFIED:
            headers.pop()  # Content-Length: a 304 sends no body
        start_response(f"{int(status)} {phrase(status)}", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    def _answer(self, path: str, environ: dict[str, Any]) -> tuple[HTTPStatus, list[tuple[str, str]], bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _refusal(
                HTTPStatus.METHOD_NOT_ALLOWED, "this page takes GET, HEAD", ("Allow", "GET, HEAD")
            )
        if path == ROOT[:-1]:
            return HTTPStatus.PERMANENT_REDIRECT, [("Location", ROOT), ("Cache-Control", "no-cache")], b""
        page = self._pages.get(path)
        if page is None:
            return _refusal(HTTPStatus.NOT_FOUND, f"the page has no file {shown(path)}")
        # no-cache: a browser keeps the file and asks about it each time, so an old file never meets a new one.
        headers = [("ETag", page.tag), ("Cache-Control", "no-cache")]
        if page.tag in _TAG.findall(environ.get("HTTP_IF_NONE_MATCH", "")[:MAX_TAGS]):
            return HTTPStatus.NOT_MODIFIED, headers, b""
        return HTTPStatus.OK, [("Content-Type", page.kind), *headers], page.data


def _page(name: str, data: bytes) -> _Page:
    named = _NAME.fullmatch(name)
    if named is None or len(data) > MAX_FILE:
        raise ValueError(f"no file of the page: {name}, {len(data)} bytes")
    return _Page(data, KINDS[named[1]], f'"{hashlib.sha256(data).hexdigest()}"')


def _refusal(
    status: HTTPStatus, detail: str, *more: tuple[str, str]
) -> tuple[HTTPStatus, list[tuple[str, str]], bytes]:
    body = Problem(status, detail).body()
    return status, [("Content-Type", MEDIA_TYPE), ("Cache-Control", "no-store"), *more], body
