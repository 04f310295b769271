"""A View with fixed answers (two MCPs, three sessions, one decision), and the real northbound over it."""

import hashlib
import hmac
from ipaddress import ip_network
from typing import Any

from prometheus_client import CollectorRegistry

from steering.core.counters import Counters
from steering.model.control import Control
from steering.model.drawing import DrawnLink, DrawnNode, DrawnPort, NetworkPicture
from steering.model.identity import Identity, Role
from steering.model.ids import McpId
from steering.model.network import Network, PortRef
from steering.model.preference import Intent
from steering.model.session_change import ChangedSessions, SessionChange
from steering.model.view import SessionFilter
from steering.northbound.composition import Northbound, northbound
from steering.northbound.http.application import RestApplication
from steering.northbound.http.throttle import Throttle
from tests.support.fixed_answers import DECISION, HEAD, IMSI, RESERVATION, SUBFLOWS, Json
from tests.support.noted_control import Noted

TOKEN = "t0ken_of-the-tests_" + "x" * 24
CLOCK = 500.0
WALL = 1_796_040_000.0  # 2026-11-30T12:00:00Z
LTE = "/v1/access-networks/lte"
WHO = hmac.new(b"k" * 32, IMSI.encode(), hashlib.sha256).hexdigest()[:16]  # IMSI as REST names it


NAMES = {"mcps": "core", "links": "s1:3-s2:3", "pairings": "cpe-1"}


