"""The other controllers of the cluster, as one engine knows them."""

from collections.abc import Mapping

from steering.core.clustered_engine import ClusteredEngine
from steering.core.engine import Engine
from steering.core.peers.peer_events import PeerEvent
from steering.model.cluster import PeerStatus

PEER_EVENTS: tuple[str, ...] = tuple(PeerEvent)


def peers(engine: Engine, unread: Mapping[str, int]) -> tuple[PeerStatus, ...]:
    """The status of every other member, sorted by name. Empty where one controller decides for all switches. `unread`:
    name -> bytes sent to this member that it has not read yet."""
    if not isinstance(engine, ClusteredEngine):
        return ()
    exchange = engine.peers
    found = []
    for name in sorted(exchange.members | exchange.reached):
        replica = exchange.replicas.of.get(name)
        tokens, whole = (0, False) if replica is None else (replica.sum.tokens, replica.is_whole)
        found.append(PeerStatus(name, name in exchange.reached, tokens, whole, unread.get(name, 0)))
    return tuple(found)


def peer_events(engine: Engine) -> dict[str, int]:
    """How often each of PEER_EVENTS happened. Events that never happened are left out."""
    if not isinstance(engine, ClusteredEngine):
        return {}
    return {event.value: count for event, count in engine.peers.events.items() if count}


def knows_its_sessions(engine: Engine) -> bool:
    """Whether the session entries of all switches that an engine decides for were read, or the time for that is over."""
    return not engine.sessions.readiness.recovering
