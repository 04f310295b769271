"""Publishes what changed since the last look, as events. It looks only while somebody listens.

Switches, links, attachments, MCPs and reservations are few: each look compares all of them with the look before. Sessions
are many: while somebody listens for them, the engine notes which ones change (`WatchSessions`), and a look costs only
those. What appears and disappears between two looks is not told.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

from steering.core.counters import Counters
from steering.core.inputs import WatchSessions
from steering.model.event_kind import EventKind
from steering.model.refused_connections import SwitchRefusal
from steering.model.view import Pause, no_pause
from steering.northbound.http.events import EventHub
from steering.northbound.schema.view import View

Json = dict[str, Any]

PERIOD = 0.5  # seconds between looks; the runtime calls `look`
MOST = 500  # changed sessions of one look; a stream's queue must hold their events
TOLD_AT_ONCE = 32  # events of sessions that are published between two pauses
SHOWN = ("id", "state", "mcp", "token", "client", "server")


class _Look(NamedTuple):
    refusals: Counter[str]
    things: dict[Hashable, Json]  # switches, links, attachments, MCPs
    policy: Json
    reserved: dict[str, tuple[str, int]]  # standing and version


def policy_told(view: View) -> Json:
    """What events tell of the policy in force: its version, and what MCPs act on."""
    return {
        "version": view.health()["policy_version"],
        "avoid_fragmentation": view.avoids_fragments(),
    }


class Watcher:
    def __init__(
        self,
        view: View,
        counters: Counters,
        hub: EventHub,
        take: Callable[[WatchSessions], None],
        pause: Pause = no_pause,
    ) -> None:
        """`take` has the engine handle an input before it returns. `pause` lets other threads run."""
        self._pause = pause
        self._is_telling = False
        self._view = view
        self._counters = counters
        self._hub = hub
        self._take = take
        self._watching = False
        self._seen: _Look | None = None

    def look(self) -> None:
        """Publish what changed since the last look. The first look after a silence publishes nothing: later ones are compared
        with it. Does nothing while another thread's look is still publishing, so that events keep their order."""
        if self._is_telling:
            return
        hears = self._hub.hears_sessions
        if hears or self._watching:
            self._take(WatchSessions(hears))
        if self._watching and not hears:
            self._hub.fall_silent()
        elif hears and not self._watching:
            self._hub.begin_to_be_heard()
        watched, self._watching = self._watching and hears, hears
        if not self._hub.is_heard:
            self._seen = None
            return
        before, now = self._seen, self._look()
        self._seen = now
        if before is None:
            return
        for kind, data in self._changes(before, now):
            self._hub.publish(kind, data)
        if watched:
            self._tell_of_sessions()

    def _tell_of_sessions(self) -> None:
        self._is_telling = True
        try:
            for told, (kind, data) in enumerate(self._of_sessions(), 1):
                self._hub.publish(kind, data)
                if not told % TOLD_AT_ONCE:
                    self._pause()
        finally:
            self._is_telling = False

    def _look(self) -> _Look:
        refusals = Counter({reason.value: count for reason, count in self._counters.refusals.items()})
        switches = self._counters.disconnects
        refusals.update({why.value: switches[why.value] for why in SwitchRefusal if why.value in switches})
        things: dict[Hashable, Json] = {}
        topology = self._view.topology()
        for switch in topology["switches"]:
            name = switch["name"]
            things["switch", name] = {"what": "switch", "name": name, "up": switch["connected"]}
        for link in topology["links"]:
            things["link", link["a"], link["b"]] = {
                "what": "link", "name": f"{link['a']}-{link['b']}", "up": link["up"],
            }  # fmt: skip
        for found in topology["attachments"]:
            things["port", found["port"]] = {"what": found["role"], "name": found["name"], "up": found["up"]}
        for mcp in self._view.mcps():
            things["mcp", mcp["name"]] = {
                "what": "mcp", "name": mcp["name"], "up": mcp["reachable"], "health": mcp.get("health"),
            }  # fmt: skip
        return _Look(refusals, things, policy_told(self._view), self._reserved())

    def _reserved(self) -> dict[str, tuple[str, int]]:
        return {one["id"]: (one["standing"], one["version"]) for one in self._view.reservations()}

    def _changes(self, before: _Look, now: _Look) -> Iterator[tuple[str, Json]]:
        if now.policy != before.policy:
            yield EventKind.POLICY, now.policy
        for key, thing in now.things.items():
            if before.things.get(key) != thing:
                yield EventKind.TOPOLOGY, thing
        for key, thing in before.things.items():
            if key not in now.things:
                yield EventKind.TOPOLOGY, {**thing, "up": False}  # a link that went is no more in the list
        for reason, count in (now.refusals - before.refusals).items():
            yield EventKind.REFUSAL, {"reason": reason, "count": count}
        yield from self._of_reservations(before.reserved, now.reserved)

    def _of_reservations(
        self, before: dict[str, tuple[str, int]], now: dict[str, tuple[str, int]]
    ) -> Iterator[tuple[str, Json]]:
        for key, (standing, version) in now.items():
            if before.get(key) != (standing, version):
                yield EventKind.RESERVATION, {"id": key, "change": standing, "version": version}
        ended = dict(self._view.ended_reservations())
        for key in before:
            if key not in now:
                yield (
                    EventKind.RESERVATION,
                    {"id": key, "change": ended.get(key, "ended"), "version": before[key][1]},
                )

    def _of_sessions(self) -> Iterator[tuple[str, Json]]:
        changed = self._view.changed_sessions(MOST)
        for key, before, after in changed.changes:
            if after is None:
                yield EventKind.SESSION, {"id": key, "change": "ended"}
                continue
            if before is None or before[0] != after[0]:
                change = "started" if before is None else "changed"
                yield EventKind.SESSION, self._told(key, *after) | {"change": change}
            if before is not None and before[1] != after[1]:
                yield EventKind.SUBFLOW, {"session": key, "before": before[1], "subflows": after[1]}
        if changed.omitted:
            yield EventKind.OMITTED, {"sessions": changed.omitted}

    def _told(self, key: str, state: str, subflows: int) -> Json:
        """A session with its state of the look; the session may have ended in a pause since then."""
        session = (self._view.session_line(key) or {}) | {"id": key, "state": state}
        return {name: session.get(name) for name in SHOWN} | {"subflows": subflows}
