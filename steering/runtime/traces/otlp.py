"""Sends spans to a collector by OTLP over HTTP, with OpenTelemetry's own SDK and exporter (`steering[otel]`).

The library is loaded when a `TraceCollector` is made. A thread of the operating system exports the spans, because
encoding takes processor time, looking up a name blocks, and a collector may be slow or never answer. The hub only puts
each ended span into a bounded queue.


The exporting thread runs the library as eventlet patched it, so that thread gets a hub of its own when it waits for a
socket. The two threads must not share a lock of eventlet's. So the queue is Python's SimpleQueue, written in C, each
counter has one writer, and the library's loggers, whose handlers have such locks, are off. Failures are counted, and the
hub's thread logs them.
"""

import logging
from collections.abc import Callable
from time import monotonic, monotonic_ns, time_ns
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import eventlet
from eventlet import patcher

from steering import __version__
from steering.core.counters import Counters, SpanDrop
from steering.core.engine import Engine
from steering.model.log_limit import LogLimit, and_more
from steering.runtime.settings import Settings, SettingsError
from steering.runtime.traces.open_trace import Attributes
from steering.runtime.traces.set_up_traces import SetUpTraces

MOST_QUEUED = 4_096  # most spans that wait to be sent
BATCH = 512  # most spans in a request
GATHER = 1.0  # seconds that a batch waits for more spans
FLUSH = 2.0  # most seconds that a stop waits for queued spans
LOG_INTERVAL = 60.0  # seconds between log lines about a collector that takes no spans
TRACES = "v1/traces"  # below a collector's base URL (OTLP specification, OTLP/HTTP Request)
MISSING = "--otlp: OpenTelemetry is not installed: pip install 'steering[otel]'"
_NOISY = ("opentelemetry", "requests", "urllib3", "charset_normalizer")
_END = object()

log = logging.getLogger(__name__)


