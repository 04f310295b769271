"""Switches of other controllers that take no entries for a while, since their controllers could not write to them."""

import pytest

from steering.core.peer_facts import PeerLost, PeerTold, PeerUp, WriteMissed
from steering.core.peers.peer_events import PeerEvent
from steering.core.peers.peer_switches import MISSING
from steering.model.ids import DatapathId
from steering.model.session import Refusal
from steering.openflow.peer_traffic import PeerTraffic
from steering.wire.peer_messages import WriteResult
from tests.support.clustered import Cluster, steers
from tests.support.sites import UE_LTE, capable

EDGE, GATEWAY = DatapathId(1), DatapathId(4)  # of a, and of c


def may_begin(cluster: Cluster, sport: int) -> bool:
    """Whether a session is led to an MCP that begins at the edge and leaves by the gateway."""
    refusals = cluster.engines["a"].counters.refusals
    before = refusals[Refusal.MCP_UNREACHABLE]
    led = bool(steers(cluster.syn(EDGE, 1, capable(UE_LTE, sport))))
    assert led is (refusals[Refusal.MCP_UNREACHABLE] == before)
    return led


def test_a_gateway_that_its_controller_could_not_write_to_takes_no_session_for_a_second() -> None:
    cluster = Cluster()
    assert may_begin(cluster, 40_000)
    cluster.give("a", WriteMissed("c", GATEWAY))
    assert not may_begin(cluster, 40_001)
    assert cluster.engines["a"].peers.events[PeerEvent.SWITCH_MISSED] == 1
    cluster.later(MISSING / 2)
    assert not may_begin(cluster, 40_002)
    cluster.later(MISSING)
    assert may_begin(cluster, 40_003)


def test_it_takes_none_either_when_its_controller_is_heard_again_meanwhile() -> None:
    cluster = Cluster()
    cluster.give("a", WriteMissed("c", GATEWAY))
    cluster.give("a", PeerLost("c"))
    cluster.give("a", PeerUp("c"))
    assert not may_begin(cluster, 40_000)
    cluster.later(2 * MISSING)
    assert may_begin(cluster, 40_001)


@pytest.mark.parametrize("dpid", [EDGE, 3, 99])
def test_who_speaks_for_a_switch_that_is_not_its_own_changes_nothing(dpid: int) -> None:
    cluster = Cluster()
    cluster.give("a", WriteMissed("c", DatapathId(dpid)))
    assert cluster.engines["a"].peers.events[PeerEvent.FOREIGN_SWITCH] == 1
    assert may_begin(cluster, 40_000)


def test_a_write_that_was_asked_for_and_not_done_is_told_and_no_other() -> None:
    told: list[WriteMissed] = []
    confirmed: list[int] = []
    traffic = PeerTraffic(
        {}, lambda told: None, lambda: None, lambda dpid, xid, now: confirmed.append(xid), iter(range(9)), told.append
    )  # fmt: skip
    traffic.lines._remote.clear()
    for request in (5, 6, 7):
        traffic.lines._asked[request] = (GATEWAY, "c")
    for name, request, done in (
        ("c", 5, True),
        ("c", 6, False),
        ("c", 6, False),
        ("b", 7, False),
        ("c", 8, False),
    ):
        assert traffic.takes(PeerTold(name, WriteResult(request, done)), 1.0)
    assert told == [WriteMissed("c", GATEWAY)] and confirmed == [5]
