"""An MCP stands at one controller's switch and serves hosts of all: all of them know whether it lives."""

import pytest

from steering.core.inputs import ChannelProved, McpReport, PortStatus
from steering.core.outputs import ProveChannel
from steering.core.selection.mcp_health import McpFault
from steering.core.sessions.dead_mcps import GRACE
from steering.model.policy import Policy, Timers
from tests.support.clustered import Cluster
from tests.support.sites import UE_LTE

HOLD = 0.5
POLICY = Policy(max_stretch=9, timers=Timers(health_hold=HOLD))


def passes(cluster: Cluster, seconds: float) -> None:
    for _ in range(round(seconds / 0.05)):
        cluster.later(0.05)


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("how", ["word", "port"])
def test_an_mcp_that_dies_at_one_controllers_switch_is_dead_to_all_and_comes_back_to_all(how: str) -> None:
    cluster = Cluster(policy=POLICY)
    session = cluster.session(UE_LTE, 40_000, b"a key  1")
    owner = cluster.engines["a"]
    number = session.mcp
    place = owner.map.inside[number].port
    assert cluster.shares[place.dpid] == "b" and owner.map.mcps[number].name == "core"

    def is_well(well: bool) -> None:
        if how == "word":
            cluster.at(place.dpid, McpReport(number, well, None))
        else:
            cluster.at(place.dpid, PortStatus(place.dpid, place.port, well))

    is_well(False)
    passes(cluster, GRACE + 0.3)
    assert session.ending or session.id not in owner.sessions.table.by_id
    assert all(engine.chooser.health[number].gone for engine in cluster.engines.values())
    assert cluster.session(UE_LTE, 40_001, b"a key  2").mcp not in (0, number)
    is_well(True)
    passes(cluster, HOLD + 0.3)
    told = [engine.chooser.health[number].filtered(cluster.now) for engine in cluster.engines.values()]
    assert told == [None] * len(cluster.engines)


@pytest.mark.row("D-6.7.1")
def test_an_mcp_whose_host_answers_no_probe_of_its_switchs_controller_is_dead_to_all() -> None:
    cluster = Cluster(policy=POLICY)
    session = cluster.session(UE_LTE, 40_000, b"a key  1")
    number = session.mcp
    passes(cluster, 1.0)
    cluster.silent.add(number)
    for _ in range(40):
        for output in cluster.later(0.05):
            if isinstance(output, ProveChannel):
                cluster.at(output.dpid, ChannelProved(output.dpid, cluster.now))
    faults = {engine.chooser.health[number].fault for engine in cluster.engines.values()}
    assert faults == {McpFault.HOST_GONE}
    assert session.ending or session.id not in cluster.engines["a"].sessions.table.by_id
    cluster.silent.clear()
    passes(cluster, HOLD + 1.0)
    assert all(number not in engine.chooser.excluded for engine in cluster.engines.values())


def test_where_the_network_of_reports_fails_no_controller_ends_a_session() -> None:
    cluster = Cluster(policy=POLICY)
    session = cluster.session(UE_LTE, 40_000, b"a key  1")
    mcps = [one.id for one in cluster.site.mcps]
    for step in range(80):
        if step < 20 and step % 2 == 0:  # MCPs report by turns
            cluster.give("b", McpReport(mcps[step // 2 % len(mcps)], True, 0.1, 0.2))
        passes(cluster, 0.05)
    assert {cluster.engines["b"].chooser.health[number].fault for number in mcps} == {McpFault.FROZEN}
    assert not session.ending and session.id in cluster.engines["a"].sessions.table.by_id
