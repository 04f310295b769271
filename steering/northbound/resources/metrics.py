"""Prometheus metrics over the engine's counters and the view.

Label values that are known beforehand are shown from zero on, so that a rate over a series that was never counted is zero
and not absent. No address, token or session is a label (N-7.1).
"""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.utils import floatToGoString

from steering.core.counters import (
    Abort,
    Counters,
    Histogram,
    HostMeterRefusal,
    JoinResult,
    ProbeAnswer,
    SessionReport,
    SpanDrop,
    TraceSkip,
)
from steering.model.authorisation import Authorizer, Verdict
from steering.model.kept import LostPiece
from steering.model.ofperror import ERROR_TYPES, OTHER
from steering.model.refused_connections import ControllerListener, RestRefusal
from steering.model.reservation import ReservationOutcome, ReservationRefusal
from steering.model.rules import PacketClass
from steering.model.session import Refusal, SessionState
from steering.model.standing_work import StandingWork
from steering.model.supervision import AlarmKind
from steering.model.view import Pause, no_pause
from steering.northbound.http.events import EventHub
from steering.northbound.http.meter import HttpMeter
from steering.northbound.schema.view import Json, View
from steering.store.interface import StateRefusal

TIMEOUT = "timeout"
WRITTEN_AT_ONCE = 8  # families of metrics that are written between two pauses

HTTP_CODES = (
    200, 201, 202, 400, 401, 403, 404, 405, 406, 408, 409, 411, 412, 413, 414, 415, 422, 428, 429, 500, 503,
)  # fmt: skip

_PLAIN = (
    ("sessions_started", "M-sessions that were given an MCP"),
    ("sessions_ended", "M-sessions that ended"),
    ("answers_unseen", "M-sessions that live though no copy of their SYN/ACK came: copies ran out"),
    (
        "leg_errors",
        "ICMP errors about a leg of an MCP's, with another's address, that were brought to that MCP",
    ),
    ("sessions_recovered", "M-sessions read back from switches"),
    ("fallbacks", "Connections whose MCP answered without MPTCP and stay pinned as plain TCP"),
    ("natural_syns", "Initial SYNs left on their natural path"),
    ("retransmitted_syns", "Retransmitted initial SYNs, answered like the first"),
    ("challenged_syns", "SYNs on the 5-tuple of a live subflow, put to its MCP"),
    ("flow_mods", "Flow-mods sent"),
    ("spans_sent", "Spans that the collector of traces took"),
    ("floods", "Times an access port's SYN meter was cut, as it got ten times as many"),
)


