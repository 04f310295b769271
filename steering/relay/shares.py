"""Ratio per access (D-6.6k): each subflow of a session carries its share, up and down, measured against the greatest.

The kernel's scheduler has no weights, so what would be too much is not let through: the subflow with the greatest share
is only counted, and each other one is limited to its part of what that one just carried. So a ratio holds whatever the
accesses can carry and however many sessions there are, and the sum is what the greatest can carry over its share.

nft counts and limits, by a subflow's addresses and ports: `prerouting` what hosts send (dropped, as a policer does),
`output` what they get (refused to the kernel's TCP, which tries again). nft's token bucket holds a second's worth and
is full when made, so a limit is only made anew when it is off by a lot.
"""

import json
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import NamedTuple

from steering.relay.commands import RuleError, command
from steering.relay.pathmanager import Subflow

TABLE = "steering_shares"
PERIOD = 1.0  # seconds between two measurements
MOST = 1_024  # subflows at once; those of sessions beyond are used as the kernel likes
LEAST_RATE = 32_000  # bytes/s: so that a subflow is not silent while the greatest is
BURST = 131_072  # bytes: twice what the kernel hands over in one piece
OFF_BY = 0.15  # from here on a limit is made anew
TRIM = 0.9  # of the exact limit at first: a bucket made anew lets a second's worth through at once
TRIMS = (0.5, 1.1)  # what it may become, from what a limited subflow carried in spite of it
FALL = 0.75  # of its last rate a subflow is taken to carry at least: a moment's loss is no reason to limit others more
UP, DOWN = "up", "down"
WAYS = {
    UP: ("prerouting", "{0} saddr . tcp sport . {0} daddr . tcp dport"),
    DOWN: ("output", "{0} daddr . tcp dport . {0} saddr . tcp sport"),
}


class Share(NamedTuple):
    """A subflow and its part of its session's traffic."""

    subflow: Subflow
    part: int


class Way(NamedTuple):
    """A subflow in one direction; `number` names it in nft's table."""

    direction: str
    number: int


def wanted(shares: list[Share], rates: list[float | None]) -> list[int | None]:
    """What subflows of one session may carry in one direction, in bytes/s, from what the greatest carried; None for
    all that they can."""
    greatest = max(range(len(shares)), key=lambda n: shares[n].part)
    carried = rates[greatest]
    if carried is None:
        return [None] * len(shares)
    found: list[int | None] = [
        max(LEAST_RATE, int(carried * share.part / shares[greatest].part)) for share in shares
    ]
    found[greatest] = None
    return found


def is_off(limit: int | None, other: int | None) -> bool:
    """Whether a limit is so far from another that it has to be made anew."""
    if limit is None or other is None:
        return limit is not other
    return abs(limit - other) > OFF_BY * limit


def ruleset(shares: list[Share], limits: dict[Way, int]) -> str:
    """The nft table as text; it replaces this table and no other. Counters begin at nought, buckets are full."""
    lines = [f"table inet {TABLE}", f"delete table inet {TABLE}", f"table inet {TABLE} {{"]
    for direction, (hook, key) in WAYS.items():
        jumps: dict[str, list[str]] = {"ip": [], "ip6": []}
        for number, (subflow, _) in enumerate(shares):
            word = "ip" if ip_address(subflow.remote).version == 4 else "ip6"
            name = f"{direction}{number}"
            ends = f"{subflow.remote} . {subflow.remote_port} . {subflow.local} . {subflow.local_port}"
            jumps[word].append(f"{ends} : goto {name}")
            limit = limits.get(Way(direction, number))
            steps = [f'counter name "{name}"']
            if limit:
                # What a host sent has used its access, let through or not. What was refused here has used none.
                over = f"limit rate over {limit} bytes/second burst {BURST} bytes drop"
                steps.insert(1 if direction == UP else 0, over)
            lines += [f"  counter {name} {{ }}", f"  chain {name} {{ {'; '.join(steps)}; }}"]
        lines.append(f"  chain {direction} {{ type filter hook {hook} priority mangle - 20; policy accept;")
        lines += [
            f"    {key.format(word)} vmap {{ {', '.join(found)} }}" for word, found in jumps.items() if found
        ]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


