"""A controller whose certificate is stolen, or that is broken: what it tells is bounded, and is of its own switches alone."""

from steering.core.peer_facts import PeerTold
from steering.core.peers.network_facts import MOST_PORTS
from steering.core.peers.peer_events import PeerEvent
from steering.model.ids import DatapathId, PortNumber
from steering.wire.peer_messages import LinkFact, PortFact
from tests.support.clustered import Cluster

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
