"""Turns the records of `model.snapshot` into the JSON of REST. No other module does that."""

from enum import Enum
from typing import Any

from steering.core.snapshots.sessions import TOLD_AT_ONCE
from steering.core.snapshots.view import EngineView
from steering.model.drawing import NetworkPicture
from steering.model.ids import McpId
from steering.model.network import Network, PortRef
from steering.model.preference import Intent
from steering.model.session_change import ChangedSessions
from steering.model.view import Pause, SessionFilter, no_pause

Json = dict[str, Any]

_RENAMED = {"klass": "class", "how_often": "count"}  # a NamedTuple can have no field `class` or `count`


def as_json(value: Any) -> Any:
    """Plain JSON data: a record becomes an object with its fields in order, a tuple a list, an enumeration member its value."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        pairs = zip(value._fields, value, strict=True)
        return {_RENAMED.get(name, name): as_json(item) for name, item in pairs}
    if isinstance(value, tuple | list):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {as_json(name): as_json(item) for name, item in value.items()}
    return value


class JsonView:
    """Implements `northbound.schema.view.View` over the engine's snapshots. `controller`: this controller's name in a cluster,
    else "". Each controller numbers sessions and decisions for itself, so in a cluster their ids begin with its name."""

    def __init__(self, snapshots: EngineView, controller: str = "") -> None:
        self._snapshots = snapshots
        self._prefix = f"{controller}:" if controller else ""

    def health(self) -> Json:
        return _object(self._snapshots.health())

    def status(self) -> Json:
        return _object(self._snapshots.status())

    def alarm_changes(self, after: int) -> list[Json]:
        return _objects(self._snapshots.alarm_changes(after))

    def topology(self) -> Json:
        return _object(self._snapshots.topology())

    def drawing(self) -> NetworkPicture:
        return self._snapshots.drawing()

    def first_answers(self) -> Json:
        return _object(self._snapshots.first_answers())

    def ports(self, switch: str | None) -> Json:
        return _object(self._snapshots.ports(switch))

    def links(self) -> Json:
        return _object(self._snapshots.links())

    def link_ends(self, name: str) -> tuple[PortRef, PortRef] | None:
        return self._snapshots.link_ends(name)

    def mcps(self) -> list[Json]:
        return _objects(self._snapshots.mcps())

    def mcp_name(self, mcp: McpId) -> str:
        return self._snapshots.mcp_name(mcp)

    def intents(self, mcp: str) -> list[Intent]:
        return self._snapshots.intents(mcp)

    def avoids_fragments(self) -> bool:
        return self._snapshots.avoids_fragments()

    def access_networks(self) -> list[Json]:
        return _objects(self._snapshots.access_networks())

    def gateways(self) -> list[Json]:
        return _objects(self._snapshots.gateways())

    def subscribers(self) -> list[Json]:
        return _objects(self._snapshots.subscribers())

    def clock(self) -> Json:
        return _object(self._snapshots.clock())

    def limits(self) -> Json:
        return _object(self._snapshots.limits())

    def mapping_logging(self, mcp: str) -> tuple[bool, bool] | None:
        return self._snapshots.mapping_logging(mcp)

    def sources_of(self, mcp: str) -> tuple[Network, ...]:
        return self._snapshots.sources_of(mcp)

    def reported(self, mcp: str) -> tuple[McpId, tuple[str, int] | None] | None:
        return self._snapshots.reported(mcp)

    def subscriber_of(self, address: bytes) -> str | None:
        return self._snapshots.subscriber_of(address)

    def reservations(self) -> list[Json]:
        return [self._with_session(one) for one in self._snapshots.reservations()]

    def reservation(self, name: str) -> Json | None:
        found = self._snapshots.reservation(name)
        return None if found is None else self._with_session(found)

    def denied(self, name: str) -> str | None:
        return self._snapshots.denied(name)

    def ended_reservations(self) -> list[tuple[str, str]]:
        return self._snapshots.ended_reservations()

    def sessions(
        self, after: int, limit: int, wanted: SessionFilter, pause: Pause = no_pause
    ) -> tuple[list[Json], int, int | None]:
        page = self._snapshots.sessions(after, limit, wanted, pause)
        told: list[Json] = []
        for at in range(0, len(page.sessions), TOLD_AT_ONCE):
            if at:
                pause()
            told += map(self._named, page.sessions[at : at + TOLD_AT_ONCE])
        return told, page.total, page.following

    def changed_sessions(self, most: int) -> ChangedSessions:
        changed = self._snapshots.changed_sessions(most)
        if not self._prefix:
            return changed
        return changed._replace(
            changes=tuple(one._replace(id=self._prefix + one.id) for one in changed.changes)
        )

    def session_id(self, number: int) -> str:
        return f"{self._prefix}{number}"

    def session_number(self, session_id: str) -> int:
        number = self._number(session_id)
        return int(number) if number.isascii() and number.isdecimal() else 0

    def session_line(self, session_id: str) -> Json | None:
        return self._found(self._snapshots.session_line(self._number(session_id)))

    def session(self, session_id: str) -> Json | None:
        found = self._found(self._snapshots.session(self._number(session_id)))
        if found is not None and found["decision"] is not None:
            found["decision"] = self._prefix + found["decision"]
        return found

    def aborted(self, session_id: str) -> Json | None:
        return self._found(self._snapshots.aborted(self._number(session_id)))

    def paths(self, session_id: str) -> Json | None:
        return self._found(self._snapshots.paths(self._number(session_id)))

    def decision(self, decision_id: str) -> Json | None:
        found = self._snapshots.decision(self._number(decision_id))
        return None if found is None else {"id": decision_id} | _object(found)

    def _found(self, record: Any) -> Json | None:
        return None if record is None else self._named(record)

    def _named(self, record: Any) -> Json:
        """A record as JSON, its `id` with this controller's name in front."""
        found = _object(record)
        return found | {"id": self._prefix + found["id"]} if self._prefix else found

    def _with_session(self, record: Any) -> Json:
        """A reservation as JSON, its `session` with this controller's name in front."""
        found = _object(record)
        if self._prefix and found["session"] is not None:
            found["session"] = self._prefix + found["session"]
        return found

    def _number(self, name: str) -> str:
        """The engine's id of what REST calls `name`; "" for a name of another controller. In a cluster a bare number counts as
        another controller's too, since the same number may be another session here."""
        return name.removeprefix(self._prefix) if name.startswith(self._prefix) else ""


def _object(record: Any) -> Json:
    found: Json = as_json(record)
    return found


def _objects(records: Any) -> list[Json]:
    return [as_json(record) for record in records]
