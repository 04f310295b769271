"""What the northbound may ask of a running controller."""

from typing import Any, Protocol

Json = dict[str, Any]


class View(Protocol):
    """Read only; every answer is plain JSON data made at the call."""

    def health(self) -> Json:
        """{"status": "ok"|"recovering"|"no-switch", "version", "uptime_s", "switches": {"connected", "known"},
        "sessions": {state: count}, "policy_version"}."""

    def topology(self) -> Json:
        """{"switches": [{"name", "dpid", "connected"}], "links": [{"a": "s1:3", "b": "s2:3", "weight", "up"}],
        "attachments": [{"name", "role", "port", "up", "waypoint"}], "hosts": [{"address", "mac", "port"}]}."""

    def mcps(self) -> list[Json]:
        """[{"name", "id", "type", "type_computed", "interception", "addresses", "port", "capacity_sessions",
        "sessions", "subflows", "reachable"}]."""

    def sessions(self, offset: int, limit: int, mcp: str | None, state: str | None) -> tuple[list[Json], int]:
        """A page and the total. [{"id", "state", "mcp", "token", "version", "client", "server", "subflows", "age_s"}]."""

    def session(self, session_id: str) -> Json | None:
        """As above with "subflows": [{"src", "sport", "dst", "dport", "kind", "access_network", "path":
        "natural"|"redirected", "switch", "entries", "address_id", "backup"}] and "decision" (an id)."""

    def decision(self, decision_id: str) -> Json | None:
        """{"id", "time_s", "policy_version", "outcome", "winner", "reason", "natural_cost", "candidates": [{"mcp",
        "filtered": reason|null, "cost", "stretch", "terms": {"location", "type", "load"}, "score", "path": [...]}]}."""
