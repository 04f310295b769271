"""The clock of a dead lab, and what agents of its hosts answer (tests.support.dead_lab)."""

import time
from typing import Any

Json = dict[str, Any]


class Clock:
    """In place of the module `time`: each look at it takes a millisecond."""

    def __init__(self) -> None:
        self._gone = 0.0

    def monotonic(self) -> float:
        self._gone += 0.001
        return 1_000.0 + self._gone

    def time(self) -> float:
        return 1_700_000_000.0 + self.monotonic()

    def sleep(self, seconds: float) -> None:
        self._gone += seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class Traffic:
    """What agents of hosts answer. Where `plain`, connections are there and carry data; otherwise none is. With a `token` they are
    MPTCP by their own word, though no kernel has a subflow of them."""

    def __init__(self, clock: Clock, plain: bool, token: str | None) -> None:
        self._clock, self._plain, self._token, self._ports = clock, plain, token, 40_000
        self._tasks: dict[str, Json] = {}

    def __call__(self, order: Json) -> Json:
        answer: Json = getattr(self, f"_{order['do'].replace('-', '_')}")(order)
        return answer

    def _open(self, order: Json) -> Json:
        return {"opened": [self._one(order) for _ in range(order.get("count", 1))]}

    def _one(self, order: Json) -> Json:
        port = order["ports"][0]
        if not self._plain:
            self._clock.sleep(order.get("wait", 5.0))
            return {"error": "timed out", "port": port}
        self._ports += 1
        return {"local": ["10.1.0.2", self._ports], "port": port, "token": self._token, "connect_s": 0.01}

    def _echo(self, _order: Json) -> Json:
        return {"asked": 1, "failed": [] if self._plain else ["timed out"], "longest_own_s": 0.0}

    def _push(self, order: Json) -> Json:
        return self._echo(order)

    def _half_close(self, _order: Json) -> Json:
        return {"ended": 0}

    def _mark(self, _order: Json) -> Json:
        return {}

    def _close(self, _order: Json) -> Json:
        return {"closed": 0}

    def _stop(self, _order: Json) -> Json:
        return {}

    def _trace(self, _order: Json) -> Json:
        return {"hops": []}

    def _ping(self, order: Json) -> Json:
        count = order.get("count", 3)
        self._clock.sleep(0.0 if self._plain else count * order.get("wait", 1.0))
        return {"answered": count if self._plain else 0}

    def _start(self, order: Json) -> Json:
        kind = order["kind"]
        begun: dict[str, Json] = {
            "first-bytes": {"took": [], "failed": 1, "errors": ["timed out"]},
            "short": {"took": []},
            "tries": {"tries": []},
            "churn": {"completed": 0, "failed": 1, "errors": ["timed out"]},
            "listener": {"told_at": None, "word": "", "heard_at": None, "bytes": 0},
            "flood": {"sent": 0},
        }
        self._tasks[order["name"]] = {
            "kind": kind,
            "done": True,
            "end": False,
            **begun.get(kind, {}),
            **self._ended(kind),
        }
        return {}

    def _ended(self, kind: str) -> Json:
        if not self._plain:
            return {} if kind in ("first-bytes", "tries", "churn", "flood") else {"error": "timed out"}
        self._ports += 1
        carried = {
            "local": ["10.1.0.2", self._ports],
            "bytes": 0,
            "seconds": 1.0,
            "mbit": 0.0,
            "token": self._token,
        }
        found: dict[str, Json] = {
            "upload": carried | {"longest_block_s": 0.0},
            "download": carried,
            "fetch": carried,
            "exchange": {"local": carried["local"], "bytes": 0, "same": True},
            "steady": carried | {"wrong": False, "longest_gap_s": 0.0, "empty_seconds": 0, "sent": 0, "received": 0},
            "sluggish": {"buffered": 0},
            "short": {"took": [0.1]},
            "first-bytes": {"took": [0.1], "failed": 0, "errors": []},
            "listener": {"local": carried["local"], "heard_at": 1.0, "token": self._token},
        }  # fmt: skip
        return found.get(kind, {})

    def _status(self, order: Json) -> Json:
        return self._tasks[order["name"]]
