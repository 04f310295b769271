"""A View with fixed answers: two MCPs, three sessions, one decision."""

import math
from typing import Any

from prometheus_client import CollectorRegistry

from steering.core.counters import Counters
from steering.northbound import application
from steering.northbound.wsgi import Application

TOKEN = "t0ken_of-the-tests_" + "x" * 24
CLOCK = 500.0

Json = dict[str, Any]

HEAD: Json = {
    "id": "m-1",
    "state": "established",
    "mcp": "core",
    "token": "92c53b6f",
    "version": 1,
    "client": "10.1.0.2:40000",
    "server": "10.9.0.2:80",
    "age_s": 200.5,
}

SUBFLOWS: list[Json] = [
    {
        "src": "10.1.0.2", "sport": 40000, "dst": "10.9.0.2", "dport": 80, "kind": "initial",
        "access_network": "lte", "path": "natural", "switch": "s1", "entries": 2,
        "address_id": 0, "backup": False,
    },
    {
        "src": "fd00:2::2", "sport": 40001, "dst": "fd00:9::2", "dport": 80, "kind": "join",
        "access_network": "wlan", "path": "redirected", "switch": "s2", "entries": 1,
        "address_id": 3, "backup": True,
    },
]  # fmt: skip

DECISION: Json = {
    "id": "d-1",
    "time_s": 480.0,
    "policy_version": 3,
    "outcome": "proxy",
    "winner": "core",
    "reason": "lowest score",
    "natural_cost": 4.0,
    "candidates": [
        {
            "mcp": "core", "filtered": None, "cost": 5.0, "stretch": 1.25,
            "terms": {"location": 0.25, "type": 0.1, "load": 0.02}, "score": 0.37,
            "on_path": False, "path": ["s1", "s3", "s4"],
        },
        {
            "mcp": "edge", "filtered": "stretch", "cost": math.inf, "stretch": None,
            "terms": {}, "score": None, "on_path": True,
        },
    ],
}  # fmt: skip


class FixedView:
    """Implements steering.model.view.View with data of its own."""

    def __init__(self, sessions: int = 3) -> None:
        self.count = sessions
        self.asked: list[tuple[int, int, str | None, str | None]] = []

    def health(self) -> Json:
        return {
            "status": "ok",
            "version": "0.1.0",
            "uptime_s": 192.4,
            "switches": {"connected": 3, "known": 4},
            "sessions": {"established": 2, "syn-pinned": 1, "plain": 0},
            "policy_version": 3,
        }

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
            "hosts": [{"address": "10.1.0.2", "mac": "02:00:00:00:00:02", "port": "s1:1"}],
        }

    def mcps(self) -> list[Json]:
        core = {
            "name": "core", "id": 7, "type": "off-path", "type_computed": "off-path",
            "interception": "steered", "addresses": ["10.8.0.2", "fd00:8::2"], "port": "s3:1",
            "capacity_sessions": 10000, "sessions": 2, "subflows": 3, "reachable": True,
        }  # fmt: skip
        edge = {**core, "name": "edge", "id": 8, "type_computed": "on-path", "port": "s2:9"}
        return [core, {**edge, "sessions": 1, "subflows": 1, "reachable": False}]

    def sessions(self, offset: int, limit: int, mcp: str | None, state: str | None) -> tuple[list[Json], int]:
        self.asked.append((offset, limit, mcp, state))
        chosen = [
            {**HEAD, "id": f"m-{number}", "mcp": "edge" if number % 3 == 0 else "core", "subflows": 2}
            for number in range(1, self.count + 1)
        ]
        chosen = [
            found for found in chosen if mcp in (None, found["mcp"]) and state in (None, found["state"])
        ]
        return chosen[offset : offset + limit], len(chosen)

    def session(self, session_id: str) -> Json | None:
        if session_id == "m-2":
            return {**HEAD, "id": "m-2", "token": None, "version": None, "subflows": [], "decision": None}
        if session_id == "m-3":
            return {**HEAD, "id": "m-3", "subflows": [], "decision": "d-forgotten"}
        return {**HEAD, "subflows": SUBFLOWS, "decision": "d-1"} if session_id == "m-1" else None

    def decision(self, decision_id: str) -> Json | None:
        return DECISION if decision_id == "d-1" else None


def served(view: Any = None, counters: Counters | None = None, **more: Any) -> Application:
    """The real application over a view, its token TOKEN and its clock standing at CLOCK."""
    return application(
        view or FixedView(), counters or Counters(), CollectorRegistry(), TOKEN, lambda: CLOCK, **more
    )
