"""Shares of a session's traffic (D-6.6k): each subflow carries its share, measured against the subflow with the greatest one.

The kernel's scheduler has no weights. But it sends nothing on a backup while another subflow works, and MP_PRIO makes both
sides do so (RFC 8684 section 3.3.8). So the subflow with the greatest share always carries. Each other one carries until it
has had its share of what the greatest had; then it is a backup until the greatest is ahead again. Nothing is dropped,
whatever the accesses can carry. Bytes of both directions of the last seconds count. Data in flight when a subflow becomes a
backup comes on top, and shortens the subflow's next turn.

nft counts the bytes by a subflow's addresses and ports: `prerouting` what hosts send, `output` what they get.
"""

import json
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import NamedTuple

from steering.relay.kernel.commands import RuleError, command
from steering.relay.kernel.path_manager import KernelSubflow

TABLE = "steering_shares"
PERIOD = 0.2  # seconds between two looks
MOST = 1_024  # subflows with shares at once; the kernel chooses for sessions beyond
KEPT = 0.96  # factor on earlier bytes at each look: some five seconds count
SLACK = 32_768  # bytes above its share at which a subflow has to wait: half of the kernel's largest segment
WAYS = {
    "up": ("prerouting", "{0} saddr . tcp sport . {0} daddr . tcp dport"),
    "down": ("output", "{0} daddr . tcp dport . {0} saddr . tcp sport"),
}


class SubflowShare(NamedTuple):
    """A subflow and its part of its session's traffic."""

    subflow: KernelSubflow
    part: int


def waiting(shares: list[SubflowShare], carried: list[float]) -> list[bool]:
    """For each subflow of one session, whether it has to wait: it has carried more than its share. `carried`: bytes."""
    greatest = max(range(len(shares)), key=lambda n: shares[n].part)
    unit = carried[greatest] / shares[greatest].part
    ahead = [had > share.part * unit + SLACK for share, had in zip(shares, carried, strict=True)]
    ahead[greatest] = False
    return ahead


def ruleset(shares: list[SubflowShare]) -> str:
    """The nft table as text. It replaces this table and no other. Counters begin at zero."""
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
    """Keeps the shares. `tick` may be called at any rate; it looks each PERIOD seconds, and only at subflows with a share."""

    def __init__(
        self, run: Callable[[str, str | None], str | None], priority: Callable[[KernelSubflow, bool], None]
    ) -> None:
        """`run(line, input)` runs a command, for example `run_tool`; its output; raises RuleError. `priority(subflow, waits)`
        makes a subflow a backup or not; raises OSError, for example where the subflow is gone."""
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
        """Compare the subflows of `given`, each with its share, and have them carry or wait. Raises RuleError; the next look
        tries again."""
        if now < self._next:
            return
        self._next = now + PERIOD
        shares = sessions(given)
        if shares != self._shares:
            self._begin(shares)
        elif shares:
            self._look()

    def stop(self) -> None:
        """Have every subflow carry again, and remove the table. Raises RuleError."""
        self._begin([])

    def _begin(self, shares: list[SubflowShare]) -> None:
        """Take over changed shares. Bytes that were carried under the old shares count no more."""
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
            return  # the subflow is gone; the controller will withdraw its share
        self.turns += 1


def sessions(given: Iterable[tuple[KernelSubflow, int]]) -> list[SubflowShare]:
    """The shares of all sessions with at least two, in a fixed order. Sessions are taken whole, up to MOST shares in all."""
    by_session: dict[int, list[SubflowShare]] = {}
    for subflow, part in given:
        by_session.setdefault(subflow.token, []).append(SubflowShare(subflow, part))
    found: list[SubflowShare] = []
    for shares in by_session.values():
        if 1 < len(shares) <= MOST - len(found):
            found += sorted(shares)
    return found


def counters(listed: str) -> dict[str, int]:
    """Bytes by counter name, from the output of `nft -j`. Raises RuleError for another text."""
    try:
        rows = [row["counter"] for row in json.loads(listed)["nftables"] if "counter" in row]
        return {str(row["name"]): int(row["bytes"]) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise RuleError(f"nft's counters cannot be read: {error!r}") from None


def run_tool(line: str, text: str | None) -> str | None:
    """Run a command of the system's nft; its output. Raises RuleError."""
    return command(line, text=text)
