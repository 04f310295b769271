"""What switches still hold of a controller's sessions, and a fresh controller that reads it."""

from steering.core.engine import Engine
from steering.core.inputs import ObservedEntry, ObservedHost
from steering.model.network import PortRole
from steering.model.policy import Policy
from tests.support.sites import Driver


def snapshot(driver: Driver) -> dict[int, list[ObservedEntry]]:
    held: dict[int, list[ObservedEntry]] = {}
    for session in driver.table:
        for entry in session.entries(PortRole.GATEWAY):
            held.setdefault(entry.dpid, []).append(ObservedEntry(entry, 5, 500))
    return held


def restarted(driver: Driver, held, order=(1, 2, 3, 4, 5)) -> Driver:
    fresh = Driver.__new__(Driver)
    fresh.site, fresh.now, fresh.fills = driver.site, 5000.0, {}
    fresh.engine = Engine(driver.site, Policy(), epoch=8)
    for dpid in order:
        core = driver.engine.map.inside[driver.site.mcps[0].id]
        hosts = [ObservedHost(3, core.id, b"", b"\2\0\0\0\0\3", 1)] if dpid == 3 else []
        fresh.up(dpid, held.get(dpid, []), hosts)
    return fresh
