"""The live page on a real server: the real northbound over a real engine, which the test moves."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socket import socket
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIServer

from webob import Request

from steering.core.snapshots.view import EngineView
from steering.model.cluster import ClusterPeers
from steering.model.network import Site
from steering.northbound.composition import Northbound
from steering.northbound.http.pages import Pages
from steering.northbound.schema.representation import JsonView
from steering.runtime.http.page_files import page_files
from tests.support.driven import Driven
from tests.support.fixed_view import TOKEN, north
from tests.support.rest_server import QuietHandler
from tests.support.sites import UE_WLAN, Driver, join


class ThreadedServer(ThreadingMixIn, WSGIServer):
    """A thread for each request, as an event stream lasts."""

    daemon_threads = True

    def __init__(self, listening: socket) -> None:
        super().__init__(listening.getsockname(), QuietHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.server_name, self.server_port = listening.getsockname()
        self.setup_environ()


class LivePage:
    """`driver` moves the engine and `look` publishes what changed; both under `lock`, which requests take too. `peers`: other
    controllers of its cluster."""

    def __init__(self, site: Site | None = None, peers: ClusterPeers | None = None, **options: Any) -> None:
        self.driver = Driver(site, **options)
        self.control = Driven(self.driver)
        self.lock = threading.Lock()
        name = "" if peers is None else peers.name
        view = JsonView(EngineView(self.driver.engine, lambda: self.driver.now, "0.1.0"), name)
        self.north: Northbound = north(
            view, self.driver.counters, self.control, now=lambda: self.driver.now, heartbeat=1.0, peers=peers
        )
        self.pages = Pages(self.north.application, page_files(), self.north.observe)
        self.paths: list[str] = []  # what was asked for, with its query
        self.url = ""
        self.source_switch = 1  # where sessions begin

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.paths.append(f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}")
        with self.lock:
            return self.pages(environ, start_response)

    def look(self) -> None:
        """Publish what changed since the last look."""
        with self.lock:
            self.north.alarms.look()
            self.north.watcher.look()
            self.north.gather()

    @contextmanager
    def served(self, listening: socket) -> Iterator["LivePage"]:
        """On a socket that listens, while the block lasts."""
        with ThreadedServer(listening) as server:
            server.set_app(self)
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

    def aggregated(self) -> str:
        """One session from LTE, joined from WLAN; its id."""
        with self.lock:
            session = self.driver.session()
            self.driver.syn(2, 1, join(UE_WLAN, 40001))
        return str(session.id)

    def more(self, count: int, first: int = 41_000) -> None:
        """So many sessions of one subflow each."""
        with self.lock:
            for number in range(first, first + count):
                self.driver.session(sport=number, key=number.to_bytes(8, "big"), dpid=self.source_switch)

    def give(self, *given: Any) -> None:
        """Feed the engine, and publish what changed."""
        with self.lock:
            for one in given:
                self.driver.give(one)
        self.look()

    def get(self, path: str) -> Any:
        """What REST answers an operator."""
        request = Request.blank(path, headers={"Authorization": f"Bearer {TOKEN}"})
        with self.lock:
            return request.get_response(self.north.application).json
