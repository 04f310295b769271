"""What a switch lacks is missed by the controller that decides there."""

import pytest

from steering.core.engine import Engine
from steering.core.inputs import Tick
from steering.model.policy import Policy
from steering.model.supervision import ThingKind
from tests.support.clustered import Cluster
from tests.support.sites import off_path_site

SWITCH, ATTACHMENT, MCP = ThingKind.SWITCH, ThingKind.ATTACHMENT, ThingKind.MCP


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_standby_misses_no_switch_that_is_there_nor_what_is_attached(elsewhere: bool) -> None:
    engine = Engine(off_path_site(), Policy(), epoch=7, elsewhere=lambda dpid: elsewhere and dpid != 5)
    engine.handle(Tick(), 100.0)
    missing = {(thing.kind, thing.key) for thing in engine.presence.missing}
    switches = {key for kind, key in missing if kind is SWITCH}
    assert switches == ({5} if elsewhere else {1, 2, 3, 4, 5})
    assert {key.dpid for kind, key in missing if kind is ATTACHMENT} == switches
    assert len([key for kind, key in missing if kind is MCP]) == (1 if elsewhere else 2)


def test_an_owner_misses_the_switches_of_owners_that_it_cannot_reach() -> None:
    cluster = Cluster()
    cluster.later(1.1)
    assert not cluster.engines["a"].presence.missing
    cluster.part("a", "bc")
    cluster.later(1.1)
    missing = cluster.engines["a"].presence.missing
    assert {thing.key for thing in missing if thing.kind is SWITCH} == {2, 3, 4, 5}
