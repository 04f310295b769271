"""The list of all that can happen in a cluster, against the names by which it is counted."""

from steering.runtime.cluster.cluster_events import CLUSTER_EVENTS
from steering.runtime.cluster.peer_conversation import PeerFault
from steering.runtime.cluster.share_owners import events_of


def test_every_event_is_listed_once_under_the_name_that_it_is_counted_by() -> None:
    assert len(set(CLUSTER_EVENTS)) == len(CLUSTER_EVENTS)
    assert set(events_of(dict.fromkeys(PeerFault, 1), None)) < set(CLUSTER_EVENTS)
    assert {"taken-over", "join-passed-on", "rest-silent", "write-refused", "policy-late"} < set(
        CLUSTER_EVENTS
    )
