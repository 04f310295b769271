"""Finds nft rules of a relay's tables that are not in force, and rules that lead its ports to another listener.

The wanted tables are loaded into an empty network namespace, and listed by the same nft that lists the tables of this
one. So equal rules have equal texts for any version of nft. TPROXY rules are compared by family, prefix and port,
since changed options show there.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network, summarize_address_range
from itertools import chain as links
from typing import Any, NamedTuple

from steering.relay.kernel.commands import RuleError
from steering.relay.kernel.rules import NftTable

Network = IPv4Network | IPv6Network
PortSet = frozenset[int]
Json = dict[str, Any]
Chain = tuple[str, str]
"""A table with its family (like `inet steering_relay`), and a chain."""

LIST = "nft -j -s -t list ruleset"
APART = "unshare --net sh -s"
SHOWN = 6
ANYWHERE: dict[str, Network] = {"ip": ip_network("0.0.0.0/0"), "ip6": ip_network("::/0")}
FAMILY = {"ip": "IPv4", "ip6": "IPv6"}
ALL_PORTS: PortSet = frozenset(range(65_536))
EVER = frozenset(
    json.dumps(term, sort_keys=True)
    for term in (
        {"accept": None},
        {"counter": None},
        {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}},
        {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "protocol"}}, "right": "tcp"}},
        {"match": {"op": "==", "left": {"payload": {"protocol": "ip6", "field": "nexthdr"}}, "right": "tcp"}},
    )
)
"""Further terms that a TPROXY rule may have without taking less."""

OWN = 0
"""Stands for a listener's port that is the same as the service's."""


class NftProblem(NamedTuple):
    """A problem. `kind`: nft, interception or listener-port."""

    kind: str
    what: str


class TproxyRule(NamedTuple):
    """A TPROXY rule. `to`: the listener's port, or OWN. `terms`: all further conditions and actions of the rule."""

    family: str
    networks: tuple[Network, ...]
    ports: PortSet
    to: int
    terms: frozenset[str]


class RulesetListing(NamedTuple):
    """All tables; the hook and the rules of each chain as texts, in order; and the TPROXY rules by themselves."""

    tables: frozenset[str]
    chains: dict[Chain, list[str]]
    takes: list[tuple[Chain, TproxyRule]]


def problems(
    wanted: Sequence[NftTable],
    run: Callable[[str, str | None], str],
    may_be_empty: frozenset[str] = frozenset(),
) -> Iterator[NftProblem]:
    """The parts of the tables that are not in force on this machine. Tables of `may_be_empty` may be without chains.
    Raises RuleError."""
    text = "".join(table.text for table in wanted)
    meant = read(run(APART, f"nft -f - <<'NFT' || exit 1\n{text}NFT\n{LIST}\n"))
    yield from compared(wanted, meant, read(run(LIST, None)), may_be_empty)


def compared(
    wanted: Sequence[NftTable],
    meant: RulesetListing,
    found: RulesetListing,
    may_be_empty: frozenset[str] = frozenset(),
) -> Iterator[NftProblem]:
    """The differences. A missing table is reported once. Otherwise chains are reported one by one, and TPROXY rules
    by family and port."""
    for table in wanted:
        name = f"inet {table.name}"
        if not any(of == name for of, _ in meant.chains):
            continue
        takes = [take for chain, take in meant.takes if chain[0] == name]
        if name not in found.tables:
            by_others = [list(_take(take, name, found)) for take in takes]
            if all(by_others):
                yield NftProblem("nft", f"there is no table {name}: {table.without}")
            else:  # an operator's own table does the same, for some families at least
                yield from links.from_iterable(by_others)
            continue
        if table.name in may_be_empty and not any(of == name for of, _ in found.chains):
            continue
        for chain, rules in meant.chains.items():
            if chain[0] == name:
                yield from _chain(table, chain[1], rules, found.chains.get(chain))
        for take in takes:
            yield from _take(take, name, found)


