"""All metrics of controller and relay, read from the code that serves them."""

import ast
import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

Json = dict[str, Any]
OPEN = {  # labels whose values the code does not list
    "version": "that of the controller",
    "mcp": "name of an MCP",
    "access": "name of an access network",
    "attachment": "name of an access network, gateway or MCP",
    "switch": "name of a switch",
    "kind": "kind of alarm",
    "name": "what an alarm is about: its name in the site file, or the kind of a limit",
    "of": "what the copies are of",
    "state": "state of a session",
    "event": "what was to happen to it",
    "reason": "why",
    "task": "what was done",
    "counter": "name of a kernel counter",
    "peer": "name of another controller",
}


class Metric(NamedTuple):
    """One metric. `name`: as in PromQL. `labels`: name -> values that are known beforehand."""

    name: str
    type: str
    labels: dict[str, list[str]]
    sentence: str


class _NothingThere:
    """A view of an empty network, so that labels whose values come from a site have no values."""

    def health(self) -> Json:
        none = {"connected": 0, "known": 0}
        return {"version": "", "uptime_s": 0, "policy_version": 0, "switches": none, "sessions": {}}

    def mcps(self) -> list[Json]:
        return []

    def first_answers(self) -> Json:
        return {"accesses": [], "mcps": []}

    def status(self) -> Json:
        return {"alarms": []}


def of_controller() -> list[Metric]:
    """The controller's metrics, in the order of /metrics."""
    from steering.core.counters import Counters
    from steering.northbound.http.events import EventHub
    from steering.northbound.http.meter import HttpMeter
    from steering.northbound.resources.metrics import Collector
    from steering.runtime.http.rest import DISCONNECTS, MALFORMED

    view: Any = _NothingThere()
    collector = Collector(view, Counters(), HttpMeter(), EventHub("00000000"), MALFORMED, DISCONNECTS)
    return [_of_family(family) for family in collector.collect()]


def of_cluster() -> list[Metric]:
    """The further metrics of a controller in a cluster."""
    from steering.model.cluster import ClusterStatus
    from steering.northbound.resources.cluster_metrics import ClusterMetrics
    from steering.runtime.cluster.cluster_events import CLUSTER_EVENTS

    nothing = ClusterStatus("", True, 0, (), (), (), {})
    return [_of_family(family) for family in ClusterMetrics(lambda: nothing, CLUSTER_EVENTS).collect()]


def _of_family(family: Any) -> Metric:
    ending = {"counter": "_total", "info": "_info"}.get(family.type, "")
    labels: dict[str, list[str]] = {name: [] for name in family._labelnames}
    for sample in family.samples:
        for label, value in sample.labels.items():
            known = labels.setdefault(label, [])
            if label != "le" and value not in known:
                known.append(value)
    labels.pop("le", None)
    if family.type == "info":
        labels = {label: [] for label in labels}  # the label's values change with each release
    return Metric(family.name + ending, family.type, labels, family.documentation)


def of_relay() -> Iterator[Metric]:
    """The relay's own metrics, then the kernel's. Raises SystemExit for a counter without a docstring."""
    from steering.relay import counters
    from steering.relay.observe.metrics import GAUGES, PREFIX

    (found,) = [
        one
        for one in ast.parse(inspect.getsource(counters)).body
        if isinstance(one, ast.ClassDef) and one.name == "RelayCounters"
    ]
    for field, said in zip(found.body, found.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if not (isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant)):
            raise SystemExit(f"steering/relay/counters.py: {field.target.id} wants a sentence below it")
        name, sentence = field.target.id, str(said.value.value).rstrip(".")
        if name in GAUGES:
            yield Metric(f"{PREFIX}_{name}", "gauge", {}, sentence)
        else:
            yield Metric(f"{PREFIX}_{name}_total", "counter", {}, sentence)
    text = "MPTCP counters of the relay's kernel, by the names that nstat has for them"
    yield Metric(f"{PREFIX}_kernel_total", "counter", {"counter": []}, text)
