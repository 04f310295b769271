"""What resources ask of a running controller: plain JSON data, made from the engine's records by `representation`."""

from typing import Any, Protocol

from steering.model.drawing import NetworkPicture
from steering.model.ids import McpId
from steering.model.network import PortRef
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
        site expects, what of it is there, and the alarms that are raised."""

    def alarm_changes(self, after: int) -> list[Json]:
        """[{"number", "change": "raised"|"cleared", "alarm", "name", "text"}] after number `after`, 0 for all; of many
        only the newest."""

    def topology(self) -> Json:
        """{"switches": [{"name", "dpid", "connected"}], "links": [{"a": "s1:3", "b": "s2:3", "weight", "up"}],
        "attachments": [{"name", "role", "port", "up", "waypoint"}], "hosts": [{"address", "mac", "port"}]}."""

    def drawing(self) -> NetworkPicture:
        """What there is to draw of the network, lost things included."""

    def first_answers(self) -> Json:
        """{"accesses": [{"name", "answers", "fallbacks"}], "mcps": [the same]}, of all of the site."""

    def ports(self, switch: str | None) -> Json:
        """{"ports": [{"switch", "port": "s1:1", "name", "up", "speed_kbit", "leads_to"}], "total"} of connected switches, or
        of one; of many only the first."""

    def links(self) -> Json:
        """{"links": [{"name", "a", "b", "weight", "own_weight", "set_weight", "up"}], "settled", "kept_flows"}: each
        link once; how many flows stay on paths that earlier weights made, and whether all others go by these."""

    def link_ends(self, name: str) -> tuple[PortRef, PortRef] | None:
        """The ends of a link by its name `s1:2-s3:2`, or `s1-s3` where there is one between them; None for no name of
        a link that there could be."""

    def mcps(self) -> list[Json]:
        """[{"name", "id", "type", "type_computed", "interception", "location", "access_networks",
        "public_addresses", "addresses", "port", "capacity_sessions", "operator", "sessions",
        "subflows", "health", "load", "distribution", "reachable"}]."""

    def mcp_name(self, mcp: McpId) -> str:
        """The name of an MCP id."""

    def intents(self, mcp: str) -> list[Intent]:
        """What is wanted of the subflows at an MCP, where that is not what hosts wish anyway."""

    def avoids_fragments(self) -> bool:
        """Whether MCPs are to lower the segment size on their legs (D-6.7.5b)."""

    def access_networks(self) -> list[Json]:
        """[{"name", "type", "trust", "prefixes", "ports", "offloaded_to"}], type and trust as they are now (D-6.3e), and
        the access network whose turn it is by an operator's offload, else None (D-1.u2)."""

    def gateways(self) -> list[Json]:
        """[{"name", "prefixes", "ports", "addresses", "next_hops"}]."""

    def subscribers(self) -> list[Json]:
        """Of the policy in force: [{"id", "class", "prefixes", "quotas": {name: limit or null}}]. The id is the
        policy's own: whoever shows it makes a pseudonym of it first (N-7.1)."""

    def clock(self) -> Json:
        """{"time": "mon 17:05", "minute": of the week, "rules": [{"name", "open"}]}: those with windows (D-3.2c)."""

    def limits(self) -> Json:
        """{"controller": [{"limit", "most", "used"}], "quotas": [{"limit", "source", "most"}], "use": [{"kind", "name",
        "sessions"}], "refusals": {reason: count}, "full": [{"kind", "name", "most", "source", "count"}], "last_full":
        as one of `full`, or null}: subscribers by their own ids."""

    def mapping_logging(self, mcp: str) -> tuple[bool, bool] | None:
        """Whether mappings of an MCP are kept now, and whether with destinations; None: no such MCP (N-5.6.7b)."""

    def reported(self, mcp: str) -> tuple[McpId, tuple[str, int] | None] | None:
        """The id of an MCP, and generation and sequence of the report of sessions that was taken last; None: no such
        MCP."""

    def subscriber_of(self, address: bytes) -> str | None:
        """The policy's own id of whoever has an address, packed; None for nobody it knows."""

    def reservations(self) -> list[Json]:
        """[{"id", "level", "standing", "subscriber", "session", "flow", "mcp", "rate_bps", "subflows", "asked":
        {"rate_bps", "subflows"}, "path_number", "paths": [{"direction", "between", "switches"}], "version",
        "remaining_s"}]: subscribers by their own ids."""

    def reservation(self, name: str) -> Json | None:
        """One of them; None where there is none, or no more."""

    def denied(self, name: str) -> str | None:
        """Why the last that was asked about a reservation was refused (model.reservation.Denial); None if it was
        not."""

    def ended_reservations(self) -> list[tuple[str, str]]:
        """(id, what became of it) of those that ended lately, the last one last."""

    def sessions(
        self, after: int, limit: int, wanted: SessionFilter, pause: Pause = no_pause
    ) -> tuple[list[Json], int, int | None]:
        """A page of the sessions after cursor `after` (0: from the first), how many there are in all, and the cursor
        of the next page, None behind the last. [{"id", "state", "mcp", "token", "version", "client", "server",
        "subflows", "age_s"}]. A cursor stays good whatever ends meanwhile. `pause` is called now and then
        where all sessions have to be looked at."""

    def changed_sessions(self, most: int) -> ChangedSessions:
        """What changed of sessions, `most` of them, in the period that the last WatchSessions ended."""

    def session_id(self, number: int) -> str:
        """The id by which REST names a session that the engine knows by this number."""

    def session_number(self, session_id: str) -> int:
        """The number by which the engine knows a session that REST names so; 0 for what cannot be this controller's."""

    def session_line(self, session_id: str) -> Json | None:
        """One of those lines; None for no such session."""

    def session(self, session_id: str) -> Json | None:
        """As above with "subflows": [{"src", "sport", "dst", "dport", "kind", "access_network", "path":
        "natural"|"redirected", "switch", "entries", "address_id", "backup", "access_type", "wanted", "share",
        "bytes"}] and "decision" (an id)."""

    def aborted(self, session_id: str) -> Json | None:
        """{"id", "over", "ends": [{"end": "host"|"server", "address", "port", "outcome": "asked"|"told"|"closed"|
        "silent"}]}: of an abort that is under way, or was lately; None where there is none."""

    def paths(self, session_id: str) -> Json | None:
        """{"id", "mcp", "subflows": [{"src", "sport", "dst", "dport", "access_network", "natural": [switches], "pinned":
        [switches]}], "onward": [switches]}: the ways of a session as the network is now; None for no such session."""

    def decision(self, decision_id: str) -> Json | None:
        """{"id", "time_s", "policy_version", "outcome", "winner", "reason", "natural_cost", "candidates": [{"mcp",
        "filtered": reason|null, "cost", "stretch", "terms": {"location", "type", "load"}, "score", "path": [...]}]}."""
