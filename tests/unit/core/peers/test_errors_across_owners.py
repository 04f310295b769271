"""ICMP errors about what an MCP sent reach that MCP also where they come in at another controller's switch than the session's."""

import pytest

from steering.core.outputs import Release
from steering.core.packet_inputs import IcmpErrorSeen
from steering.core.peer_facts import PeerTold, PeerUp
from steering.core.peers.passed_segments import LONGEST_ERROR
from steering.core.peers.peer_events import PeerEvent
from steering.model.ids import DatapathId, PortNumber
from steering.model.policy import Policy
from steering.wire.crypto import token
from steering.wire.icmp import quoted_flow
from steering.wire.peer_messages import WITH_LEG_ERRORS, ForwardedError
from tests.support.clustered import Cluster
from tests.support.icmp_errors import QuotedSegment, too_big
from tests.support.sites import SERVER, UE_LTE, UE_WLAN, capable, join
from tests.support.switched import V6

KEY = b"a key  1"
TOKEN = token(1, KEY)
SERVICE, NARROW = 5201, 1300
WLAN, GATEWAY = (2, 1), (4, 1)  # c's; LTE's switch is a's
ROUTER = {4: "10.9.0.99", 6: "fd00:9::99"}


def error(src: str, sport: int, dst: str, dport: int) -> bytes:
    """The frame of an error about a segment between these ends."""
    family = 6 if ":" in src else 4
    kind = b"\x86\xdd" if family == 6 else b"\x08\x00"
    return bytes(12) + kind + too_big(ROUTER[family], QuotedSegment(src, sport, dst, dport, 1), NARROW)


def comes(cluster: Cluster, at: tuple[int, int], frame: bytes) -> list[Release]:
    """What is let go when a copy of the error comes from a switch."""
    dpid, port = DatapathId(at[0]), PortNumber(at[1])
    outputs = cluster.at(dpid, IcmpErrorSeen(dpid, port, quoted_flow(frame), frame))
    assert all(isinstance(one, Release) for one in outputs)
    return [one for one in outputs if isinstance(one, Release)]


def told(cluster: Cluster) -> list[tuple[str, str]]:
    return [(sender, to) for sender, to, one in cluster.sent if isinstance(one, ForwardedError)]


@pytest.mark.row("D-6.7.5a")
@pytest.mark.parametrize(("host", "server"), [(UE_LTE, SERVER), (V6[UE_LTE], V6[SERVER])])
def test_an_error_about_a_server_leg_comes_to_the_sessions_owner_from_the_gateways(
    host: str, server: str
) -> None:
    cluster = Cluster()
    cluster.syn(1, 1, capable(host, 40_000, dst=server))
    (session,) = cluster.engines["a"].sessions.table
    frame = error(host, 40_000, server, SERVICE)
    (release,) = comes(cluster, GATEWAY, frame)
    outside = cluster.engines["a"].map.outside[session.mcp].id
    assert (release.dpid, release.in_port, release.waypoint, release.frame) == (*GATEWAY, outside, frame)
    assert told(cluster) == [("c", "a")]
    assert [cluster.engines[name].counters.leg_errors for name in "ac"] == [1, 0]


@pytest.mark.row("D-6.7.5a")
def test_an_error_about_what_an_mcp_sends_on_a_join_comes_to_who_has_the_join() -> None:
    cluster = Cluster()
    session = cluster.session(UE_LTE, 40_000, KEY)
    cluster.syn(*WLAN, join(UE_WLAN, 41_000, TOKEN))
    (release,) = comes(cluster, WLAN, error(SERVER, SERVICE, UE_WLAN, 41_000))
    inside = cluster.engines["a"].map.inside[session.mcp].id
    assert (release.dpid, release.in_port, release.waypoint) == (*WLAN, inside)


def test_an_error_about_a_session_here_is_told_to_nobody() -> None:
    cluster = Cluster(policy=Policy(max_stretch=9.0))  # no MCP is near that access
    cluster.syn(*WLAN, capable(UE_WLAN, 40_000))
    (release,) = comes(cluster, GATEWAY, error(UE_WLAN, 40_000, SERVER, SERVICE))
    assert release.dpid == GATEWAY[0] and told(cluster) == []


def test_nothing_is_told_to_members_of_earlier_versions_or_of_errors_that_are_too_long() -> None:
    cluster = Cluster()
    cluster.session(UE_LTE, 40_000, KEY)
    frame = error(UE_LTE, 40_000, SERVER, SERVICE)
    assert comes(cluster, GATEWAY, frame.ljust(LONGEST_ERROR + 1, b"\0")) == []
    cluster.give("c", PeerUp("a", WITH_LEG_ERRORS - 1))
    assert comes(cluster, GATEWAY, frame) == []
    assert told(cluster) == []
    cluster.give("c", PeerUp("a", WITH_LEG_ERRORS))
    assert len(comes(cluster, GATEWAY, frame.ljust(LONGEST_ERROR, b"\0"))) == 1


def test_what_a_member_may_not_say_is_counted_and_lets_nothing_go() -> None:
    cluster = Cluster()
    cluster.session(UE_LTE, 40_000, KEY)
    frame = error(UE_LTE, 40_000, SERVER, SERVICE)
    events = cluster.engines["a"].peers.events
    for name, dpid, data, event in (
        ("b", 4, frame, PeerEvent.FOREIGN_SWITCH),  # c's
        ("c", 1, frame, PeerEvent.FOREIGN_SWITCH),  # a's own
        ("c", 99, frame, PeerEvent.FOREIGN_SWITCH),
        ("c", 4, b"", PeerEvent.OUT_OF_PLACE),
        ("c", 4, frame[:40], PeerEvent.OUT_OF_PLACE),
        ("c", 4, error(UE_LTE, 40_001, SERVER, SERVICE), PeerEvent.NOT_MINE),
    ):
        before = events[event]
        assert cluster.give("a", PeerTold(name, ForwardedError(dpid, 1, data))) == []
        assert events[event] == before + 1, (name, dpid, event)
    assert cluster.engines["a"].counters.leg_errors == 0
