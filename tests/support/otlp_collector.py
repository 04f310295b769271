"""A collector of traces on loopback: takes OTLP over HTTP, and reads it with OpenTelemetry's own messages."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class CollectedSpan(NamedTuple):
    """One span as it came: ids are bytes, times nanoseconds since 1970."""

    name: str
    trace: bytes
    id: bytes
    parent: bytes
    begun: int
    ended: int
    attributes: dict[str, Any]
    links: list[bytes]
    is_failed: bool
    about: dict[str, Any]  # of its resource


class TraceCollector:
    """`answer`: "200", another status, "never", or "endless" for a 200 with a body that does not end, "endless 302" for a
    redirect with such a body. Each answer sets another cookie."""

    def __init__(self, answer: str = "200") -> None:
        self.answer = answer
        self.spans: list[CollectedSpan] = []
        self.requests: list[tuple[str, dict[str, str]]] = []  # path, and headers by name in lower case
        self.is_over = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector._take(self)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(30)

    def named(self, name: str) -> list[CollectedSpan]:
        return [span for span in self.spans if span.name == name]

    def children(self, of: CollectedSpan) -> list[CollectedSpan]:
        """In the order in which they ended."""
        return sorted((span for span in self.spans if span.parent == of.id), key=lambda span: span.ended)

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        read = ExportTraceServiceRequest.FromString(body)
        for of in read.resource_spans:
            about = _plain(of.resource.attributes)
            self.spans += [_span(one, about) for scope in of.scope_spans for one in scope.spans]
        self.requests.append((request.path, {name.lower(): text for name, text in request.headers.items()}))
        if self.answer == "never":
            self.is_over.wait(600)
            return
        is_endless = self.answer.startswith("endless")
        request.send_response(int(self.answer.removeprefix("endless") or 200))
        if not is_endless:
            request.send_header("Content-Length", "0")
        request.send_header("Location", "/elsewhere")
        request.send_header("Set-Cookie", f"c{len(self.requests)}=kept")
        request.end_headers()
        try:
            while is_endless and not self.is_over.is_set():
                request.wfile.write(bytes(65_536))
        except OSError:
            pass  # the exporter has hung up


def _span(one: Any, about: dict[str, Any]) -> CollectedSpan:
    return CollectedSpan(
        one.name,
        one.trace_id,
        one.span_id,
        one.parent_span_id,
        one.start_time_unix_nano,
        one.end_time_unix_nano,
        _plain(one.attributes),
        [link.span_id for link in one.links],
        one.status.code == 2,
        about,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    """Attributes as Python's own values."""
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)
