"""A switch whose controller could not write to it takes no entries for a second, as one that is away."""

import pytest

from steering.core.peer_facts import ClusterChanged, WriteRefused
from steering.core.peers.segment_routes import SETTLED
from steering.model.ids import DatapathId
from tests.support.clustered import SHARES, Cluster, steers
from tests.support.sites import capable

GATEWAY = DatapathId(4)  # c's; a's sessions leave there


def offline(cluster: Cluster) -> set[DatapathId]:
    return set(cluster.engines["a"].sessions.readiness.offline)


def settled() -> Cluster:
    """Who decides where is no news."""
    cluster = Cluster()
    cluster.later(SETTLED)
    return cluster


def begins(cluster: Cluster, sport: int) -> bool:
    return bool(steers(cluster.syn(1, 1, capable("10.1.0.2", sport))))


@pytest.mark.row("D-6.7.1")
def test_for_a_second_no_segment_waits_for_an_entry_that_does_not_come() -> None:
    cluster = settled()
    assert begins(cluster, 10_000)
    cluster.give("a", WriteRefused("c", GATEWAY))
    assert GATEWAY in offline(cluster) and not begins(cluster, 10_001)
    cluster.later(0.5)
    assert not begins(cluster, 10_002), "whatever else is told of switches meanwhile"
    cluster.later(0.6)
    assert not offline(cluster) and begins(cluster, 10_003)


def test_a_later_refusal_counts_from_then() -> None:
    cluster = settled()
    cluster.give("a", WriteRefused("c", GATEWAY))
    cluster.later(0.9)
    cluster.give("a", WriteRefused("c", GATEWAY))
    cluster.later(0.9)
    assert GATEWAY in offline(cluster)
    cluster.later(0.2)
    assert not offline(cluster)


def test_who_decides_there_next_is_tried_at_once() -> None:
    cluster = settled()
    cluster.give("a", WriteRefused("c", GATEWAY))
    cluster.give("a", ClusterChanged("a", frozenset(cluster.names), {**SHARES, GATEWAY: "b"}))
    assert GATEWAY not in offline(cluster)
    cluster.give("a", WriteRefused("b", GATEWAY))
    assert GATEWAY not in offline(cluster), "it is not MASTER yet: the host's next SYN is led to its MCP"
    cluster.later(SETTLED)
    cluster.give("a", WriteRefused("b", GATEWAY))
    assert GATEWAY in offline(cluster)


@pytest.mark.parametrize(
    "given", [WriteRefused("b", GATEWAY), WriteRefused("d", GATEWAY), WriteRefused("c", DatapathId(99))]
)
def test_nobody_speaks_for_another_ones_switch(given: WriteRefused) -> None:
    cluster = settled()
    cluster.give("a", given)
    assert not offline(cluster)
