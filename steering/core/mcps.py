"""MCPs that come, go or change while sessions live (D-6.7.7): every part of the engine that knows them, in order.

Waypoint numbers are made of names (model.network.waypoint_id), so those of the MCPs that stay are what they were, and
no entry of a live session is touched. What an MCP that came is to hold at its switch follows as anywhere else: the
guard of its port, the way to its label, and its neighbour entry once it answers.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from steering.core.inputs import McpsReplaced
from steering.core.outputs import Output, SyncRules
from steering.model.network import Mcp
from steering.model.rules import Rule
from steering.model.session import Refusal

if TYPE_CHECKING:
    from steering.core.engine import Engine


def anew(old: Mcp, new: Mcp) -> bool:
    """Whether an MCP is another one to its sessions: elsewhere, with other addresses, or other ways to use hosts'."""
    return (
        (old.inside, old.outside, old.interception, old.addresses, old.gateways, old.source_modes, old.pools)
        != (new.inside, new.outside, new.interception, new.addresses, new.gateways, new.source_modes, new.pools)
    ) or old.nat64 != new.nat64  # fmt: skip


def replace_mcps(engine: "Engine", given: McpsReplaced, now: float) -> list[Output]:
    """Make them those of the site; the caller then brings static rules in line. Sessions of those that went end as
    a dead MCP's, some each tick; of those that are others now (`anew`) at once."""
    before, edges = engine.map.attachments, set(engine.map.switches)
    meters = engine.natural.all_meters()
    routes = {dpid: tuple(engine.neighbours.rules(dpid)) for dpid in edges}
    known = dict(engine.map.mcps)
    engine.site = replace(engine.site, mcps=given.mcps, switches={**engine.site.switches, **given.switches})
    engine.map.replace(engine.site)
    engine.graph.replace(engine.site)
    gone = [number for number in known if number not in engine.map.mcps]
    others = {n for n, mcp in engine.map.mcps.items() if n in known and anew(known[n], mcp)}
    outputs = engine.neighbours.mcps_changed(before)
    engine.chooser.mcps_changed(others)
    for mcp in given.mcps:
        _look_at_ports(engine, mcp, now)
    engine.pinning.explicit.mcps_changed()
    engine.pinning.proactive.mcps_changed()
    outputs += engine.reserving.mcps_changed()
    outputs += _edges(engine, edges, routes)
    outputs += engine.natural.fresh_meters(meters)
    for session in [one for one in engine.pinning.table if one.mcp in others]:
        outputs += engine.pinning.aborting.abort(session, now, Refusal.MCP_UNREACHABLE)
    for number in gone:
        engine.pinning.aborting.removed(number)
    engine.chooser.refresh(now)
    return outputs


def _look_at_ports(engine: "Engine", mcp: Mcp, now: float) -> None:
    """A port that is down is known to its switch's record; nothing more will be heard of it."""
    for port in {mcp.inside, mcp.outside}:
        switch = engine.switches.get(port.dpid)
        if switch is not None and switch.ports.get(port.port) is False:
            engine.chooser.health[mcp.id].port(False, now)


def _edges(engine: "Engine", before: set[int], routes: dict[int, tuple[Rule, ...]]) -> list[Output]:
    """Switches where something hangs now and did not before need the ways to hosts; they take entries when filled."""
    outputs: list[Output] = []
    for dpid in engine.map.switches - before:
        switch = engine.switches.get(dpid)
        if switch is None or not switch.filled:
            engine.pinning.offline.add(dpid)
        rules = tuple(engine.neighbours.rules(dpid))
        if rules:
            outputs.append(SyncRules(dpid, rules, ()))
    for dpid in before - engine.map.switches:
        engine.pinning.offline.discard(dpid)
        if routes[dpid]:
            outputs.append(SyncRules(dpid, (), routes[dpid]))
    return outputs