class Collector:
    """A prometheus_client collector; everything is read at the scrape."""

    def __init__(
        self,
        view: View,
        counters: Counters,
        http: HttpMeter,
        hub: EventHub,
        malformed: Iterable[str] = (),
        disconnects: Iterable[str] = (),
        pause: Pause = no_pause,
    ) -> None:
        self._pause = pause
        self._hub = hub
        self._view = view
        self._counters = counters
        self._http = http
        self._malformed = (*malformed, OTHER)
        self._disconnects = (*disconnects, OTHER)

    def collect(self) -> Iterator[Metric]:
        """All families of metrics, with pauses. The registry writes each family before it asks for the next."""
        for number, family in enumerate(self._families(), 1):
            yield family
            if not number % WRITTEN_AT_ONCE:
                self._pause()

    def _families(self) -> Iterator[Metric]:
        """All families. No iteration over live data of the engine spans two families, since a pause may lie between."""
        yield from self._of_view(self._view.health(), self._view.mcps())
        yield from _of_first_answers(self._view.first_answers())
        yield from self._of_alarms(self._view.status()["alarms"])
        yield from self._of_counters()
        decided = self._counters.decision_seconds
        yield HistogramMetricFamily(
            "steering_decision_seconds",
            "Time of one decision",
            buckets=_buckets(decided),
            sum_value=decided.total,
        )
        yield from _stalls(self._counters.stalls)
        yield from self._of_http()
        yield from self._of_events()

    def describe(self) -> list[Metric]:
        """No metrics: otherwise the registry would call `collect` at registration, before the view can answer."""
        return []

    def _of_view(self, health: Json, mcps: list[Json]) -> Iterator[Metric]:
        yield InfoMetricFamily("steering_build", "Version of the controller", {"version": health["version"]})
        yield _gauge("steering_uptime_seconds", "Since the controller started", health["uptime_s"])
        yield _gauge("steering_policy_version", "Version of the policy in force", health["policy_version"])
        switches = health["switches"]
        yield _gauge("steering_switches_connected", "Switches with a live channel", switches["connected"])
        yield _gauge("steering_switches_known", "Switches of the site or seen", switches["known"])
        states = {state.value: health["sessions"].get(state, 0) for state in SessionState}
        yield _gauges("steering_sessions", "M-sessions by state", "state", states)
        yield _gauge("steering_subflows", "Subflows pinned", sum(mcp["subflows"] for mcp in mcps))
        for key, text in (
            ("sessions", "M-sessions"),
            ("subflows", "Subflows"),
            ("reachable", "1 if reachable"),
        ):
            values = {mcp["name"]: float(mcp[key]) for mcp in mcps}
            yield _gauges(f"steering_mcp_{key}", f"{text}, by MCP", "mcp", values)

    def _of_alarms(self, raised: list[Json]) -> Iterator[Metric]:
        counts = {kind.value: sum(one["alarm"] == kind for one in raised) for kind in AlarmKind}
        yield _gauges("steering_alarms", "Alarms that are raised, by kind", "kind", counts)
        # A name is one of the site file or a kind of limit, and at most 1,024 alarms are raised at once.
        family = GaugeMetricFamily("steering_alarm", "1 while an alarm is raised", labels=["kind", "name"])
        for one in raised:
            family.add_metric([one["alarm"], one["name"]], 1)
        yield family

    def _of_events(self) -> Iterator[Metric]:
        yield _gauge("steering_event_streams", "Event streams open", self._hub.streams)
        text = "Event streams ended because their reader was slow"
        yield CounterMetricFamily("steering_event_streams_dropped", text, value=self._hub.dropped)

    def _of_counters(self) -> Iterator[Metric]:
        have = self._counters
        for name, text in _PLAIN:
            yield CounterMetricFamily(f"steering_{name}", text, value=getattr(have, name))
        classes = {kind.name.lower().replace("_", "-"): have.packet_ins[kind] for kind in PacketClass}
        yield _counter("packet_ins", "Packet-ins by class", "class", classes.items(), tuple(classes))
        yield _counter(
            "joins", "MP_JOIN SYNs by what became of them", "result", have.joins.items(), tuple(JoinResult)
        )
        yield _counter("refusals", "Refused, by reason", "reason", have.refusals.items(), tuple(Refusal))
        yield self._authorisations()
        yield self._session_events()
        became, denied = have.reservations.items(), have.reservations_refused.items()
        yield _counter(
            "reservations", "Reservations, by outcome", "outcome", became, tuple(ReservationOutcome)
        )
        text = "Reservations refused, by reason"
        yield _counter("reservations_refused", text, "reason", denied, tuple(ReservationRefusal))
        text = "What an earlier controller kept and this one could not take back, and what could not be kept"
        yield _counter("not_restored", text, "what", have.not_restored.items(), tuple(LostPiece))
        yield _counter(
            "probe_answers", "Probes of MCPs, by what came of them", "answer", have.probe_answers.items(), tuple(ProbeAnswer),
        )  # fmt: skip
        yield _counter("aborts", "Sessions aborted, by outcome", "outcome", have.aborts.items(), tuple(Abort))
        yield _counter(
            "malformed", "Segments refused unread", "reason", have.malformed.items(), self._malformed
        )
        errors = have.openflow_errors.items()
        yield _counter("openflow_errors", "OpenFlow errors by type", "type", errors, ERROR_TYPES)
        yield _counter("disconnects", "Switches lost", "reason", have.disconnects.items(), self._disconnects)
        text = "Times a listener rested as the process had no descriptor left"
        yield _counter(
            "accept_paused", text, "listener", have.accept_paused.items(), tuple(ControllerListener)
        )
        text = "Idle sessions that gave their entries to others, by access network"
        yield _of_site("idle_pins_evicted", text, ("access",), have.idle_pins_evicted.items())
        text = "Copies that meters did not let through, by what they are of and by access network"
        yield _of_site("copies_lost", text, ("of", "access"), have.copies_lost.items())
        text = "SYNs that the meters of ports did not let through, by attachment; hosts repeat them"
        yield _of_site("syns_dropped", text, ("attachment",), have.syns_dropped.items())
        text = (
            "Known hosts of flooded ports that had no meter of their own for their SYNs, counted each second"
        )
        without = have.host_meters_refused.items()
        yield _counter("host_meters_refused", text, "reason", without, tuple(HostMeterRefusal))
        text = "Times that announcements over a link took a multiple of what they had taken"
        yield CounterMetricFamily("steering_link_trip_outliers", text, value=have.link_trip_outliers)
        text = "Times a host whose port went down was not asked for behind all ports, as others were asked for too often"
        yield CounterMetricFamily("steering_lost_hosts_unasked", text, value=have.lost_hosts_unasked)
        text = "Packets with tags of no attachment, by the switch where they ended"
        yield _of_site("tags_refused", text, ("switch",), have.tags_refused.items())
        text = "What MCPs told of sessions, and what came of it"
        reports = have.session_reports.items()
        yield _counter("session_reports", text, "what", reports, tuple(SessionReport))
        text = "What MCPs reported of sessions and was not believed, by MCP and reason"
        refused = have.session_reports_refused.items()
        yield _of_site("session_reports_refused", text, ("mcp", "reason"), refused)
        text = "Set-ups that were not traced though tracing is on, by reason"
        yield _counter("traces_skipped", text, "reason", have.traces_skipped.items(), tuple(TraceSkip))
        text = "Spans that the collector of traces did not get, by reason"
        yield _counter("spans_dropped", text, "reason", have.spans_dropped.items(), tuple(SpanDrop))
        text = "Exceptions that nobody expected, by the work whose turn they ended"
        yield _counter("work_faults", text, "work", have.work_faults.count.items(), tuple(StandingWork))
        text = "Connections and tokens that REST turned away"
        yield _counter("rest_refused", text, "reason", have.rest_refused.items(), tuple(RestRefusal))

    def _authorisations(self) -> CounterMetricFamily:
        text = "Answers of authorisers that are asked over the network"
        labels = ["authorizer", "outcome"]
        family = CounterMetricFamily("steering_authorisations", text, labels=labels)
        for who in (Authorizer.HTTP, Authorizer.RADIUS):
            for outcome in (*Verdict, TIMEOUT):
                family.add_metric([who, outcome], self._counters.authorisations[who.value, str(outcome)])
        return family

    def _session_events(self) -> CounterMetricFamily:
        text = "What was to happen to a session and cannot in its state: always 0, else a fault of the controller"
        family = CounterMetricFamily("steering_session_events_refused", text, labels=["state", "event"])
        for (state, event), count in self._counters.session_events_refused.items():
            family.add_metric([state, event], count)
        return family

    def _of_http(self) -> Iterator[Metric]:
        text, refused = "What could not be kept, by reason", self._http.state_refused.items()
        yield _counter("state_refused", text, "reason", refused, tuple(StateRefusal))
        text = "Lines of mapping logs that MCPs reported and that are not kept, by MCP and reason"
        yield _of_site("mappings_refused", text, ("mcp", "reason"), self._http.mappings_refused.items())
        codes = {str(code): count for code, count in self._http.codes.items()}
        declared = tuple(map(str, HTTP_CODES))
        yield _counter("http_requests", "Northbound answers by status code", "code", codes.items(), declared)
        yield SummaryMetricFamily(
            "steering_http_request_seconds",
            "Time spent on northbound requests",
            count_value=sum(self._http.codes.values()),
            sum_value=self._http.seconds,
        )


