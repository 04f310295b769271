"""A controller whose certificate is stolen, or that is broken: what it tells is bounded, and is of its own switches alone."""

import pytest

from steering.core.peer_facts import PeerTold
from steering.core.peers.network_facts import MOST_PORTS
from steering.core.peers.peer_events import PeerEvent
from steering.core.peers.token_replicas import FORGOTTEN, SAME, TokenReplica
from steering.model.ids import DatapathId, PortNumber
from steering.wire.peer_messages import (
    LinkFact,
    McpFact,
    NeighbourFact,
    PortFact,
    ReplicaRequest,
    ReplicaStart,
    TokenEntries,
    TokenEntry,
)  # fmt: skip
from tests.support.clustered import Cluster
from tests.support.sites import KEY, UE_LTE

WLAN = DatapathId(2)  # c's


def test_ports_that_a_controller_tells_of_its_switch_are_bounded_and_the_sites_have_room() -> None:
    cluster = Cluster()
    engine = cluster.engines["a"]
    ports = engine.switches[WLAN].ports
    (named,) = [port.port for port in engine.map.attachments if port.dpid == WLAN]
    del ports[named]
    for number in range(1_000, 6_000):
        engine.handle(PeerTold("c", PortFact(WLAN, number, True)), cluster.now)
    assert len(ports) == MOST_PORTS
    assert engine.peers.events[PeerEvent.FOREIGN_SWITCH] >= 5_000 - MOST_PORTS
    engine.handle(PeerTold("c", PortFact(WLAN, named, True)), cluster.now)
    assert ports[named] is True
    engine.handle(PeerTold("c", PortFact(WLAN, 1_000, False)), cluster.now)
    assert ports[PortNumber(1_000)] is False, "a port that is known changes"


def test_a_link_that_the_site_does_not_name_is_counted_and_not_believed() -> None:
    cluster = Cluster()
    engine = cluster.engines["a"]
    before = engine.peers.events[PeerEvent.FOREIGN_SWITCH]
    for number in range(100):
        engine.handle(
            PeerTold("c", LinkFact(WLAN, 1_000 + number, 77, number, bool(number % 2))), cluster.now
        )
    assert engine.peers.events[PeerEvent.FOREIGN_SWITCH] == before + 100
    assert not engine.links._unconfirmed
    assert not engine.graph.core_ports(WLAN) & set(range(1_000, 1_100))
    (link,) = [one for one in cluster.site.links if WLAN in (one.a.dpid, one.b.dpid)]
    near, far = (link.a, link.b) if link.a.dpid == WLAN else (link.b, link.a)
    for up in (False, True):
        engine.handle(PeerTold("c", LinkFact(near.dpid, near.port, far.dpid, far.port, up)), cluster.now)
    assert engine.peers.events[PeerEvent.FOREIGN_SWITCH] == before + 100


def test_a_controller_speaks_of_no_mcp_behind_anothers_switch() -> None:
    cluster = Cluster()
    engine = cluster.engines["a"]
    (core, _) = cluster.site.mcps
    at = engine.map.inside[core.id].id
    mac, before = engine.neighbours.transit.mac_of(at), engine.peers.events[PeerEvent.FOREIGN_SWITCH]
    assert cluster.shares[core.inside.dpid] == "b" and mac is not None
    lies = (
        McpFact(core.id, False),
        McpFact(0xFFFF, False),  # nobody's
        NeighbourFact(core.inside.dpid, core.inside.port, bytes(6), core.addresses[0].packed),
        NeighbourFact(WLAN, 1, bytes(6), core.addresses[0].packed),  # at a port of its own
    )
    for lie in lies:
        engine.handle(PeerTold("c", lie), cluster.now)
    assert engine.peers.events[PeerEvent.FOREIGN_SWITCH] == before + len(lies)
    assert not engine.chooser.health[core.id].gone and engine.neighbours.transit.mac_of(at) == mac


@pytest.mark.parametrize("servers", [1, 6_000])
def test_sessions_that_have_one_token_are_bounded(servers: int) -> None:
    replica = TokenReplica()
    entries = [TokenEntry(7, 1, (n % servers).to_bytes(4, "big"), 80) for n in range(6_000)]
    assert replica.add(entries) == 6_000 - SAME and replica.sum.tokens == SAME
    assert not replica.remove(entries[:SAME]) and not replica.facts
    assert replica.sum.tokens == 0 and replica.sum.digest == 0, "what was left out is not in the sum"


def test_sessions_of_one_controller_are_bounded_whatever_their_tokens_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steering.core.peers.token_replicas.MOST", 10)
    replica = TokenReplica()
    assert replica.add([TokenEntry(n % 2, 1, b"\1\2\3\4", 80) for n in range(10)]) == 0
    assert replica.add([TokenEntry(9, 1, b"\1\2\3\4", 80)]) == 1 and len(replica.facts) == 2


def test_who_begins_to_tell_everything_again_and_again_waits_and_others_do_not() -> None:
    cluster = Cluster()
    engine = cluster.engines["a"]
    events = engine.peers.events
    one = TokenEntries((TokenEntry(7, 1, b"\1\2\3\4", 80),))
    for _ in range(100):
        for message in (ReplicaStart(), one):
            engine.handle(PeerTold("c", message), cluster.now)
    refused = events[PeerEvent.NO_ROOM]
    assert 100 - FORGOTTEN <= refused < 200
    assert len(engine.peers.replicas._over) == FORGOTTEN
    engine.handle(PeerTold("b", ReplicaStart()), cluster.now)
    assert events[PeerEvent.NO_ROOM] == refused
    # Told again by the honest one, all is well: the digest finds what is left of the lies.
    for _ in range(3):
        cluster.later(5.0)
    cluster.later(0.05)
    assert (
        engine.peers.is_whole and not engine.peers.replicas.of["c"].facts and not engine.peers.replicas._over
    )


def test_however_often_everything_is_asked_for_it_is_told_once() -> None:
    cluster = Cluster()
    cluster.session(UE_LTE, 40_000, KEY)
    engine = cluster.engines["a"]
    for _ in range(100):
        assert not engine.handle(PeerTold("c", ReplicaRequest()), cluster.now)
    cluster.sent.clear()
    for wanted in (1, 1, 2):
        cluster.later(0.5)
        begun = [to for sender, to, one in cluster.sent if sender == "a" and isinstance(one, ReplicaStart)]
        assert begun == ["c"] * wanted
        engine.handle(PeerTold("c", ReplicaRequest()), cluster.now)


def test_a_replica_that_could_not_begin_is_asked_for() -> None:
    cluster = Cluster()
    engine = cluster.engines["a"]
    engine.peers.replicas.forget("c")
    cluster.later(5.0)
    cluster.later(0.05)
    assert engine.peers.is_whole
