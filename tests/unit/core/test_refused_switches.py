"""Datapath ids that were refused are told, and not remembered without end."""

from steering.core.counters import REFUSED_SWITCHES, Counters
from steering.model.refused_connections import SwitchRefusal


def test_refused_datapath_ids_are_counted_and_bounded() -> None:
    counters = Counters()
    for _ in range(3):
        counters.refuse_switch(7, SwitchRefusal.UNKNOWN_SWITCH)
    assert counters.refused_switches == {(7, SwitchRefusal.UNKNOWN_SWITCH): 3}
    for dpid in range(100, 100 + 2 * REFUSED_SWITCHES):
        counters.refuse_switch(dpid, SwitchRefusal.DUPLICATE)
    assert len(counters.refused_switches) == REFUSED_SWITCHES
    assert (7, SwitchRefusal.UNKNOWN_SWITCH) not in counters.refused_switches
