"""An HTTP authoriser, as an operator may have one behind the site file's `aaa.http`. It allows some addresses, denies
others, and has no opinion on the rest."""

import json
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

LONGEST = 4_096  # bytes of a request


class HttpHook:
    """The authoriser; from its construction on it listens on a free port of loopback. `requests`: all requests, in order."""

    def __init__(self, allowed: Collection[str], denied: Collection[str]) -> None:
        self.requests: list[dict[str, Any]] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length", 0)), LONGEST)
                asked = json.loads(self.rfile.read(length))
                requests.append(asked)
                address = asked["address"]
                verdict = True if address in allowed else False if address in denied else None
                body = json.dumps({"allow": verdict}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Print nothing: the lab reports what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/authorise"
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def asked_about(self, address: str) -> int:
        """How many requests were about an address."""
        return sum(one["address"] == address for one in list(self.requests))

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)