def _chain(table: NftTable, chain: str, wanted: list[str], found: list[str] | None) -> Iterator[NftProblem]:
    where = f"chain {chain} of table inet {table.name}"
    effect = table.chains.get(chain, table.without)
    if found is None:
        yield NftProblem("nft", f"there is no {where}: {effect}")
        return
    missing, foreign = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    if missing:
        first = next(at for at, rule in enumerate(wanted) if rule in missing)
        told = f"{missing.total()} of {len(wanted)} rules are missing in {where}"
        yield NftProblem("nft", f"{told}, first `{_as_written(table, chain, first, len(wanted))}`: {effect}")
    elif foreign:
        yield NftProblem("nft", f"{where} has {foreign.total()} rules that are not the relay's: {effect}")
    elif wanted != found:
        yield NftProblem("nft", f"{where} has its rules in another order: {effect}")


def _as_written(table: NftTable, chain: str, at: int, count: int) -> str:
    """A rule as --nft prints it. TPROXY rules do not count."""
    after = table.text.partition(f"  chain {chain} {{\n")[2].partition("  }\n")[0]
    lines = [part.strip() for line in after.splitlines() for part in [line] if "tproxy" not in line]
    return lines[at] if len(lines) == count else f"rule {at}"


def _take(wanted: TproxyRule, table: str, found: RulesetListing) -> Iterator[NftProblem]:
    """The problems of a TPROXY rule. A port that is led to another listener is not also reported as not taken."""
    every = [(chain, take) for chain, take in found.takes if take.family == wanted.family]
    first = first_met(found) if any(chain[0] != table for chain, _ in every) else frozenset()
    like = [
        take
        for chain, take in every
        if (take.terms == wanted.terms if chain[0] == table else chain in first and _as_well(take, wanted))
    ]
    other = [take for _, take in every if take.to != wanted.to]
    misled: dict[tuple[int, PortSet], list[Network]] = {}
    left: dict[PortSet, list[Network]] = {}
    for network in wanted.networks:
        ports = wanted.ports
        for take in other:
            if any(network.overlaps(one) for one in take.networks):
                wrong = (take.ports & ports) - {take.to or wanted.to}
                if wrong:
                    misled.setdefault((take.to, wrong), []).append(network)
                    ports -= wrong
        for take in like:
            if any(_holds(one, network) for one in take.networks):
                ports -= take.ports if take.to == wanted.to else take.ports & {take.to or wanted.to}
        if ports:
            left.setdefault(ports, []).append(network)
    family = FAMILY[wanted.family]
    for (to, ports), networks in misled.items():
        listener = f"a listener at {to}" if to else "listeners of their own"
        why = (
            f"the relay listens at {wanted.to}"
            if wanted.to
            else "joins that reach a listener of another port are reset (MPTcpExtMismatchPortSynRx)"
        )
        told = f"TPROXY leads {family} to {some(networks)} port {spans(ports)} to {listener}: {why}"
        yield NftProblem("listener-port", told)
    for ports, networks in left.items():
        told = f"no TPROXY rule takes {family} to {some(networks)} port {spans(ports)}: it goes by the relay"
        yield NftProblem("interception", told)


def _as_well(take: TproxyRule, wanted: TproxyRule) -> bool:
    """Whether a rule of another table takes at least as much as ours, and sets the same mark."""
    marks = {term for term in wanted.terms if term.startswith('{"mangle"')}
    return marks <= take.terms <= wanted.terms | EVER


def first_met(found: RulesetListing) -> frozenset[Chain]:
    """The chains that incoming segments pass before routing: those with that hook, and chains to which they jump."""
    met = {chain for chain, rules in found.chains.items() if rules and '"hook": "prerouting"' in rules[0]}
    new = set(met)
    while new:
        texts = [(table, rule) for table, name in new for rule in found.chains[table, name]]
        new = {
            chain
            for table, rule in texts
            for chain in found.chains
            if chain[0] == table and _goes(rule, chain[1])
        }
        new -= met
        met |= new
    return frozenset(met)


def _goes(rule: str, chain: str) -> bool:
    target = json.dumps({"target": chain})
    return f'"goto": {target}' in rule or f'"jump": {target}' in rule


