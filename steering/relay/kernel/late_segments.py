"""nft rules for late segments (S-15): MPTCP of sessions that are over. A relayed session is MPTCP only between the relay and
one peer. Segments that the peer sends before it learns that its session is over meet no socket any more. They would be
forwarded to the other end, which knows no MPTCP, so they are reset. This concerns only 4-tuples whose MPTCP met a socket
of a relay here. Other MPTCP is forwarded, also where it began while no relay ran.

Where a controller tells both ends that a relay has died (D-6.7.1), late segments are reset by a relay that lives alone. The
kernel's own MP_FASTCLOSE of a dying relay may be lost, or overtake data, so that the host does not believe it. A plain
reset would then end the last subflow on which the controller can tell the host's program, which hears of it only after the
host's `net.mptcp.close_timeout`. So the segments of a dead relay's sessions are dropped, and those of the run before this
one too, until the controller had its time to tell.

The rules know a live relay by its listeners. A starting relay's listeners open before it replaces the table of an earlier run.
So `calming` changes that table first, and the 4-tuples of that run are taken over into the new table.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

LATE_S = 60
"""Seconds after the last segment of a connection in which a late one is still recognised: longer than retransmissions."""

BEFORE_S = 10
"""Seconds from a relay's start in which late segments of the run before are dropped: a controller asks each end for 5 s."""

MAX_LATE = 65_536
MAX_BEFORE = 8_192
"""Most 4-tuples of each family that are taken over from the run before. The newest are taken: their peers may be sending."""

RESET, DROP = "reject with tcp reset", "drop"
FAMILIES: Mapping[str, str] = MappingProxyType({"ip": "ipv4_addr", "ip6": "ipv6_addr"})
Flows = Mapping[str, Sequence[str]]
"""By family the 4-tuples of connections, as nft writes them."""

NO_FLOWS: Flows = MappingProxyType({})


def _key(word: str) -> str:
    return f"{word} saddr . tcp sport . {word} daddr . tcp dport"


def _meets(word: str, name: str, verdict: str) -> str:
    return f"tcp option mptcp exists {_key(word)} @{name}_{word} counter {verdict}"


def _set(name: str, word: str, flags: str, seconds: int, flows: Flows) -> str:
    kind = FAMILIES[word]
    listed = flows.get(word, ())
    elements = f"\n    elements = {{ {', '.join(listed)} }}" if listed else ""
    return f"""\
  set {name}_{word} {{
    type {kind} . inet_service . {kind} . inet_service; flags {flags}; timeout {seconds}s; size {MAX_LATE};{elements}
  }}
"""


def late(mark: int, told: bool = False, before: Flows = NO_FLOWS) -> str:
    """Sets and chains of the relay's table. `mark`: the mark of segments for this relay. `told`: whether a controller tells
    hosts when this relay has died. `before`: the 4-tuples that are taken over from the run before."""
    sets = [_set("late", word, "dynamic", LATE_S, before) for word in FAMILIES]
    notes = [f"    tcp option mptcp exists update @late_{word} {{ {_key(word)} }}\n" for word in FAMILIES]
    ends = _lines(_meets(word, "late", DROP if told else RESET) for word in FAMILIES)
    over = ""
    if told:
        sets += [_set("before", word, "timeout", BEFORE_S, before) for word in FAMILIES]
        over = f"  chain over {{\n{_lines(_over())}  }}\n"
    return f"""\
{"".join(sets)}  chain ours {{
    meta mark set {mark:#x}
{"".join(notes)}    accept
  }}
  chain late {{
    type filter hook forward priority filter; policy accept;
{ends}  }}
{over}"""


def _over() -> list[str]:
    """Rules for late segments that meet a listener of a live relay."""
    silent = [_meets(word, "before", DROP) for word in FAMILIES]
    resets = [_meets(word, "late", RESET) for word in FAMILIES]
    return [*silent, *resets, "accept"]


def _lines(rules: Iterable[str]) -> str:
    return "".join(f"    {rule}\n" for rule in rules)


def calming(table: str) -> str:
    """Text for `nft -f`: the table that an earlier run left drops late segments that meet a listener. nft fails where there
    is no such table, or it is of a relay without a controller, which resets late segments in any case."""
    return _instead(table, [_meets(word, "late", DROP) for word in FAMILIES])


def resuming(table: str) -> str:
    """Text for `nft -f` that undoes `calming`: the chain is again as `late` makes it."""
    return _instead(table, _over())


def _instead(table: str, rules: Iterable[str]) -> str:
    lines = [f"add rule inet {table} over {rule}" for rule in rules]
    return "\n".join((f"flush chain inet {table} over", *lines, ""))


def listing(table: str, word: str) -> str:
    """The command that lists the 4-tuples in the relay's table, of one family. `flows_of` reads its output."""
    return f"nft -j list set inet {table} late_{word}"


def flows_of(text: str) -> list[str]:
    """The newest 4-tuples in nft's listing of a set, each as nft writes an element. Empty for a text that is no such listing."""
    try:
        rows: list[Any] = json.loads(text)["nftables"]
        elements: list[Any] = next((row["set"].get("elem", []) for row in rows if "set" in row), [])
        full = [one.get("elem", {"val": one}) for one in elements]
        found = [(one.get("expires", 0), one["val"]["concat"]) for one in full]
        found.sort(key=lambda pair: -pair[0])
        return [
            f"{ip_address(a)} . {int(sport)} . {ip_address(b)} . {int(dport)}"
            for _, (a, sport, b, dport) in found[:MAX_BEFORE]
        ]
    except (ValueError, LookupError, TypeError, AttributeError):
        return []
