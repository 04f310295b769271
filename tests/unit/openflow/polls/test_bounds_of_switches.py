"""What a switch may make the controller remember: bounded, whatever it says."""

from collections.abc import Mapping
from itertools import count
from struct import Struct
from typing import Any

from steering.core.network.switch import MAX_SWITCHES, Switch, make_room
from steering.openflow.polls.portstats import PortPoll
from steering.openflow.ports.known_ports import MAX_PORTS, KnownPorts

ROW = Struct(">I4xQQQQQQQQQQQQII")


def test_only_so_many_ports_of_a_switch_are_remembered() -> None:
    ports = KnownPorts((1, 2))
    taken = sum(ports.takes(number, False) for number in range(10, 10 + 2 * MAX_PORTS))
    assert taken == MAX_PORTS - 2
    assert ports.takes(1, False) and not ports.takes(9, False)


def test_a_port_that_is_gone_makes_room() -> None:
    ports = KnownPorts(())
    for number in range(1, 3 * MAX_PORTS):
        assert ports.takes(number, False)
        assert ports.takes(number, True)
        assert not ports.takes(number, True)


def known(connected: bool) -> Switch:
    switch = Switch()
    switch.connected = connected
    return switch


def test_only_so_many_datapath_ids_are_remembered() -> None:
    switches = {dpid: known(False) for dpid in range(MAX_SWITCHES)}
    for dpid in range(MAX_SWITCHES, MAX_SWITCHES + 100):
        make_room(switches, dpid, {0, 1})
        switches[dpid] = known(False)
    assert len(switches) == MAX_SWITCHES
    assert {0, 1} <= set(switches) and 2 not in switches


def test_no_connected_switch_and_none_of_the_site_is_forgotten() -> None:
    switches = {dpid: known(dpid > 0) for dpid in range(MAX_SWITCHES)}
    make_room(switches, MAX_SWITCHES, {0})
    assert len(switches) == MAX_SWITCHES
    make_room(switches, 5, set())
    assert len(switches) == MAX_SWITCHES


def test_counters_of_ports_that_nobody_described_are_not_kept() -> None:
    lines: Mapping[int, Any] = {}
    poll = PortPoll(lines, count(), lambda given: None, {(1, 7): 1_000_000})
    rows = b"".join(ROW.pack(port, *([0] * 12), 5, 0) for port in range(1, 500))
    poll.answer(1, rows, {3: 1000})
    assert set(poll._before) == {(1, 3), (1, 7)}
