"""Finds rules that no connection reaches, because an earlier rule accepts everything that they accept.

Each condition of a rule gives a set of rules that may accept everything that this condition accepts; a set is an int
with a bit for every rule. The intersection of these sets are the suspects. Each suspect is then compared with the
rule itself, so every finding is true. Not found are rules that several earlier rules hide together. Where a rule has
more suspects than TRIED, the further ones are not compared.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Any

from steering.model.network import Network, NetworkAccessType, Trust
from steering.model.policy import Direction, Policy, Ports, RuleConditions, TimeWindow

REPORTED = 50
TRIED = 32
_DAY, _WEEK = 1440, 7 * 1440
_ALWAYS = (1 << _WEEK) - 1
_ALL_PORTS: Ports = ((1, 65535),)


def shadowed(policy: Policy) -> list[tuple[int, int]]:
    """Pairs of a hidden rule's index and the index of the earlier rule that hides it; the first REPORTED of them."""
    wide = [_plain(rule.when) for rule in policy.rules]
    narrow = [_implied(when, policy) for when in wide]
    week = _Weeks()
    dimensions = [_plain_dimension(wide, field) for field in _SETS]
    dimensions += [_prefix_dimension([w.sources for w in wide], lambda when: when.sources)]
    dimensions += [_prefix_dimension([w.destinations for w in wide], lambda when: when.destinations)]
    dimensions += [_port_dimension(wide), _time_dimension(wide)]
    found: list[tuple[int, int]] = []
    for number, when in enumerate(narrow):
        if not week.open(when.times):
            continue  # a window that never opens has a finding of its own
        suspects = (1 << number) - 1
        for dimension in dimensions:
            suspects &= dimension(when)
            if not suspects:
                break
        tries = TRIED
        while suspects and tries:
            earlier = (suspects & -suspects).bit_length() - 1
            if _covers(wide[earlier], when, week):
                found.append((number, earlier))
                break
            suspects &= suspects - 1
            tries -= 1
        if len(found) == REPORTED:
            break
    return found


_SETS: dict[
    str, int | None
] = {  # field of the conditions -> how many values it can have, None for any number
    "subscribers": None,
    "classes": None,
    "applications": None,
    "access_networks": None,
    "access_types": len(NetworkAccessType),
    "trusts": len(Trust),
    "dscp": 64,
    "ip_versions": 2,
    "mptcp_versions": 2,
    "directions": len(Direction),
}


def _plain(when: RuleConditions) -> RuleConditions:
    """A rule's conditions in a normal form, without conditions that exclude nothing."""
    sets: dict[str, Any] = {
        field: frozenset() for field, size in _SETS.items() if size and len(getattr(when, field)) == size
    }
    return replace(
        when,
        sources=_joined(when.sources),
        destinations=_joined(when.destinations),
        ports=() if when.ports == _ALL_PORTS else when.ports,
        times=() if when.times and open_minutes(when.times) == _ALWAYS else when.times,
        **sets,
    )


def _joined(networks: tuple[Network, ...]) -> tuple[Network, ...]:
    four = list(collapse_addresses(n for n in networks if isinstance(n, IPv4Network)))
    six = list(collapse_addresses(n for n in networks if isinstance(n, IPv6Network)))
    everything = len(four) == len(six) == 1 and four[0].prefixlen == six[0].prefixlen == 0
    return () if everything else (*four, *six)


def _implied(when: RuleConditions, policy: Policy) -> RuleConditions:
    """The conditions with all that they imply: a subscriber has a class, an application has its ports."""
    changes: dict[str, Any] = {}
    classes = {item.id: item.klass for item in policy.subscribers} if when.subscribers else {}
    if when.subscribers and not when.classes and when.subscribers <= classes.keys():
        changes["classes"] = frozenset(classes[name] for name in when.subscribers)
    known = {item.name: item for item in policy.applications} if when.applications else {}
    if when.applications and when.applications <= known.keys():
        applications = [known[name] for name in when.applications]
        if not when.ports and all(item.ports for item in applications):
            changes["ports"] = tuple(sorted({r for item in applications for r in item.ports}))
        if not when.destinations and all(item.destinations for item in applications):
            changes["destinations"] = _joined(tuple(n for item in applications for n in item.destinations))
    if not when.ip_versions and (when.sources or when.destinations):
        of = when.sources or when.destinations
        versions = frozenset(network.version for network in of)
        changes["ip_versions"] = versions if len(versions) == 1 else frozenset()
    return replace(when, **changes) if changes else when


Dimension = Callable[[RuleConditions], int]


def _plain_dimension(wide: list[RuleConditions], field: str) -> Dimension:
    unlimited, of = _index(getattr(when, field) for when in wide)

    def accepting(when: RuleConditions) -> int:
        values: Collection[Hashable] = getattr(when, field)
        bits = unlimited
        if values:
            common = -1
            for value in values:
                common &= of.get(value, 0)
            bits |= common
        return bits

    return accepting