def _of_first_answers(told: Json) -> Iterator[Metric]:
    """Label values are all names of the site file's access networks and MCPs, shown from zero on."""
    for label, rows in (("access", told["accesses"]), ("mcp", told["mcps"])):
        for key, text in (
            ("first_answers", "First answers of MCPs"),
            ("fallbacks", "Those of them without MPTCP"),
        ):
            field = key.removeprefix("first_")
            family = CounterMetricFamily(f"steering_{label}_{key}", f"{text}, by {label}", labels=[label])
            for one in rows:
                family.add_metric([one["name"]], one[field])
            yield family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _counter(
    name: str, text: str, label: str, counts: Iterable[tuple[str, int]], declared: tuple[str, ...]
) -> CounterMetricFamily:
    """A counter with one label. All other values than the declared ones are summed up in the series `other`."""
    family = CounterMetricFamily(f"steering_{name}", text, labels=[label])
    shown = {str(value): 0 for value in declared}
    for value, count in counts:
        known = str(value) if str(value) in shown else OTHER
        shown[known] = shown.get(known, 0) + count
    for value, count in shown.items():
        family.add_metric([value], count)
    return family


def _of_site(
    name: str, text: str, labels: tuple[str, ...], counts: Iterable[tuple[str | tuple[str, ...], int]]
) -> CounterMetricFamily:
    """A counter whose label values are names of the site file, which bounds the number of series."""
    family = CounterMetricFamily(f"steering_{name}", text, labels=labels)
    for of, count in counts:
        family.add_metric([of] if isinstance(of, str) else list(of), count)
    return family


def _buckets(of: Histogram) -> list[tuple[str, float]]:
    """Cumulative buckets, as Prometheus wants them, from the engine's separate ones."""
    buckets: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip((*map(floatToGoString, of.bounds), "+Inf"), of.counts, strict=True):
        below += count
        buckets.append((bound, below))
    return buckets


def _stalls(stalls: Mapping[str, Histogram]) -> Iterator[Metric]:
    text = "Pieces of work longer than 2 ms, during which every packet waits, by what was done"
    family = HistogramMetricFamily("steering_stall_seconds", text, labels=["task"])
    for task, of in stalls.items():
        family.add_metric([task], _buckets(of), of.total)
    yield family
    longest = {task: of.longest for task, of in stalls.items()}
    yield _gauges("steering_longest_stall_seconds", "The longest of them", "task", longest)
