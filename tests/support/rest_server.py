"""A real HTTP server on loopback around a WSGI application, and the state directory by which commands find it."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from steering.store import credentials
from tests.support.fixed_view import TOKEN


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def serve(app: Any) -> Iterator[str]:
    """A server of `app` on loopback while the generator is open; its URL."""
    with make_server("127.0.0.1", 0, app, handler_class=QuietHandler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def state_directory(path: Path, app: Any) -> Iterator[Path]:
    """A new state directory, as that of a running controller whose REST is `app`, while the generator is open."""
    path.mkdir(mode=0o700)
    (path / "token").write_text(TOKEN + "\n")
    for url in serve(app):
        credentials.write_rest_url(path, url)
        yield path