class FixedView:
    """Implements steering.northbound.schema.view.View with data of its own."""

    def __init__(self, sessions: int = 3) -> None:
        self.count = self.told = sessions
        self.controller = ""  # what ids of sessions begin with
        self.missing: list[Json] = []
        self.unknown: list[Json] = []
        self.alarms: list[Json] = []
        self.alarms_told: list[Json] = []
        self.wanted: dict[str, list[Intent]] = {}
        self.asked: list[tuple[int, int, SessionFilter]] = []

    def health(self) -> Json:
        return {
            "status": "ok",
            "version": "0.1.0",
            "uptime_s": 192.4,
            "switches": {"connected": 3, "known": 4},
            "sessions": {"established": 2, "syn-pinned": 1, "plain": 0},
            "policy_version": 3,
            "missing": 0,
        }

    def status(self) -> Json:
        counts = (("switch", 4), ("link", 2), ("attachment", 2), ("mcp", 2))
        lost = {one["kind"] for one in self.missing}
        return {
            "expected": [{"kind": k, "expected": n, "seen": n - (k in lost)} for k, n in counts],
            "missing": self.missing,
            "unknown_switches": self.unknown,
            "alarms": self.alarms,
        }

    def alarm_changes(self, after: int) -> list[Json]:
        return [change for change in self.alarms_told if change["number"] > after]

    def topology(self) -> Json:
        return {
            "switches": [
                {"name": "s1", "dpid": "0000000000000001", "connected": True},
                {"name": "s9", "dpid": "0000000000000009", "connected": False},
            ],
            "links": [
                {"a": "s1:3", "b": "s2:3", "weight": 1.0, "up": True},
                {"a": "s2:4", "b": "s4:3", "weight": 2.5, "up": False},
            ],
            "attachments": [
                {"name": "lte", "role": "access", "port": "s1:1", "up": True, "waypoint": 4711},
                {"name": "core", "role": "mcp", "port": "s3:1", "up": False, "waypoint": 12},
            ],
            "refused": [{"dpid": "000000000000004d", "reason": "unknown-switch", "times": 3}],
            "hosts": [{"address": "10.1.0.2", "mac": "02:00:00:00:00:02", "port": "s1:1"}],
        }

    def drawing(self) -> NetworkPicture:
        port = DrawnPort("s1", "s1:1", True, 0.25)
        nodes = (
            DrawnNode("switch s1", "switch", "s1", True),
            DrawnNode("switch s9", "switch", "s9", False),
            DrawnNode("access lte", "access", "lte", True, (port,)),
            DrawnNode("mcp core", "mcp", "core", False, (port._replace(port="s1:4", up=False),)),
        )
        link = DrawnLink("s1:3-s9:3", "s1:3", "s9:3", ("s1", "s9"), False, None, None)
        return NetworkPicture(nodes, (link,))

    def first_answers(self) -> Json:
        one = {"name": "lte", "answers": 20, "fallbacks": 5}
        return {"accesses": [one, one | {"name": "wlan", "fallbacks": 0}], "mcps": [one | {"name": "core"}]}

    def ports(self, switch: str | None) -> Json:
        one = {"switch": "s1", "port": "s1:1", "name": "s1-eth1", "up": True, "speed_kbit": 10_000_000}
        rows = [
            one | {"leads_to": "access lte"},
            one | {"port": "s1:2", "name": "", "up": False, "speed_kbit": None, "leads_to": None},
        ]
        return {"ports": rows if switch in (None, "s1") else [], "total": 2}

    def links(self) -> Json:
        one = {"a": "s1:3", "b": "s2:3", "weight": 1.0, "own_weight": 1.0, "set_weight": None, "up": True}
        two = one | {"a": "s2:4", "b": "s4:3", "weight": 2.5, "set_weight": 2.5}
        rows = [{"name": f"{row['a']}-{row['b']}"} | row for row in (one, two)]
        return {"links": rows, "settled": True, "kept_flows": 0}

    def link_ends(self, name: str) -> tuple[PortRef, PortRef] | None:
        return {
            "s1:3-s2:3": (PortRef(1, 3), PortRef(2, 3)),
            "s2:4-s4:3": (PortRef(2, 4), PortRef(4, 3)),
        }.get(name)

    def clock(self) -> Json:
        return {"time": "mon 17:05", "minute": 1025, "rules": [{"name": "rush", "open": True}]}

    def mcp_name(self, mcp: McpId) -> str:
        return {1: "core", 2: "edge"}[mcp]

    def intents(self, mcp: str) -> list[Intent]:
        return self.wanted.get(mcp, [])

    def mcps(self) -> list[Json]:
        core = {
            "name": "core", "id": 7, "type": "off-path", "type_computed": "off-path",
            "interception": "steered", "addresses": ["10.8.0.2", "fd00:8::2"], "port": "s3:1",
            "capacity_sessions": 10000, "sessions": 2, "subflows": 3, "reachable": True,
            "location": "ip-gateway", "access_networks": [], "public_addresses": [],
        }  # fmt: skip
        edge = {**core, "name": "edge", "id": 8, "type_computed": "on-path", "port": "s2:9"}
        return [core, {**edge, "sessions": 1, "subflows": 1, "reachable": False}]

    def access_networks(self) -> list[Json]:
        lte = {
            "name": "lte", "type": "cellular", "trust": "operator",
            "prefixes": ["10.1.0.0/24", "fd00:1::/64"], "ports": ["s1:1"], "offloaded_to": None,
        }  # fmt: skip
        return [lte, {**lte, "name": "wlan", "type": "wlan", "prefixes": ["10.2.0.0/24"], "ports": ["s2:1"]}]

    def gateways(self) -> list[Json]:
        return [
            {
                "name": "internet", "prefixes": ["10.9.0.0/24"], "ports": ["s4:1"],
                "addresses": ["10.9.0.1"], "next_hops": [],
            }
        ]  # fmt: skip

    def subscribers(self) -> list[Json]:
        quotas = {"sessions_per_subscriber": 10, "sessions_per_server": None}
        return [{"id": IMSI, "class": "gold", "prefixes": ["10.1.0.0/28"], "quotas": quotas}]

    def limits(self) -> Json:
        full = {"kind": "subscriber", "name": IMSI, "most": 2, "source": f"subscriber {IMSI}"}
        return {
            "controller": [{"limit": "sessions", "most": 200000, "used": 3}],
            "quotas": [{"limit": "sessions_per_subscriber", "source": "class home", "most": 2}],
            "use": [{"kind": "subscriber", "name": IMSI, "sessions": 2}],
            "refusals": {"session-limit": 1},
            "full": [full | {"count": 1}],
            "last_full": full,
        }

    def avoids_fragments(self) -> bool:
        return True

    def mapping_logging(self, mcp: str) -> tuple[bool, bool] | None:
        return (True, False) if mcp == "core" else None

    def sources_of(self, mcp: str) -> tuple[Network, ...]:
        return (ip_network("192.0.2.0/28"),) if mcp == "core" else ()

    def reported(self, mcp: str) -> tuple[McpId, tuple[str, int] | None] | None:
        return (McpId(7), ("9f3c2a1b00112233", 18)) if mcp == "core" else None

    def subscriber_of(self, address: bytes) -> str | None:
        return IMSI

    def reservations(self) -> list[Json]:
        return [RESERVATION]

    def reservation(self, name: str) -> Json | None:
        return RESERVATION if name in ("d-1", RESERVATION["id"]) else None

    def denied(self, name: str) -> str | None:
        return None

    def ended_reservations(self) -> list[tuple[str, str]]:
        return []

    def sessions(
        self, after: int, limit: int, wanted: SessionFilter, pause: Any = None
    ) -> tuple[list[Json], int, int | None]:
        self.asked.append((after, limit, wanted))
        chosen = [
            (
                number,
                {**HEAD, "id": f"m-{number}", "mcp": "edge" if number % 3 == 0 else "core", "subflows": 2},
            )
            for number in range(1, self.count + 1)
        ]
        chosen = [
            (number, found)
            for number, found in chosen
            if wanted.mcp in (None, found["mcp"]) and wanted.state in (None, found["state"])
        ]
        rest = [(number, found) for number, found in chosen if number > after]
        page = rest[:limit]
        more = page[-1][0] if len(rest) > limit else None
        return [found for _, found in page], len(chosen), more

    def changed_sessions(self, most: int) -> ChangedSessions:
        """Those that came since this was asked last."""
        began, self.told = range(self.told + 1, self.count + 1), self.count
        changes = tuple(SessionChange(f"m-{number}", None, ("established", 2)) for number in began[:most])
        return ChangedSessions(changes, len(began[most:]))

    def session_id(self, number: int) -> str:
        return f"{self.controller}{number}"

    def session_number(self, session_id: str) -> int:
        return int(session_id.rpartition(":")[2] or 0)

    def session_line(self, session_id: str) -> Json | None:
        found = self.session(session_id)
        return None if found is None else {**found, "subflows": len(found["subflows"])}

    def session(self, session_id: str) -> Json | None:
        if session_id == "m-2":
            return {**HEAD, "id": "m-2", "token": None, "version": None, "subflows": [], "decision": None}
        if session_id == "m-3":
            return {**HEAD, "id": "m-3", "subflows": [], "decision": "d-forgotten"}
        return {**HEAD, "subflows": SUBFLOWS, "decision": "d-1"} if session_id == "m-1" else None

    def aborted(self, session_id: str) -> Json | None:
        if session_id != "m-1":
            return None
        ends = [
            {"end": "host", "address": "10.1.0.2", "port": 40000, "outcome": "closed"},
            {"end": "server", "address": "10.9.0.2", "port": 80, "outcome": "silent"},
        ]
        return {"id": session_id, "over": True, "ends": ends}

    def paths(self, session_id: str) -> Json | None:
        if session_id not in ("m-1", "m-2", "m-3"):
            return None
        parts = ("src", "sport", "dst", "dport", "access_network")
        subflows = [
            {part: one[part] for part in parts} | {"natural": ["s1", "s4"], "pinned": ["s1", "s3"]}
            for one in SUBFLOWS
        ]
        return {"id": session_id, "mcp": "core", "subflows": subflows, "onward": ["s3", "s4"]}

    def decision(self, decision_id: str) -> Json | None:
        return DECISION if decision_id == "d-1" else None


