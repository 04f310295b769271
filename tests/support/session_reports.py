"""The controller's half of a relay's reports of sessions, as small as docs/relay-reports.rst has it."""

import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from threading import Thread
from typing import Any

Json = dict[str, Any]


class ReportedSessions:
    """What one MCP has reported. `take` answers as the controller has to."""

    def __init__(self) -> None:
        self.live: dict[int, Json] = {}
        self.ended: list[Json] = []
        self.state: Json = {}
        self._generation = ""
        self._sequence = 0
        self._part = 0
        self._set: dict[int, Json] = {}

    def take(self, batch: Json) -> HTTPStatus:
        """202 where the batch was taken, now or before; 409 where what came before it is not known."""
        if (batch["generation"], batch["sequence"]) == (self._generation, self._sequence):
            return HTTPStatus.ACCEPTED
        follows = batch["generation"] == self._generation and batch["sequence"] == self._sequence + 1
        whole = batch["whole"]
        expected = self._part + 1 if self._part else None
        if whole is None:
            if not follows or self._part:
                return HTTPStatus.CONFLICT
            self._apply(batch["events"])
        elif whole["part"] == 1 or (follows and whole["part"] == expected):
            self._gather(whole, batch["events"])
        else:
            return HTTPStatus.CONFLICT
        self._generation, self._sequence = batch["generation"], batch["sequence"]
        self.state = batch["state"]
        return HTTPStatus.ACCEPTED

    def _apply(self, events: list[Json]) -> None:
        for event in events:
            if event["event"] == "began":
                self.live[event["id"]] = event
            else:
                self.live.pop(event["id"], None)
                self.ended.append(event)

    def _gather(self, whole: Json, events: list[Json]) -> None:
        if whole["part"] == 1:
            self._set = {}
        self._set |= {event["id"]: event for event in events}
        self._part = whole["part"]
        if whole["last"]:
            self.live, self._set, self._part = self._set, {}, 0


class ReportServer:
    """An HTTP server that takes reports of sessions as the controller has to; `refusal` is answered instead, and `other` to all else.

    Use as a context manager. `url` is what a relay is told as `--controller`; `asked` are methods with paths.
    """

    def __init__(self) -> None:
        self.sessions = ReportedSessions()
        self.refusal: int | None = None
        self.other: int = HTTPStatus.ACCEPTED
        self.asked: list[str] = []
        self.batches: list[Json] = []
        self.said: Json = {}  # of each answer
        self.keeps = False  # whether connections are kept
        self._open: list[socket] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def setup(self) -> None:
                super().setup()
                self.protocol_version = "HTTP/1.1" if outer.keeps else "HTTP/1.0"
                outer._open.append(self.connection)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(outer.answer(f"{self.command} {self.path}", body))
                said = json.dumps(outer.said).encode()
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_PUT = do_POST

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: a test's output is its own."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def connections(self) -> int:
        """How many there were."""
        return len(self._open)

    def hang_up(self) -> None:
        """End the connection that was opened last."""
        self._open[-1].shutdown(SHUT_RDWR)

    def answer(self, asked: str, body: Json) -> int:
        """The status of one request."""
        self.asked.append(asked)
        if not asked.endswith("/sessions"):
            return self.other
        self.batches.append(body)
        return self.sessions.take(body) if self.refusal is None else self.refusal

    def __enter__(self) -> "ReportServer":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
