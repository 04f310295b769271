"""Pairs of accesses of every kind, MCPs in several places, and hosts that leave their cell."""

import networkx as nx
import pytest

from tests.lab.running import Ran, assert_held
from topologies.kit.plan import split_port
from topologies.scenarios.handover import PLAN as HANDOVER


@pytest.mark.row("D-6.2c", "D-4.2c")
@pytest.mark.lab("on-path-self")
def test_a_join_that_misses_an_in_line_mcp_is_brought_back_to_it(ran: Ran) -> None:
    assert_held(ran)


@pytest.mark.row("D-6.2c")
@pytest.mark.lab("on-path-self", "--without", "wrong-mcp", "--seconds", "3")
def test_that_lab_notices_a_join_at_the_other_mcp(ran: Ran) -> None:
    assert ran.status == 1
    assert "on: joins at other MCPs" in ran.failed("kernel")
    assert "on: first segments captured at other MCPs" in ran.failed("capture")


@pytest.mark.row("S-20", "D-4.a")
@pytest.mark.lab("server-initiated")
def test_a_session_that_a_server_opens_uses_both_accesses_of_the_host(ran: Ran) -> None:
    assert_held(ran)


@pytest.mark.row("D-4.2b")
def test_in_the_handover_lab_natural_paths_leave_by_two_ports_and_share_no_switch() -> None:
    graph = nx.Graph((split_port(wire.a)[0], split_port(wire.b)[0]) for wire in HANDOVER.wires)
    ways_out = [split_port(port)[0] for port in HANDOVER.gateways[0].ports]
    paths = [
        min((nx.shortest_path(graph, split_port(access.ports[0])[0], out) for out in ways_out), key=len)
        for access in HANDOVER.accesses
    ]
    assert {path[-1] for path in paths} == set(ways_out)
    assert set.intersection(*map(set, paths)) == set()
    assert all("s8" not in path for path in paths)  # the MCP's
