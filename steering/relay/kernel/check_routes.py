"""Finds rules, routes and MPTCP endpoints that a relay's `ip` commands should have made, and that are missing.

It reads the commands themselves, so that --check looks for exactly what --apply runs.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import pairwise
from typing import Any, NamedTuple

from steering.relay.kernel.commands import RuleError

Run = Callable[[str], str]
"""Runs a command and returns its output. Raises RuleError."""

Json = dict[str, Any]
Network = IPv4Network | IPv6Network
FLAGS = frozenset({"signal", "subflow", "fullmesh", "backup"})


class MissingLine(NamedTuple):
    """Something that is missing. `kind`: ip-rule, route or endpoint. `line`: the command that makes it. `version`: 0
    for both families."""

    kind: str
    version: int
    what: str
    line: str


def lacking(lines: Sequence[str], run: Run) -> Iterator[MissingLine]:
    """What these commands should have made and is missing. Other commands are ignored. Raises RuleError."""
    seen: dict[str, list[Json]] = {}

    def ask(question: str) -> list[Json]:
        if question not in seen:
            try:
                seen[question] = rows(run(question))
            except RuleError:
                if " table " not in question:  # to show an empty table is an error of ip
                    raise
                seen[question] = []
        return seen[question]

    for line in lines:
        words = line.split()
        family = "-6 " if words[1] == "-6" else ""
        version = 6 if family else 4
        if " rule add " in line:
            wanted = named(words, 2)
            if not any(_same_rule(row, wanted) for row in ask(f"ip {family}-j rule show")):
                whom = f"mark {wanted['fwmark']}" if "fwmark" in wanted else f"source {wanted['from']}"
                told = f"no rule sends IPv{version} of {whom} to table {_table(wanted)}"
                yield MissingLine("ip-rule", version, f"{told}: {_lost(wanted)}", line)
        elif " route " in line:
            table = named(words, 2).get("table", "main")
            found = ask(f"ip {family}-j route show table {table}")
            if not any(_same_route(row, words) for row in found):
                told = f"table {table} has no route of IPv{version} `{_route(words)}`"
                yield MissingLine("route", version, f"{told}: {_lost(named(words, 2))}", line)
        elif " endpoint add " in line:
            if not any(_same_endpoint(row, words) for row in ask("ip -j mptcp endpoint show")):
                told = f"{words[4]} is no MPTCP endpoint ({' '.join(w for w in words if w in FLAGS)})"
                yield MissingLine(
                    "endpoint", 0, f"{told}: peers are not told of it, or nothing opens from it", line
                )


def towards(prefixes: Sequence[Network], routes: Sequence[Json]) -> frozenset[str]:
    """The interfaces by which IPv4 servers are reached: those with a route that overlaps one of the prefixes. Without
    prefixes: those with any route."""
    found = set()
    for row in routes:
        where = _network(str(row.get("dst")))
        known = ip_network("0.0.0.0/0") if where == "default" else where
        four = [prefix for prefix in prefixes if prefix.version == 4]
        if not prefixes or any(isinstance(known, IPv4Network) and known.overlaps(one) for one in four):
            found.add(str(row.get("dev")))
    return frozenset(found)


def rows(text: str) -> list[Json]:
    """The objects of a JSON list that `ip -j` prints. For an empty list ip prints nothing, and some commands print
    text."""
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def named(words: Sequence[str], start: int) -> dict[str, str]:
    """The words of a command by the word before each: `table 5354` -> {"table": "5354"}."""
    return dict(pairwise(words[start:]))


def numbers(text: str) -> dict[str, int]:
    """`add_addr_accepted 0 subflows 8`, alone or in a command -> {"add_addr_accepted": 0, "subflows": 8}."""
    words = text.split()
    return {name: int(value) for name, value in pairwise(words) if value.isdigit()}


def _table(wanted: dict[str, str]) -> str:
    return wanted.get("lookup") or wanted["table"]


def _lost(wanted: dict[str, str]) -> str:
    if wanted.get("dev") == "lo" or "fwmark" in wanted:
        return "what is for the relay is forwarded and not delivered"
    return "it does not leave by its own uplink"


def _same_rule(row: Json, wanted: dict[str, str]) -> bool:
    mark, _, mask = wanted.get("fwmark", "").partition("/")
    return (
        row.get("fwmark", "") == mark
        and row.get("fwmask", "") == mask
        and row.get("src") == wanted.get("from", "all")
        and str(row.get("table")) == _table(wanted)
        and str(row.get("priority")) == wanted.get("pref")
    )


def _route(words: Sequence[str]) -> str:
    """The text `local default dev lo` of a route command."""
    start = next(at for at, word in enumerate(words) if word in ("add", "replace")) + 1
    end = words.index("table") if "table" in words else len(words)
    return " ".join(words[start:end])


def _same_route(row: Json, words: Sequence[str]) -> bool:
    route = _route(words).split()
    local = route[0] == "local"
    wanted = named(route, 1)
    return (
        (row.get("type") == "local") is local
        and _network(str(row.get("dst"))) == _network(route[1 if local else 0])
        and row.get("dev") == wanted["dev"]
        and row.get("gateway") == wanted.get("via")
    )


def _network(text: str) -> object:
    """The network of a prefix. ip writes the prefix of a host without its length."""
    try:
        return ip_network(text)
    except ValueError:
        return text


def _same_endpoint(row: Json, words: Sequence[str]) -> bool:
    wanted = named(words, 5)
    return (
        row.get("address") == words[4]
        and all(str(row.get(key)) == wanted[key] for key in ("id", "port", "dev") if key in wanted)
        and all(row.get(flag) is True for flag in FLAGS & set(words))
    )
