"""The live page on a real server: the real northbound over a real engine, which the test moves.

`python -m tests.support.live_page` serves it until Ctrl-C and prints the URL and the operator's token.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIServer, make_server

from steering.core.snapshots.view import EngineView
from steering.model.network import Site
from steering.northbound import Northbound
from steering.northbound.http.pages import Pages
from steering.northbound.schema.representation import JsonView
from steering.runtime.page_files import page_files
from tests.support.driven import Driven
from tests.support.fixed_view import north
from tests.support.rest_server import QuietHandler
from tests.support.sites import Driver


class ThreadedServer(ThreadingMixIn, WSGIServer):
    """A thread for each request, as an event stream lasts."""

    daemon_threads = True
    request_queue_size = 64


class LivePage:
    """`driver` moves the engine and `look` publishes what changed; both under `lock`, which requests take too."""

    def __init__(self, site: Site | None = None, **options: Any) -> None:
        self.driver = Driver(site, **options)
        self.control = Driven(self.driver)
        self.lock = threading.Lock()
        view = JsonView(EngineView(self.driver.engine, lambda: self.driver.now, "0.1.0"))
        self.north: Northbound = north(
            view, self.driver.counters, self.control, now=lambda: self.driver.now, heartbeat=1.0
        )
        self.pages = Pages(self.north.application, page_files(), self.north.observe)
        self.paths: list[str] = []  # what was asked for, with its query
        self.url = ""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.paths.append(f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}")
        with self.lock:
            return self.pages(environ, start_response)

    def look(self) -> None:
        """Publish what changed since the last look."""
        with self.lock:
            self.north.alarms.look()
            self.north.watcher.look()

    @contextmanager
    def served(self) -> Iterator["LivePage"]:
        """On loopback, while the block lasts."""
        with make_server("127.0.0.1", 0, self, ThreadedServer, QuietHandler) as server:
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
            )
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}"
            try:
                yield self
            finally:
                self.north.hub.close()
                server.shutdown()
                thread.join()