class SpanQueue:
    """Spans that wait to be sent. `export` sends a list of spans, and returns whether the collector took them; from
    `start` on it is called in a thread of its own. `why`: the reason of the last failure."""

    def __init__(
        self,
        export: Callable[[list[Any]], bool],
        counters: Counters,
        most: int = MOST_QUEUED,
        why: Callable[[], str] = lambda: "",
    ) -> None:
        self._export = export
        self._counters = counters
        self._most = most
        self._why = why
        self._spans = patcher.original("queue").SimpleQueue()
        self._thread = patcher.original("threading").Thread(target=self._run, name="otlp", daemon=True)
        self._told = 0  # spans not taken by the collector that the log has reported
        self._lines = LogLimit(LOG_INTERVAL)

    def start(self) -> None:
        self._thread.start()

    def put(self, span: Any) -> None:
        """Take a span that has ended; never waits. A span for which there is no room is counted."""
        dropped = self._counters.spans_dropped
        if self._spans.qsize() >= self._most:
            dropped[SpanDrop.QUEUE_FULL] += 1
        else:
            self._spans.put(span)
        failed = dropped[SpanDrop.NOT_TAKEN]
        if failed != self._told:
            more = self._lines.left_out("collector", monotonic())
            if more is not None:
                count, self._told = failed - self._told, failed
                log.warning(
                    "the collector of traces did not take %d spans (%s)%s", count, self._why(), and_more(more)
                )

    def stop(self, seconds: float = FLUSH) -> bool:
        """Send the queued spans, for at most `seconds`, while other greenthreads run. Returns whether all were sent."""
        self._spans.put(_END)
        until = monotonic() + seconds
        while self._thread.is_alive() and monotonic() < until:
            eventlet.sleep(0.01)
        if self._thread.is_alive():
            log.warning("the collector of traces did not take what was left within %g s", seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch, is_last = self._gathered()
            if batch and not self._is_taken(batch):
                self._counters.spans_dropped[SpanDrop.NOT_TAKEN] += len(batch)

    def _gathered(self) -> tuple[list[Any], bool]:
        """The next spans to be sent, and whether they are the last ones."""
        span = self._spans.get()
        batch: list[Any] = []
        until = monotonic() + GATHER
        while span is not _END:
            batch.append(span)
            left = until - monotonic()
            if len(batch) >= BATCH or left <= 0:
                return batch, False
            try:
                span = self._spans.get(timeout=left)
            except patcher.original("queue").Empty:
                return batch, False
        return batch, True

    def _is_taken(self, batch: list[Any]) -> bool:
        try:
            is_taken = self._export(batch)
        except Exception:
            return False
        if is_taken:
            self._counters.spans_sent += len(batch)
        return is_taken


class OtlpSpan:
    """One trace's root span, and its children. Times are seconds of the monotonic clock."""

    def __init__(self, api: Any, tracer: Any, name: str, now: float, attributes: Attributes) -> None:
        self._api = api
        self._tracer = tracer
        self._offset = (
            time_ns() - monotonic_ns()
        )  # one for the whole trace, so a step of the clock does not distort it
        self._span = tracer.start_span(
            name, context=api.context.Context(), start_time=self._at(now), attributes=attributes
        )
        self._within = api.trace.set_span_in_context(self._span, api.context.Context())

    @property
    def context(self) -> Any:
        """The context by which other traces link to this one."""
        return self._span.get_span_context()

    def child(self, name: str, begun: float, ended: float, attributes: Attributes) -> None:
        """Add a child span for a phase of the set-up that is over."""
        span = self._tracer.start_span(
            name, context=self._within, start_time=self._at(begun), attributes=attributes
        )
        span.end(self._at(max(begun, ended)))

    def note(self, name: str, now: float) -> None:
        self._span.add_event(name, timestamp=self._at(now))

    def add(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def link(self, other: Any) -> None:
        self._span.add_link(other)

    def end(self, now: float, attributes: Attributes, is_failed: bool) -> None:
        self._span.set_attributes(attributes)
        if is_failed:
            self._span.set_status(self._api.trace.StatusCode.ERROR)
        self._span.end(self._at(now))

    def _at(self, seconds: float) -> int:
        """A time of the monotonic clock in nanoseconds since 1970."""
        return int(seconds * 1e9) + self._offset


class SpanMaker:
    """Makes root spans. `take` gets every span, root or child, when it has ended. Raises SettingsError without the
    library."""

    def __init__(self, take: Callable[[Any], None], instance: str = "") -> None:
        """`instance`: this controller's name among several."""
        try:
            import opentelemetry.context
            import opentelemetry.trace
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
        except ImportError:
            raise SettingsError(MISSING) from None

        class EndedSpans(SpanProcessor):
            def on_end(self, span: Any) -> None:
                take(span)

        about = {"service.name": "steering", "service.version": __version__}
        if instance:
            about["service.instance.id"] = instance
        provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        provider.add_span_processor(EndedSpans())
        self._api = opentelemetry
        self._tracer = provider.get_tracer("steering", __version__)

    def begin(self, name: str, now: float, attributes: Attributes) -> OtlpSpan:
        return OtlpSpan(self._api, self._tracer, name, now, attributes)


class TraceExporter(NamedTuple):
    """`send` sends spans and returns whether the collector took them. `why` returns the reason of the last failure."""

    send: Callable[[list[Any]], bool]
    why: Callable[[], str]


def exporter(url: str) -> TraceExporter:
    """The exporter to the collector at the base URL `url`. With "" the environment names the collector
    (OTEL_EXPORTER_OTLP_...). The environment also sets headers, time-out, certificates and compression. Raises
    SettingsError without the library."""
    from http.cookiejar import DefaultCookiePolicy

    try:
        import requests
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SpanExportResult
    except ImportError:
        raise SettingsError(MISSING) from None

    class BoundedSession(requests.Session):
        """Reads only the head of an answer: a body may have any length, and is not needed. `taken`: whether the last
        answer was a success. A redirect is no success, and is not followed."""

        said = ""
        taken = False

        def __init__(self) -> None:
            super().__init__()
            self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

        def get_redirect_target(self, resp: Any) -> None:
            """None: the original method reads the whole body."""

        def request(self, *args: Any, **more: Any) -> Any:
            self.taken = False
            try:
                answer = super().request(*args, **{**more, "stream": True})
            except Exception as error:
                self.said = type(error).__name__
                raise
            answer.close()
            self.taken = 200 <= answer.status_code < 300
            self.said = f"status {answer.status_code}"
            return answer

    session = BoundedSession()
    made = OTLPSpanExporter(endpoint=traces_url(url) or None, session=session)
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] in _NOISY:
            logging.getLogger(name).disabled = True

    def send(spans: list[Any]) -> bool:
        return made.export(spans) is SpanExportResult.SUCCESS and session.taken

    return TraceExporter(send, lambda: session.said)


def traces_url(url: str) -> str:
    """The URL for spans: TRACES below a collector's base URL, as OpenTelemetry's specification says. A URL that ends in
    TRACES stays as it is."""
    if not url or urlsplit(url).path.endswith(f"/{TRACES}"):
        return url
    return f"{url.rstrip('/')}/{TRACES}"


class ExportedTraces(SetUpTraces):
    """Traces of set-ups, and the queue of spans that are to be sent."""

    def __init__(
        self, engine: Engine, counters: Counters, maker: SpanMaker, rate: int, queue: SpanQueue
    ) -> None:
        super().__init__(engine, counters, maker.begin, rate)
        self._queue = queue

    def start(self) -> None:
        """Send spans from now on."""
        self._queue.start()

    def stop(self, seconds: float = FLUSH) -> None:
        """End the open traces, and send the queued spans, as far as the collector takes them within `seconds`."""
        self.close()
        self._queue.stop(seconds)


class TraceCollector:
    """The collector that the settings name. Raises SettingsError without the library."""

    def __init__(self, settings: Settings) -> None:
        self._exporter = exporter(settings.otlp or "")
        self._instance = "" if settings.cluster is None else settings.cluster.name
        self._rate = settings.otlp_rate

    def traces(self, engine: Engine, counters: Counters) -> ExportedTraces:
        """An object that traces the set-ups of `engine` and sends the traces to this collector."""
        queue = SpanQueue(self._exporter.send, counters, why=self._exporter.why)
        return ExportedTraces(engine, counters, SpanMaker(queue.put, self._instance), self._rate, queue)
