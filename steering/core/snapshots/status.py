"""The status of the site: expected, missing and unknown parts, and alarms. Names are those of the site file."""

from steering.core.engine import Engine
from steering.core.supervision.names import ThingNames
from steering.model.snapshot import (
    AlarmChangeSnapshot,
    AlarmSnapshot,
    ExpectedCount,
    MissingThing,
    StatusSnapshot,
    SwitchSnapshot,
)
from steering.model.supervision import ThingKind


def status(engine: Engine, now: float) -> StatusSnapshot:
    """The status at time `now`, in seconds of the engine's clock."""
    presence, names = engine.presence, ThingNames(engine.map)
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
        alarms=tuple(
            AlarmSnapshot(alarm.kind, alarm.name, alarm.text, round(now - alarm.since, 3))
            for alarm in engine.alarms.raised.values()
        ),
    )  # fmt: skip


def alarm_changes(engine: Engine, after: int) -> list[AlarmChangeSnapshot]:
    """Alarms that were raised or cleared after change number `after`, as far as the changes are remembered."""
    return [
        AlarmChangeSnapshot(
            change.number,
            "raised" if change.raised else "cleared",
            change.alarm.kind,
            change.alarm.name,
            change.alarm.text,
        )
        for change in engine.alarms.changes
        if change.number > after
    ]