class Tokens:
    """A keyring of one token for each role, the role's name and much padding."""

    def identify(self, token: str) -> Identity | None:
        if token == TOKEN:
            return Identity("0123abcd", Role.OPERATOR, "tests")
        for role in Role:
            if token == token_of(role):
                own = "cpe-1" if role is Role.DEVICE else ""
                return Identity(f"{role}-id", role, own, "core" if role is Role.MCP else "")
        return None


def name_in(path: str) -> str:
    """What fits {name} in a route's path."""
    return next((name for part, name in NAMES.items() if part in path), "lte")


def token_of(role: str) -> str:
    return f"{role}-" + "y" * 40


def north(
    view: Any = None, counters: Counters | None = None, control: Control | None = None, **more: Any
) -> Northbound:
    """The real northbound over a view, its clock standing at CLOCK."""
    settings: Any = {
        "now": lambda: CLOCK,
        "wall": lambda: WALL,
        "epoch": "0badcafe",
        "pseudonyms": b"k" * 32,
        "throttle": Throttle(1e6, 1e6),
    } | more
    return northbound(
        view or FixedView(),
        control or Noted(),
        counters or Counters(),
        CollectorRegistry(),
        settings.pop("keyring", None) or Tokens(),
        settings.pop("now"),
        **settings,
    )


def served(view: Any = None, counters: Counters | None = None, **more: Any) -> RestApplication:
    """Its application; TOKEN is an operator's."""
    return north(view, counters, **more).application
