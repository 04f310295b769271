"""The names of all events that a controller counts about its cluster, as in `events` of /v1/cluster."""

from steering.core.snapshots.peers import PEER_EVENTS
from steering.model.cluster import PeerFailure, PolicyEvent, UsageEvent
from steering.openflow.peers.roles import RoleEvent
from steering.runtime.cluster.peer_conversation import PeerFault
from steering.runtime.cluster.share_owners import WRITE_REFUSED

# Values of the label `happened`, shown from zero on.
CLUSTER_EVENTS: tuple[str, ...] = (
    *RoleEvent,
    *PEER_EVENTS,
    *(f"stream-{fault}" for fault in PeerFault),
    *(f"rest-{failure}" for failure in PeerFailure),
    *PolicyEvent,
    *UsageEvent,
    WRITE_REFUSED,
)
