"""What entries at another owner's switches count is counted by the session's owner: its bytes, and that the session goes on."""

import pytest

from steering.core.inputs import ObservedEntry, SweepRead
from steering.core.peer_facts import PeerTold, PeerUp
from steering.core.peers.passed_counters import COUNTERS
from steering.core.peers.peer_events import PeerEvent
from steering.core.sessions.records import Session, Subflow
from steering.model.kept import KeptUse
from steering.model.network import NetworkAccessType
from steering.model.policy import Policy, PolicyRule, Pooling, RuleConditions, Terms
from steering.wire.crypto import token
from steering.wire.peer_messages import WITH_COUNTERS, JoinCounter, JoinCounters
from tests.support.clustered import Cluster
from tests.support.sites import UE_LTE, UE_WLAN, join, packed

KEY = b"a key  1"
TOKEN = token(1, KEY)
WLAN = NetworkAccessType.WLAN
METERED = Policy(
    rules=(PolicyRule("all", RuleConditions(), Terms(pooling=Pooling(quota_bytes=((WLAN, 1_000),)))),)
)


class Joined(Cluster):
    """A session at a, which a host at c's switch 2 has joined."""

    def __init__(self) -> None:
        super().__init__(policy=METERED)
        self.one: Session = self.session(UE_LTE, 40_000, KEY)
        self.syn(2, 1, join(UE_WLAN, 41_000, TOKEN))
        _, self.join = self.one.subflows
        assert self.join.dpid == 2

    def sweep(self, packets: int, size: int) -> None:
        """c reads what the join's entry has counted."""
        entry = self.one.entry(self.join)
        assert entry is not None
        self.at(2, SweepRead(2, [ObservedEntry(entry, packets, size)], True, True, self.now))

    def told(self) -> list[JoinCounters]:
        return [one for _, _, one in self.sent if isinstance(one, JoinCounters)]

    @property
    def used(self) -> tuple[KeptUse, ...]:
        return self.engines["a"].preferring.used.kept()


@pytest.mark.row("N-5.6.1k3", "D-6.7.1")
def test_bytes_of_a_join_at_anothers_switch_count_towards_its_sessions_quota_once() -> None:
    cluster = Joined()
    cluster.sweep(7, 700)
    cluster.sweep(7, 700)
    assert (cluster.join.packets, cluster.join.bytes) == (7, 700)
    assert cluster.used == (KeptUse(packed(UE_LTE), "wlan", 700),)
    cluster.sweep(9, 900)
    assert cluster.used == (KeptUse(packed(UE_LTE), "wlan", 900),)
    assert not cluster.engines["c"].preferring.used.kept(), "its switch's controller counts nothing"
    assert {(sender, to) for sender, to, one in cluster.sent if isinstance(one, JoinCounters)} == {("c", "a")}


def test_a_session_with_traffic_only_at_anothers_switch_is_active() -> None:
    cluster = Joined()
    began = cluster.one.active
    cluster.now += 500.0
    cluster.sweep(7, 700)
    assert cluster.one.active == cluster.now > began


def test_nothing_is_told_of_entries_that_counted_nothing_nor_to_members_of_earlier_versions() -> None:
    cluster = Joined()
    cluster.sweep(0, 0)
    cluster.give("c", PeerUp("a", WITH_COUNTERS - 1))
    cluster.sweep(7, 700)
    cluster.part("ab", "c")
    cluster.sweep(8, 800)
    assert not cluster.told() and not cluster.used
    cluster.heal()
    cluster.sweep(9, 900)
    assert len(cluster.told()) == 1 and cluster.used[0].used == 900


def flow_of(subflow: Subflow) -> bytes:
    return bytes(subflow.key)


def test_what_a_member_may_not_say_changes_nothing() -> None:
    cluster = Joined()
    first, second = map(flow_of, cluster.one.subflows)
    events = cluster.engines["a"].peers.events
    for name, dpid, flow, is_foreign in (
        ("b", 2, second, True),  # c's switch
        ("c", 1, first, True),  # a's own
        ("c", 99, second, True),
        ("c", 4, second, False),  # the join is at c's other switch
        ("c", 2, first, False),  # no join
        ("c", 2, bytes(12), False),
        ("c", 2, bytes(36), False),
    ):
        before = events[PeerEvent.FOREIGN_SWITCH]
        cluster.give("a", PeerTold(name, JoinCounters(dpid, (JoinCounter(flow, 5, 500),))))
        assert events[PeerEvent.FOREIGN_SWITCH] - before == is_foreign
    assert not cluster.used and cluster.join.bytes == 0


def test_many_counters_are_told_in_messages_of_bounded_size() -> None:
    cluster = Joined()
    entry = cluster.one.entry(cluster.join)
    assert entry is not None
    many = [ObservedEntry(entry._replace(sport=1_000 + n), 1, n) for n in range(COUNTERS + 3)]
    cluster.at(2, SweepRead(2, many, True, True, cluster.now))
    assert [len(one.counters) for one in cluster.told()] == [COUNTERS, 3]
