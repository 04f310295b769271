"""What the site expects against what is there, by the site file's names."""

from steering.core.engine import Engine
from steering.core.supervision.expected_things import Thing
from steering.model.network import PortRef
from steering.model.snapshot import ExpectedCount, MissingThing, StatusSnapshot, SwitchSnapshot
from steering.model.supervision import ThingKind


class ThingNames:
    """Names of what is expected, for as long as the site is the same."""

    def __init__(self, engine: Engine) -> None:
        self._map = engine.map
        self._switches = {dpid: name for name, dpid in engine.site.switches.items()}

    def switch(self, dpid: int) -> str:
        return self._switches.get(dpid, f"{dpid:016x}")

    def port(self, port: PortRef) -> str:
        return f"{self.switch(port.dpid)}:{port.port}"

    def of(self, thing: Thing) -> tuple[str, str | None]:
        """The name of a thing, and the port where it is, `switch:number`; None for switches and links."""
        kind, key = thing
        if isinstance(key, PortRef):
            attachment = self._map.attachments.get(key)
            return "" if attachment is None else attachment.name, self.port(key)
        if isinstance(key, tuple):
            return "-".join(self.port(end) for end in key), None
        if kind is ThingKind.SWITCH:
            return self.switch(key), None
        mcp = self._map.mcps.get(key)
        return (f"{key:04x}", None) if mcp is None else (mcp.name, self.port(mcp.inside))


def status(engine: Engine, now: float) -> StatusSnapshot:
    """Expected, missing and unknown at time `now`, seconds."""
    presence, names = engine.presence, ThingNames(engine)
    missing = presence.missing_at(now)
    lost = {kind: sum(thing.kind is kind for thing in missing) for kind in ThingKind}
    return StatusSnapshot(
        expected=tuple(
            ExpectedCount(kind=kind, expected=count, seen=count - lost[kind])
            for kind, count in presence.expected().items()
        ),
        missing=tuple(
            MissingThing(
                kind=thing.kind, name=names.of(thing)[0], port=names.of(thing)[1],
                never_seen=thing in presence.never, missing_s=round(now - since, 3),
            )
            for thing, since in missing.items()
        ),
        unknown_switches=tuple(
            SwitchSnapshot(name=names.switch(dpid), dpid=f"{dpid:016x}", connected=True)
            for dpid in presence.unknown()
        ),
    )  # fmt: skip
