"""What a northbound tells in tests: a session, its subflows, a decision about it, a reservation."""

import math
from typing import Any

IMSI = "001019999999999"

Json = dict[str, Any]

HEAD: Json = {
    "id": "m-1",
    "state": "established",
    "mcp": "core",
    "insertion": "reactive",
    "token": "92c53b6f",
    "version": 1,
    "client": "10.1.0.2:40000",
    "server": "10.9.0.2:80",
    "explicit": False,
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
    "rule": "gold",
    "subscriber": IMSI,
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

RESERVATION: Json = {
    "id": "0123456789abcdef", "level": "session", "standing": "offered", "subscriber": IMSI, "session": "1",
    "flow": None, "mcp": "core", "rate_bps": 8_000_000, "subflows": 0,
    "asked": {"rate_bps": 12_000_000, "subflows": 0}, "path_number": 1,
    "paths": [{"direction": "up", "between": "host-mcp", "switches": ["s1", "s3"]}],
    "version": 1, "remaining_s": 12.5,
}  # fmt: skip