class Shares:
    """`tick` as often as one likes; nothing is done where no subflow has a share."""

    def __init__(self, run: Callable[[str, str | None], str | None]) -> None:
        """`run`: a command line and its input, e.g. `run_tool`; what it printed. Raises RuleError."""
        self._run = run
        self._shares: list[Share] = []
        self._limits: dict[Way, int] = {}
        self._counted: dict[str, int] = {}
        self._rates: dict[tuple[str, Subflow], float] = {}  # that a subflow is taken to carry
        self._newest: dict[tuple[str, Subflow], float] = {}  # that it carried last
        self._trims: dict[tuple[str, Subflow], float] = {}
        self._next = self._since = 0.0
        self._installed = False
        self.made = 0  # times the table was written

    def __len__(self) -> int:
        return len(self._shares)

    def tick(self, given: Iterable[tuple[Subflow, int]], now: float) -> None:
        """The subflows that have a share now. Raises RuleError; the next tick but PERIOD tries again."""
        if now < self._next:
            return
        self._next = now + PERIOD
        shares = sessions(given)
        if not shares:
            self.stop()
            return
        self._measure(now)
        if shares != self._shares:
            self._forget()
        limits = self._wanted(shares)
        keys = limits.keys() | self._limits.keys()
        if shares != self._shares or any(is_off(limits.get(k), self._limits.get(k)) for k in keys):
            self._run("nft -f -", ruleset(shares, limits))
            self._installed = True
            self.made += 1
            self._shares, self._limits, self._counted = shares, limits, {}

    def stop(self) -> None:
        """Every subflow carries what it can again."""
        if self._installed:
            self._run(f"nft delete table inet {TABLE}", None)
        self._installed = False
        self._shares, self._limits, self._counted = [], {}, {}
        self._forget()

    def _forget(self) -> None:
        """What they carried under other limits says nothing: first they show what they can."""
        self._rates, self._newest, self._trims = {}, {}, {}

    def _measure(self, now: float) -> None:
        """What each subflow carried since the last time."""
        if self._installed:
            told = counters(self._run(f"nft -j list counters table inet {TABLE}", None) or "")
            rates: dict[tuple[str, Subflow], float] = {}
            for direction in WAYS:
                for number, share in enumerate(self._shares):
                    name, key = f"{direction}{number}", (direction, share.subflow)
                    count = told.get(name, 0)
                    rate = max(0, count - self._counted.get(name, 0)) / max(0.1, now - self._since)
                    self._newest[key] = rate
                    rates[key] = max(rate, FALL * self._rates.get(key, 0.0))
            self._counted, self._rates = told, rates
        self._since = now

    def _wanted(self, shares: list[Share]) -> dict[Way, int]:
        found: dict[Way, int] = {}
        by_session: dict[int, list[int]] = {}
        for number, share in enumerate(shares):
            by_session.setdefault(share.subflow.token, []).append(number)
        for direction in WAYS:
            for numbers in by_session.values():
                rates = [self._rates.get((direction, shares[n].subflow)) for n in numbers]
                limits = wanted([shares[n] for n in numbers], rates)
                for number, limit in zip(numbers, limits, strict=True):
                    if limit is not None:
                        way = Way(direction, number)
                        found[way] = max(
                            LEAST_RATE, int(limit * self._trim(way, shares[number].subflow, limit))
                        )
        return found

    def _trim(self, way: Way, subflow: Subflow, limit: int) -> float:
        """How much of what it may carry a subflow is limited to, so that it carries that: a policer is not exact."""
        key = (way.direction, subflow)
        trim = self._trims.get(key, TRIM)
        if way in self._limits and self._newest.get(key):
            trim *= (limit / self._newest[key]) ** 0.5
        self._trims[key] = min(max(trim, TRIMS[0]), TRIMS[1])
        return self._trims[key]


def sessions(given: Iterable[tuple[Subflow, int]]) -> list[Share]:
    """Those of sessions that have two shares at least, in a steady order; whole sessions, MOST in all."""
    by_session: dict[int, list[Share]] = {}
    for subflow, part in given:
        by_session.setdefault(subflow.token, []).append(Share(subflow, part))
    found: list[Share] = []
    for shares in by_session.values():
        if 1 < len(shares) <= MOST - len(found):
            found += sorted(shares)
    return found


def counters(listed: str) -> dict[str, int]:
    """Bytes by counter, from `nft -j`. Raises RuleError for what is none."""
    try:
        rows = [row["counter"] for row in json.loads(listed)["nftables"] if "counter" in row]
        return {str(row["name"]): int(row["bytes"]) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise RuleError(f"nft's counters cannot be read: {error!r}") from None


def run_tool(line: str, text: str | None) -> str | None:
    """The system's own nft."""
    return command(line, text=text)