def _holds(outer: Network, inner: Network) -> bool:
    if isinstance(outer, IPv4Network):
        return isinstance(inner, IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and inner.subnet_of(outer)


def some(items: Sequence[object]) -> str:
    """The first of several texts, and how many more there are."""
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(map(str, items[:SHOWN])) + more


def spans(ports: Iterable[int]) -> str:
    """{80, 443, 444} -> `80, 443-444`."""
    runs: list[list[int]] = []
    for port in sorted(ports):
        if runs and runs[-1][1] == port - 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return some([str(low) if low == high else f"{low}-{high}" for low, high in runs])


# -- what nft lists ------------------------------------------------------------------------------------------------


def read(text: str) -> RulesetListing:
    """Read the output of `nft -j list ruleset`. Raises RuleError for another text."""
    tables: set[str] = set()
    chains: dict[Chain, list[str]] = {}
    takes: list[tuple[Chain, TproxyRule]] = []
    try:
        for row in json.loads(text)["nftables"]:
            if "table" in row:
                tables.add(f"{row['table']['family']} {row['table']['name']}")
            elif "chain" in row:
                it = row["chain"]
                hangs = {key: it[key] for key in ("type", "hook", "prio", "policy") if key in it}
                chains[_place(it, it["name"])] = [json.dumps(hangs, sort_keys=True)] if hangs else []
            elif "rule" in row:
                it = row["rule"]
                place = _place(it, it["chain"])
                take = _take_of(it)
                if take is None:
                    chains[place].append(json.dumps([_still(one) for one in it["expr"]], sort_keys=True))
                else:
                    takes.append((place, take))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RuleError(f"nft lists what cannot be read ({type(error).__name__})") from None
    return RulesetListing(frozenset(tables), chains, takes)


def _place(it: Json, chain: str) -> Chain:
    return f"{it['family']} {it['table']}", chain


def _still(statement: Any) -> Any:
    """A rule without the parts that change when packets pass, such as counters."""
    return {"counter": None} if isinstance(statement, dict) and "counter" in statement else statement


def _take_of(rule: Json) -> TproxyRule | None:
    tproxy = next((one["tproxy"] for one in rule["expr"] if isinstance(one, dict) and "tproxy" in one), None)
    if tproxy is None:
        return None
    family = tproxy.get("family") or (rule["family"] if rule["family"] in ANYWHERE else "ip")
    networks: tuple[Network, ...] = (ANYWHERE[family],)
    ports = ALL_PORTS
    terms = []
    for one in rule["expr"]:
        match = one.get("match", {}) if isinstance(one, dict) else {}
        payload = match.get("left", {}).get("payload", {}) if isinstance(match.get("left"), dict) else {}
        if isinstance(one, dict) and "tproxy" in one:
            continue
        if match.get("op") == "==" and payload == {"protocol": family, "field": "daddr"}:
            networks = tuple(net for item in _items(match["right"]) for net in _networks(item))
        elif match.get("op") == "==" and payload == {"protocol": "tcp", "field": "dport"}:
            ports = frozenset(port for item in _items(match["right"]) for port in _ports(item))
        else:
            terms.append(json.dumps(_still(one), sort_keys=True))
    return TproxyRule(family, networks, ports, _listener(tproxy.get("port")), frozenset(terms))


def _items(right: Any) -> list[Any]:
    if isinstance(right, dict) and "set" in right:
        return list(right["set"]) if isinstance(right["set"], list) else [right["set"]]
    return [right]


def _networks(item: Any) -> Iterable[Network]:
    """The networks of an item. None for a named set, whose content is not read."""
    if isinstance(item, dict) and "prefix" in item:
        return [ip_network(f"{item['prefix']['addr']}/{item['prefix']['len']}")]
    if isinstance(item, dict) and "range" in item:
        first, last = (ip_network(end).network_address for end in item["range"])
        if isinstance(first, IPv4Address) and isinstance(last, IPv4Address):
            return list(summarize_address_range(first, last))
        if isinstance(first, IPv6Address) and isinstance(last, IPv6Address):
            return list(summarize_address_range(first, last))
    return [ip_network(item)] if isinstance(item, str) and not item.startswith("@") else []


def _ports(item: Any) -> Iterable[int]:
    if isinstance(item, dict) and "range" in item:
        return range(item["range"][0], item["range"][1] + 1)
    return [item] if isinstance(item, int) else []


def _listener(port: Any) -> int:
    """The port of a listener. Any form other than a number leaves the port as it is."""
    return port if isinstance(port, int) else OWN
