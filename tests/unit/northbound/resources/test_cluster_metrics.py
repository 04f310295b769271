"""/metrics in a cluster: whose series they are, and what is known of the others."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from webob import Request

from steering.model.cluster import ClusterMember, ClusterStatus
from steering.northbound.resources.cluster_metrics import MOST_REMEMBERED, ClusterMetrics
from steering.runtime.cluster.cluster_events import CLUSTER_EVENTS
from tests.support.fixed_view import TOKEN, served
from tests.support.standing_cluster import STATUS, StandingCluster


def samples(cluster: StandingCluster | None) -> list[Any]:
    request = Request.blank("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    text = str(request.get_response(served(cluster=cluster)).text)
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def by(name: str, label: str) -> dict[str, float]:
    return {one.labels[label]: one.value for one in samples(StandingCluster()) if one.name == name}


def test_every_series_names_its_controller() -> None:
    found = samples(StandingCluster())
    assert len(found) > 100 and {one.labels.get("controller") for one in found} == {"b"}
    assert {one.name for one in samples(None)} < {one.name for one in found}


def test_one_controller_alone_has_no_such_label_and_no_peers() -> None:
    found = samples(None)
    assert not any("controller" in one.labels for one in found)
    assert not any(
        one.name.startswith(("steering_peer", "steering_etcd", "steering_cluster")) for one in found
    )


def test_peers_are_told_whether_they_are_reached_or_not() -> None:
    assert by("steering_peer_up", "peer") == {"a": 1, "c": 0, "gone": 0}
    assert by("steering_peer_unread_bytes", "peer") == {"a": 17, "gone": 0}
    assert by("steering_peer_tokens", "peer") == {"a": 5, "gone": 0}
    assert by("steering_peer_whole", "peer") == {"a": 1, "gone": 0}


def test_a_controller_that_is_gone_is_told_as_unreached() -> None:
    there = [STATUS]
    metrics = ClusterMetrics(lambda: there[-1])

    def up() -> dict[str, float]:
        (family,) = [one for one in metrics.collect() if one.name == "steering_peer_up"]
        return {one.labels["peer"]: one.value for one in family.samples}

    assert up() == {"a": 1, "c": 0, "gone": 0}
    there.append(STATUS._replace(members=(ClusterMember("b", ""),), peers=(), streams=()))
    assert up() == {"a": 0, "c": 0, "gone": 0}
    there.append(STATUS)
    assert up() == {"a": 1, "c": 0, "gone": 0}


def test_events_that_are_known_beforehand_begin_at_zero() -> None:
    metrics = ClusterMetrics(lambda: STATUS, ("rest-silent", "taken-over"))
    (family,) = [one for one in metrics.collect() if one.name == "steering_cluster_events"]
    told = {one.labels["happened"]: one.value for one in family.samples if one.name.endswith("_total")}
    assert told == {"rest-silent": 3, "taken-over": 0}
    request = Request.blank("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    shown = served(cluster=StandingCluster(), cluster_events=CLUSTER_EVENTS)
    text = str(request.get_response(shown).text)
    for event in CLUSTER_EVENTS:
        count = 3 if event == "rest-silent" else 0
        assert f'steering_cluster_events_total{{controller="b",happened="{event}"}} {count}.0\n' in text


def test_of_controllers_with_ever_new_names_the_latest_are_remembered() -> None:
    there = [STATUS]
    metrics = ClusterMetrics(lambda: there[-1])
    for number in range(3 * MOST_REMEMBERED):
        there.append(STATUS._replace(members=(ClusterMember(f"m{number}", ""),)))
        list(metrics.collect())
    (family,) = [one for one in metrics.collect() if one.name == "steering_peer_up"]
    names = {one.labels["peer"] for one in family.samples}
    latest = {f"m{3 * MOST_REMEMBERED - 1 - back}" for back in range(MOST_REMEMBERED - 2)}
    assert names == {"a", "gone"} | latest


def test_how_long_the_last_policy_took_is_told_once_there_was_one() -> None:
    def told(status: ClusterStatus) -> list[float]:
        families = {one.name: one for one in ClusterMetrics(lambda: status).collect()}
        return [one.value for one in families["steering_policy_activation_seconds"].samples]

    assert told(STATUS) == [] and told(STATUS._replace(policy_seconds=0.25)) == [0.25]


def test_shares_etcd_and_events_are_told() -> None:
    assert by("steering_shares", "role") == {"owner": 1, "standby": 1, "none": 1}
    assert by("steering_etcd_up", "controller") == {"b": 0}
    assert by("steering_cluster_events_total", "happened") == {"rest-silent": 3}
