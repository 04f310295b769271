"""Serves a `SmallEtcd` as etcd's JSON gateway does, on a socket of this machine's file system, which only processes of the same
user may use.

Each connection has a thread. Connections, requests and waits are bounded.
"""

import json
import os
import select
import socket
import struct
import threading
from collections import Counter
from contextlib import suppress
from enum import StrEnum
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

from steering.store.etcd.gateway_forms import (
    INVALID,
    UNAVAILABLE,
    GatewayError,
    Json,
    told_event,
    watched_span,
)
from steering.store.etcd.small_etcd import SmallEtcd

MOST_REQUEST = 1_572_864  # bytes of a request's body, as etcd's default
MOST_CONNECTIONS = 256
IDLE = 60.0  # seconds after which a connection without a request is closed
LOOK = 1.0  # seconds between two checks whether the other end of a watch is still there
BACKLOG = 128  # connections that may wait to be accepted
_PEER = struct.Struct("3i")  # SO_PEERCRED: pid, uid, gid


class GatewayRefusal(StrEnum):
    """Why a connection or a request is refused before the store sees it."""

    OTHER_USER = "other-user"
    TOO_MANY = "too-many-connections"
    MALFORMED = "malformed"  # no POST below /v3/, or no JSON object
    TOO_LARGE = "too-large"


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """The process and the user at the other end of a socket of the file system."""
    pid, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return pid, uid


class GatewayServer(ThreadingMixIn, UnixStreamServer):
    """The server. `refused`: counts. Raises OSError where the socket cannot be made."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = BACKLOG

    def __init__(self, path: Path, store: SmallEtcd) -> None:
        self.store = store
        self.refused: Counter[GatewayRefusal] = Counter()
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(str(path), _GatewayRequest)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Accept no more connections. Requests that are under way may end unanswered."""
        self.shutdown()
        self.server_close()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        if peer_of(request)[1] not in (0, os.geteuid()):
            self.refused[GatewayRefusal.OTHER_USER] += 1
            return False
        if not self._places.acquire(blocking=False):
            self.refused[GatewayRefusal.TOO_MANY] += 1
            return False
        return True

    def process_request(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self._places.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing is logged: the other end has gone."""


class _GatewayRequest(BaseHTTPRequestHandler):
    """The requests of one connection."""

    server: GatewayServer
    protocol_version = "HTTP/1.1"
    timeout = IDLE

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        path = self.path.removeprefix("/v3/")
        try:
            if path == "watch":
                self._watch(body)
            else:
                self._answer(200, self.server.store.call(path, body))
        except GatewayError as error:
            self._refuse(error)

    def _body(self) -> Json | None:
        """The request's JSON object; None where it is refused, which is answered already."""
        told = self.headers.get("Content-Length", "")
        length = int(told) if told.isascii() and told.isdigit() and len(told) < 10 else -1
        self.close_connection = True  # what a refused request has left unread is none
        if length > MOST_REQUEST:
            self._refuse_unread(GatewayRefusal.TOO_LARGE, "etcdserver: request is too large")
            return None
        try:
            data = json.loads(self.rfile.read(length)) if length >= 0 else None
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict) or not self.path.startswith("/v3/"):
            self._refuse_unread(GatewayRefusal.MALFORMED, "no request to etcd's gateway")
            return None
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
        return data

    def _refuse_unread(self, why: GatewayRefusal, message: str) -> None:
        self.server.refused[why] += 1
        self._refuse(GatewayError(INVALID, message))

    def _refuse(self, error: GatewayError) -> None:
        told = str(error)
        status = 503 if error.code == UNAVAILABLE else 400
        self._answer(status, {"error": told, "message": told, "code": error.code})

    def _answer(self, status: int, told: Json) -> None:
        data = json.dumps(told).encode("ascii")
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    # ---- watches --------------------------------------------------------------------------------

    def _watch(self, body: Json) -> None:
        """Send changes until the other end closes the connection."""
        store = self.server.store
        begin, end, since = watched_span(body)
        since = since or int(store.header()["revision"]) + 1
        self.close_connection = True
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._send({"created": True})
        while not self._has_gone():
            try:
                events, revisions, since = store.events(begin, end, since, LOOK)
            except GatewayError as error:
                told = {
                    "canceled": True,
                    "compact_revision": str(store.compacted),
                    "cancel_reason": str(error),
                }
                self._send(told)
                break
            if events:
                self._send({"events": list(map(told_event, events, revisions))})
        self.wfile.write(b"0\r\n\r\n")

    def _send(self, told: Json) -> None:
        """Send one message of a watch: a line, in a chunk of its own."""
        line = json.dumps({"result": {"header": self.server.store.header(), **told}}).encode("ascii") + b"\n"
        self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))

    def _has_gone(self) -> bool:
        """Whether the other end has closed the connection. It sends nothing while it watches."""
        waiting = select.poll()  # select() knows no descriptor above 1,023
        waiting.register(self.connection, select.POLLIN)
        if not waiting.poll(0):
            return False
        with suppress(OSError):
            return not self.connection.recv(1, socket.MSG_PEEK)
        return True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged for a request."""
