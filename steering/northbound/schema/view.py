"""What resources ask of a running controller: plain JSON data, made from the engine's records by `representation`."""

from typing import Any, Protocol

from steering.model.drawing import NetworkPicture
from steering.model.ids import McpId
from steering.model.network import Network, PortRef
from steering.model.preference import Intent
from steering.model.session_change import ChangedSessions
from steering.model.view import Pause, SessionFilter, no_pause

Json = dict[str, Any]


class View(Protocol):
    """Read only; every answer is plain JSON data made at the call."""

    def health(self) -> Json:
        """{"status": "ok"|"recovering"|"no-switch", "version", "uptime_s", "switches": {"connected", "known"},
        "sessions": {state: count}, "policy_version", "missing"}."""

    def status(self) -> Json:
        """{"expected": [{"kind", "expected", "seen"}], "missing": [{"kind", "name", "port", "never_seen", "missing_s"}],
        "unknown_switches": [{"name", "dpid", "connected"}], "alarms": [{"alarm", "name", "text", "raised_s"}]}: what the
        site expects, what of it is missing, and the alarms that are raised."""

    def alarm_changes(self, after: int) -> list[Json]:
        """[{"number", "change": "raised"|"cleared", "alarm", "name", "text"}] after number `after`, 0 for all. The engine keeps
        only the newest ones."""

    def topology(self) -> Json:
        """{"switches": [{"name", "dpid", "connected"}], "links": [{"a": "s1:3", "b": "s2:3", "weight", "up"}],
        "attachments": [{"name", "role", "port", "up", "waypoint"}], "hosts": [{"address", "mac", "port"}]}."""

    def drawing(self) -> NetworkPicture:
        """Everything that a picture of the network shows, what is down or missing included."""

    def first_answers(self) -> Json:
        """{"accesses": [{"name", "answers", "fallbacks"}], "mcps": [the same]}, of all access networks and MCPs of the site."""

    def ports(self, switch: str | None) -> Json:
        """{"ports": [{"switch", "port": "s1:1", "name", "up", "speed_kbit", "leads_to"}], "total"} of the connected switches, or
        of the one named `switch`. The list is bounded; `total` counts all ports."""

    def links(self) -> Json:
        """{"links": [{"name", "a", "b", "weight", "own_weight", "set_weight", "up"}], "settled", "kept_flows"}: each
        link once. `kept_flows`: flows on paths of earlier weights. `settled`: whether all other flows follow the present
        weights."""

    def link_ends(self, name: str) -> tuple[PortRef, PortRef] | None:
        """The two ends of the link named `s1:2-s3:2`, or `s1-s3` where only one link joins these switches; None for a text that
        names no possible link."""

    def mcps(self) -> list[Json]:
        """[{"name", "id", "type", "type_computed", "interception", "location", "access_networks",
        "public_addresses", "addresses", "port", "capacity_sessions", "operator", "sessions",
        "subflows", "health", "load", "distribution", "reachable"}]."""

    def mcp_name(self, mcp: McpId) -> str:
        """The name of an MCP id."""

    def intents(self, mcp: str) -> list[Intent]:
        """The intents for subflows at an MCP: one for each subflow that the MCP shall use otherwise than its host wishes."""

    def avoids_fragments(self) -> bool:
        """Whether MCPs are to lower the segment size on their legs (D-6.7.5b)."""

    def access_networks(self) -> list[Json]:
        """[{"name", "type", "trust", "prefixes", "ports", "offloaded_to"}]: present type and trust (D-6.3e); `offloaded_to` is
        the access network to which an operator's offload moves this one's traffic, else None (D-1.u2)."""

    def gateways(self) -> list[Json]:
        """[{"name", "prefixes", "ports", "addresses", "next_hops"}]."""

    def subscribers(self) -> list[Json]:
        """[{"id", "class", "prefixes", "quotas": {name: limit or null}}] of the policy in force. `id` is the subscriber's own
        name: the caller shows a pseudonym instead (N-7.1)."""

    def clock(self) -> Json:
        """{"time": "mon 17:05", "minute": of the week, "rules": [{"name", "open"}]}; rules with time windows (D-3.2c)."""

    def limits(self) -> Json:
        """{"controller": [{"limit", "most", "used"}], "quotas": [{"limit", "source", "most"}], "use": [{"kind", "name",
        "sessions"}], "refusals": {reason: count}, "full": [{"kind", "name", "most", "source", "count"}], "last_full":
        as one of `full`, or null}: subscribers by their own ids."""

    def mapping_logging(self, mcp: str) -> tuple[bool, bool] | None:
        """Whether mappings of an MCP are kept now, and whether with destinations; None: no such MCP (N-5.6.7b)."""

    def sources_of(self, mcp: str) -> tuple[Network, ...]:
        """What the external addresses of an MCP's mappings may be: its own addresses, and its pools (N-5.4.2), in mode ipv6-prefix of
        interface identifiers. Empty for an unknown MCP."""

    def reported(self, mcp: str) -> tuple[McpId, tuple[str, int] | None] | None:
        """The id of an MCP, and (generation, sequence) of the last report of sessions that the engine accepted, or None; None
        for an unknown MCP."""

    def subscriber_of(self, address: bytes) -> str | None:
        """The policy's id of the subscriber with an address (packed bytes); None where no subscriber is known for it."""

    def reservations(self) -> list[Json]:
        """[{"id", "level", "standing", "subscriber", "session", "flow", "mcp", "rate_bps", "subflows", "asked":
        {"rate_bps", "subflows"}, "path_number", "paths": [{"direction", "between", "switches"}], "version",
        "remaining_s"}]: subscribers by their own ids."""

    def reservation(self, name: str) -> Json | None:
        """One reservation as in `reservations`; None where there is none of this id."""

    def denied(self, name: str) -> str | None:
        """The reason why the last request about this reservation was refused, a value of
        model.reservation.ReservationRefusal; None where it was not refused."""

    def ended_reservations(self) -> list[tuple[str, str]]:
        """(id, how it ended) of the reservations that ended lately, in the order of their ends."""

    def sessions(
        self, after: int, limit: int, wanted: SessionFilter, pause: Pause = no_pause
    ) -> tuple[list[Json], int, int | None]:
        """A page of the sessions after number `after` (0: from the first), the number of all that `wanted` accepts, and
        the number after which the next page begins, None for the last page. A session is {"id", "state", "mcp", "token",
        "version", "client", "server", "subflows", "age_s"}. The number stays valid when sessions end meanwhile. `pause` is
        called now and then while all sessions are searched."""

    def changed_sessions(self, most: int) -> ChangedSessions:
        """Up to `most` sessions that changed in the period that ended with the last WatchSessions input."""

    def session_id(self, number: int) -> str:
        """The id by which REST names a session that the engine knows by this number."""

    def session_number(self, session_id: str) -> int:
        """The engine's number of the session that REST calls `session_id`; 0 for an id of another controller or no id."""

    def session_line(self, session_id: str) -> Json | None:
        """One session as in `sessions`; None for no such session."""

    def session(self, session_id: str) -> Json | None:
        """One session as in `sessions`, with "subflows": [{"src", "sport", "dst", "dport", "kind", "access_network", "path":
        "natural"|"redirected", "switch", "entries", "address_id", "backup", "access_type", "wanted", "share",
        "bytes"}] and "decision" (an id)."""

    def aborted(self, session_id: str) -> Json | None:
        """{"id", "over", "ends": [{"end": "host"|"server", "address", "port", "outcome": "asked"|"told"|"closed"|
        "silent"}]} of an abort that is under way or was one of the last; None where there is none."""

    def paths(self, session_id: str) -> Json | None:
        """{"id", "mcp", "subflows": [{"src", "sport", "dst", "dport", "access_network", "natural": [switches], "pinned":
        [switches]}], "onward": [switches]}: the paths of a session in the present network; None for no such session."""

    def decision(self, decision_id: str) -> Json | None:
        """{"id", "time_s", "policy_version", "outcome", "winner", "reason", "natural_cost", "candidates": [{"mcp",
        "filtered": reason|null, "cost", "stretch", "terms": {"location", "type", "load"}, "score", "path": [...]}]}."""
