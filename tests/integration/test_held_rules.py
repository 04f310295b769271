"""What a real Open vSwitch tells of our rules is recognised: a controller that takes a switch over writes none again."""

import pytest

from steering.core import inputs
from steering.core.engine import Engine
from steering.core.outputs import FillSwitch, GoOn, ReadEntries
from steering.model.ids import DatapathId, PortNumber
from steering.model.policy import DEFAULT_QUOTAS, Policy
from steering.openflow.messages.encode import flow_mod, group_mod, meter_mod
from steering.openflow.switch_tables.held_rules import HeldRules
from steering.policy.site_file import parse_site
from tests.integration.ovs import Switch, switch
from tests.support.controller_process import LINKS, SITE

SWITCHES = tuple(map(DatapathId, (1, 2, 3, 4)))
EPOCH = 9


def fillings() -> dict[DatapathId, FillSwitch]:
    """What each switch of a site with access networks, an MCP and a gateway is filled with."""
    site, findings = parse_site(SITE + LINKS, "site")
    assert site is not None and not findings
    engine = Engine(site, Policy(quotas=DEFAULT_QUOTAS), epoch=EPOCH)
    ports = {PortNumber(number): True for number in range(1, 5)}
    found: dict[DatapathId, FillSwitch] = {}
    todo: list[inputs.Input] = [inputs.SwitchUp(dpid, ports, {}) for dpid in SWITCHES]
    while todo:
        for output in engine.handle(todo.pop(0), 1.0):
            if isinstance(output, ReadEntries):
                todo.append(inputs.EntriesRead(output.dpid, [], []))
            elif isinstance(output, GoOn):
                todo.append(inputs.Continue())
            elif isinstance(output, FillSwitch):
                found[output.dpid] = output
    return found


def held_by(bridge: Switch) -> HeldRules:
    held = HeldRules()
    for body in bridge.flow_stats():
        held.take(body)
    return held


@pytest.mark.parametrize("dpid", SWITCHES)
def test_every_rule_of_a_site_is_recognised(dpid: DatapathId) -> None:
    fill = fillings()[dpid]
    rules = tuple(
        one for one in fill.forwarding + fill.admission if not one.hard_timeout
    )  # leases may end meanwhile
    with switch() as bridge:
        bridge.send(b"".join(meter_mod(band) for band in fill.meters))
        bridge.send(b"".join(group_mod(group) for group in fill.groups))
        assert bridge.send(b"".join(map(flow_mod, rules))) == []
        held = held_by(bridge)
        assert held.epoch == EPOCH and len(held) == len(rules) > 50
        assert held.missing(rules) == () and held.rest() == []
        # What is not wanted any more goes, and nothing else.
        held = held_by(bridge)
        assert held.missing(rules[1:]) == ()
        (deletion,) = held.rest()
        assert bridge.send(deletion) == [] and held_by(bridge).missing(rules) == rules[:1]
