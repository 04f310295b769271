"""Ratio per access (D-6.6k): each subflow of a session carries its share, measured against the greatest.

The kernel's scheduler has no weights, but it leaves a backup alone while another subflow works, and MP_PRIO makes both
sides do so (RFC 8684 section 3.3.8). So the greatest share always carries, and each other one carries until it has had
its part of what the greatest had, and waits until the greatest is ahead again. Nothing is dropped, whatever the
accesses can carry. What counts is both directions together, of the last seconds: what is on its way when a subflow is
told to wait comes on top, and is taken off its next turn.

nft counts, by a subflow's addresses and ports: `prerouting` what hosts send, `output` what they get.
"""

import json
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import NamedTuple

from steering.relay.kernel.commands import RuleError, command
from steering.relay.kernel.path_manager import KernelSubflow

TABLE = "steering_shares"
PERIOD = 0.2  # seconds between two looks
MOST = 1_024  # subflows at once; those of sessions beyond are used as the kernel likes
KEPT = 0.96  # of what was carried, from one look to the next: some five seconds count
SLACK = 32_768  # bytes ahead of its part that make a subflow wait: half of what the kernel hands over in one piece
WAYS = {
    "up": ("prerouting", "{0} saddr . tcp sport . {0} daddr . tcp dport"),
    "down": ("output", "{0} daddr . tcp dport . {0} saddr . tcp sport"),
}


class SubflowShare(NamedTuple):
    """A subflow and its part of its session's traffic."""

    subflow: KernelSubflow
    part: int


def waiting(shares: list[SubflowShare], carried: list[float]) -> list[bool]:
    """The subflows of one session that have carried their share of what the greatest carried, in bytes: these wait."""
    greatest = max(range(len(shares)), key=lambda n: shares[n].part)
    unit = carried[greatest] / shares[greatest].part
    ahead = [had > share.part * unit + SLACK for share, had in zip(shares, carried, strict=True)]
    ahead[greatest] = False
    return ahead


def ruleset(shares: list[SubflowShare]) -> str:
    """The nft table as text; it replaces this table and no other. Counters begin at nought."""
    lines = [f"table inet {TABLE}", f"delete table inet {TABLE}", f"table inet {TABLE} {{"]
    for direction, (hook, key) in WAYS.items():
        jumps: dict[str, list[str]] = {"ip": [], "ip6": []}
        for number, (subflow, _) in enumerate(shares):
            word = "ip" if ip_address(subflow.remote).version == 4 else "ip6"
            name = f"{direction}{number}"
            ends = f"{subflow.remote} . {subflow.remote_port} . {subflow.local} . {subflow.local_port}"
            jumps[word].append(f"{ends} : goto {name}")
            lines += [f"  counter {name} {{ }}", f'  chain {name} {{ counter name "{name}"; }}']
        lines.append(f"  chain {direction} {{ type filter hook {hook} priority mangle - 20; policy accept;")
        lines += [
            f"    {key.format(word)} vmap {{ {', '.join(found)} }}" for word, found in jumps.items() if found
        ]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


class SubflowShares:
    """`tick` as often as one likes; nothing is done where no subflow has a share."""

    def __init__(
        self, run: Callable[[str, str | None], str | None], priority: Callable[[KernelSubflow, bool], None]
    ) -> None:
        """`run`: a command line and its input, e.g. `run_tool`; what it printed; raises RuleError. `priority`: a
        subflow, and whether it is to wait now; raises OSError, e.g. where it is gone."""
        self._run = run
        self._priority = priority
        self._shares: list[SubflowShare] = []
        self._counted: list[int] = []
        self._carried: list[float] = []
        self._waits: set[KernelSubflow] = set()
        self._next = 0.0
        self._installed = False
        self.turns = 0  # times a subflow was told to wait or to carry

    def __len__(self) -> int:
        return len(self._shares)

    def tick(self, given: Iterable[tuple[KernelSubflow, int]], now: float) -> None:
        """The subflows that have a share now. Raises RuleError; the next look tries again."""
        if now < self._next:
            return
        self._next = now + PERIOD
        shares = sessions(given)
        if shares != self._shares:
            self._begin(shares)
        elif shares:
            self._look()

    def stop(self) -> None:
        """Every subflow carries what it can again. Raises RuleError."""
        self._begin([])

    def _begin(self, shares: list[SubflowShare]) -> None:
        """The shares have changed. Bytes that were carried under the old ones count no more."""
        for subflow in list(self._waits):
            self._turn(subflow, False)
        if shares:
            self._run("nft -f -", ruleset(shares))
        elif self._installed:
            self._run(f"nft delete table inet {TABLE}", None)
        self._installed = bool(shares)
        self._shares = shares
        self._counted, self._carried = [0] * len(shares), [0.0] * len(shares)

    def _look(self) -> None:
        told = counters(self._run(f"nft -j list counters table inet {TABLE}", None) or "")
        by_session: dict[int, list[int]] = {}
        for number, share in enumerate(self._shares):
            count = sum(told.get(f"{direction}{number}", 0) for direction in WAYS)
            self._carried[number] = KEPT * self._carried[number] + max(0, count - self._counted[number])
            self._counted[number] = count
            by_session.setdefault(share.subflow.token, []).append(number)
        for numbers in by_session.values():
            shares = [self._shares[n] for n in numbers]
            for share, waits in zip(
                shares, waiting(shares, [self._carried[n] for n in numbers]), strict=True
            ):
                if waits != (share.subflow in self._waits):
                    self._turn(share.subflow, waits)

    def _turn(self, subflow: KernelSubflow, waits: bool) -> None:
        (self._waits.add if waits else self._waits.discard)(subflow)
        try:
            self._priority(subflow, waits)
        except OSError:
            return  # it is gone; the controller will say so
        self.turns += 1


def sessions(given: Iterable[tuple[KernelSubflow, int]]) -> list[SubflowShare]:
    """The shares of sessions that have two at least, in a steady order. Whole sessions are taken, up to MOST shares in all."""
    by_session: dict[int, list[SubflowShare]] = {}
    for subflow, part in given:
        by_session.setdefault(subflow.token, []).append(SubflowShare(subflow, part))
    found: list[SubflowShare] = []
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
