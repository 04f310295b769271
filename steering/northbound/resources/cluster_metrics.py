"""Prometheus metrics of a controller's part in a cluster, and a label with the controller's name for all series."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from steering.model.cluster import MOST_MEMBERS, ClusterStatus, ShareRole

LABEL = "controller"
MOST_REMEMBERED = 2 * MOST_MEMBERS  # other controllers: the most members, and as many that have left


class ClusterMetrics:
    """A prometheus_client collector. `status` is called at each scrape. A peer that has left is shown as not reached for as
    long as this controller runs, up to MOST_REMEMBERED names: a dead controller remains a member for some seconds only, and
    a series that ends before the next scrape raises no alert. `happened`: events whose series begin at zero; a counter that
    appears with its first increase shows no increase."""

    def __init__(self, status: Callable[[], ClusterStatus], happened: Iterable[str] = ()) -> None:
        self._status = status
        self._happened = tuple(happened)
        self._seen: dict[str, None] = {}  # names of other controllers, the one seen last at the end

    def collect(self) -> Iterator[Metric]:
        told = self._status()
        text = "1 while etcd answers"
        yield GaugeMetricFamily("steering_etcd_up", text, value=float(told.reached))
        others = {one.id for one in told.members} - {told.controller} | {one.name for one in told.peers}
        reached = {name: float(name in told.streams) for name in self._remembered(others)}
        yield _of_peers("up", "1 while the stream with another controller is open", reached)
        unread = {one.name: float(one.unread) for one in told.peers}
        yield _of_peers("unread_bytes", "What another controller was told and has not taken", unread)
        tokens = {one.name: float(one.tokens) for one in told.peers}
        yield _of_peers("tokens", "Tokens of another controller's sessions that are known here", tokens)
        whole = {one.name: float(one.whole) for one in told.peers}
        yield _of_peers("whole", "1 when another controller has told all of its tokens", whole)
        yield self._shares(told)
        text = "Seconds from when this controller saw the last policy to its activation here"
        took = GaugeMetricFamily("steering_policy_activation_seconds", text)
        if told.policy_seconds is not None:
            took.add_metric([], told.policy_seconds)
        yield took
        family = CounterMetricFamily(
            "steering_cluster_events", "What happened to this controller's part in the cluster", labels=["happened"]
        )  # fmt: skip
        for happened, count in sorted((dict.fromkeys(self._happened, 0) | dict(told.events)).items()):
            family.add_metric([happened], count)
        yield family

    def _remembered(self, others: set[str]) -> list[str]:
        """The names of present and past peers, sorted. Above MOST_REMEMBERED the one seen longest ago is forgotten."""
        for name in sorted(others):
            self._seen.pop(name, None)
            self._seen[name] = None
        while len(self._seen) > MOST_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return sorted(self._seen)

    def _shares(self, told: ClusterStatus) -> Metric:
        counts = dict.fromkeys(ShareRole, 0)
        for _, share in told.shares:
            if share.owner.controller == told.controller:
                counts[ShareRole.OWNER] += 1
            elif share.grant_of(told.controller) is not None:
                counts[ShareRole.STANDBY] += 1
            else:
                counts[ShareRole.NONE] += 1
        text = "Shares of the switches, by what this controller is to them"
        family = GaugeMetricFamily("steering_shares", text, labels=["role"])
        for role, count in counts.items():
            family.add_metric([role.value], count)
        return family

    def describe(self) -> list[Metric]:
        """No metrics: the registry calls this when the collector is registered, before there is a cluster to ask."""
        return []


class LabelledMetrics:
    """A prometheus_client collector that adds a label with this controller's name to every series of other collectors. So
    the series of several controllers stay apart wherever they are scraped from."""

    def __init__(self, controller: Callable[[], str], *sources: Callable[[], Iterable[Metric]]) -> None:
        self._controller = controller
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        name = self._controller()
        for source in self._sources:
            for family in source():
                family.samples = [
                    sample._replace(labels={**sample.labels, LABEL: name}) for sample in family.samples
                ]
                yield family

    def describe(self) -> list[Metric]:
        """No metrics: otherwise the registry would call `collect` when this collector is registered."""
        return []


def _of_peers(name: str, text: str, values: dict[str, float]) -> Metric:
    family = GaugeMetricFamily(f"steering_peer_{name}", text, labels=["peer"])
    for peer, value in values.items():
        family.add_metric([peer], value)
    return family
