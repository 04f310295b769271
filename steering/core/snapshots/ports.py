"""The ports of connected switches: names, states, speeds, and what they lead to."""

from itertools import islice

from steering.core.engine import Engine
from steering.core.snapshots.site import port_name
from steering.model.network import PortRef
from steering.model.port_snapshot import PortSnapshot, PortsSnapshot

MOST_PORTS = 4_096  # most ports in one answer: as many as one switch may have


def ports(engine: Engine, switch: str | None) -> PortsSnapshot:
    """The ports of the switch with this name, or of all switches, sorted by switch and number."""
    chosen = [
        (dpid, one)
        for dpid, one in sorted(engine.switches.items())
        if one.connected and switch in (None, engine.site.switch_name(dpid))
    ]
    found = ((dpid, one, number) for dpid, one in chosen for number in sorted(one.ports))
    rows = []
    for dpid, one, number in islice(found, MOST_PORTS):
        ref = PortRef(dpid, number)
        written, _, what = port_name(engine, ref).partition(" (")
        rows.append(
            PortSnapshot(
                switch=engine.site.switch_name(dpid),
                port=written,
                name=one.names.get(number, ""),
                up=one.ports[number],
                speed_kbit=one.speeds.get(number),
                leads_to=what.removesuffix(")") or None,
            )
        )
    return PortsSnapshot(tuple(rows), sum(len(one.ports) for _, one in chosen))