def _index(wanted: Iterable[Collection[Hashable]]) -> tuple[int, dict[Hashable, int]]:
    unlimited, of = 0, dict[Hashable, int]()
    for number, values in enumerate(wanted):
        if not values:
            unlimited |= 1 << number
        for value in values:
            of[value] = of.get(value, 0) | 1 << number
    return unlimited, of


def _prefix_dimension(
    wide: list[tuple[Network, ...]], mine: Callable[[RuleConditions], tuple[Network, ...]]
) -> Dimension:
    unlimited, of = _index(wide)
    lengths = sorted({(n.version, n.prefixlen) for networks in wide for n in networks})

    def accepting(when: RuleConditions) -> int:
        bits = unlimited
        if networks := mine(when):
            common = -1
            for network in networks:
                around = 0
                for version, length in lengths:
                    if version == network.version and length <= network.prefixlen:
                        around |= of.get(network.supernet(new_prefix=length), 0)
                common &= around
                if not common:
                    break
            bits |= common
        return bits

    return accepting


def _port_dimension(wide: list[RuleConditions]) -> Dimension:
    """Suspects by ports: rules with the same ranges, and rules with a range that begins early enough."""
    unlimited, same = _index([w.ports] if w.ports else [] for w in wide)
    lows = sorted({low for w in wide for low, _ in w.ports})
    begins: dict[int, int] = dict.fromkeys(lows, 0)
    for number, when in enumerate(wide):
        if when.ports:
            begins[when.ports[0][0]] |= 1 << number
    early = 0
    for low in lows:
        begins[low] = early = early | begins[low]
    _, ends = _index([w.ports[-1][1]] if w.ports else [] for w in wide)
    late, last = {}, 0
    for high in sorted((h for h in ends if isinstance(h, int)), reverse=True):
        late[high] = last = last | ends[high]
    highs = sorted(late)

    def accepting(when: RuleConditions) -> int:
        if not when.ports:
            return unlimited
        first = bisect_right(lows, when.ports[0][0]) - 1
        final = bisect_left(highs, max(high for _, high in when.ports))
        bits = begins[lows[first]] if first >= 0 else 0
        bits &= late[highs[final]] if final < len(highs) else 0
        return unlimited | bits | same.get(when.ports, 0)

    return accepting


def _time_dimension(wide: list[RuleConditions]) -> Dimension:
    unlimited, timed = 0, 0
    for number, when in enumerate(wide):
        if when.times:
            timed |= 1 << number
        else:
            unlimited |= 1 << number
    return lambda when: unlimited | timed if when.times else unlimited


class _Weeks:
    """The minutes of the week in which windows are open, as bits."""

    def __init__(self) -> None:
        self._known: dict[tuple[TimeWindow, ...], int] = {}

    def open(self, windows: tuple[TimeWindow, ...]) -> int:
        if not windows:
            return _ALWAYS
        if windows not in self._known:
            self._known[windows] = open_minutes(windows)
        return self._known[windows]


def open_minutes(windows: tuple[TimeWindow, ...]) -> int:
    """A bit for every minute of the week in which one of the windows is open. Monday 0:00 is the lowest bit."""
    minutes = 0
    for window in windows:
        length = window.end - window.start
        span = (1 << (length if length >= 0 else length + _DAY)) - 1
        for day in window.days:
            minutes |= span << ((day - 1) * _DAY + window.start)
    return (minutes | minutes >> _WEEK) & _ALWAYS  # minutes after the end of Sunday belong to Monday


def _covers(wide: RuleConditions, narrow: RuleConditions, weeks: _Weeks) -> bool:
    """Whether `wide` accepts everything that `narrow` accepts."""
    for field in _SETS:
        mine = getattr(wide, field)
        if mine and not (getattr(narrow, field) and getattr(narrow, field) <= mine):
            return False
    return (
        _networks_cover(wide.sources, narrow.sources)
        and _networks_cover(wide.destinations, narrow.destinations)
        and _ports_cover(wide.ports, narrow.ports)
        and not (weeks.open(narrow.times) & ~weeks.open(wide.times))
    )


def _networks_cover(wide: tuple[Network, ...], narrow: tuple[Network, ...]) -> bool:
    if not wide:
        return True
    around = set(wide)
    lengths = {(network.version, network.prefixlen) for network in wide}
    return bool(narrow) and all(
        any(
            version == network.version
            and length <= network.prefixlen
            and network.supernet(new_prefix=length) in around
            for version, length in lengths
        )
        for network in narrow
    )


def _ports_cover(wide: Ports, narrow: Ports) -> bool:
    if not wide:
        return True
    return bool(narrow) and all(
        any(low <= mine and yours <= high for low, high in wide) for mine, yours in narrow
    )
