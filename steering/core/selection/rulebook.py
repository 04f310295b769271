"""Finds the first rule of the policy that matches a connection, by an index of bit vectors.

For each dimension (source, port, access network, ...) and each of its values, an int has one bit for every rule: whether the
rule accepts the value. A look-up ANDs some ten of these ints. The lowest bit left is the first matching rule. Thus the cost
grows with the number of rules / 64 (bit-vector packet classification, Lakshman and Stiliadis 1998).
"""

from bisect import bisect_right
from collections.abc import Hashable, Iterable
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, NamedTuple

from steering.model.network import Network, NetworkAccessType, Trust
from steering.model.policy import (
    Application,
    Direction,
    Policy,
    PolicyRule,
    Ports,
    Subscriber,
    Terms,
    TimeWindow,
)
from steering.model.prefix_table import PrefixTable

CACHED_ADDRESSES = 4_096  # with 10,000 rules, each cached address may take more than a kilobyte


class RuleQuery(NamedTuple):
    """The properties of a connection that rules examine. Addresses have 4 or 16 bytes. `minute`: of the week, Monday 0:00
    is 0."""

    source: bytes
    destination: bytes
    port: int
    access: str
    access_type: NetworkAccessType
    trust: Trust
    mptcp_version: int
    dscp: int
    direction: Direction
    minute: int


class RuleMatch(NamedTuple):
    """The rule that governs a connection, and the connection's subscriber and application."""

    rule: PolicyRule | None  # None: no rule matched, the policy's own terms count
    terms: Terms
    subscriber: Subscriber | None
    application: Application | None


class _Sets:
    """A dimension with plain values: by value, the bits of the rules that accept it."""

    def __init__(self, wanted: Iterable[Iterable[Hashable]]) -> None:
        self._any = 0
        self._of: dict[Hashable, int] = {}
        for number, values in enumerate(wanted):
            bit = 1 << number
            values = tuple(values)
            if not values:
                self._any |= bit
            for value in values:
                self._of[value] = self._of.get(value, 0) | bit
        self._of = {value: bits | self._any for value, bits in self._of.items()}

    def accepting(self, value: Hashable) -> int:
        return self._of.get(value, self._any)


class _Prefixes:
    """A dimension of addresses: a rule accepts an address if one of the rule's prefixes holds it."""

    def __init__(self, wanted: Iterable[tuple[Network, ...]]) -> None:
        self._any = 0
        self._cache: dict[bytes, int] = {}
        rules: dict[Network, int] = {}
        for number, prefixes in enumerate(wanted):
            bit = 1 << number
            if not prefixes:
                self._any |= bit
            for prefix in prefixes:
                rules[prefix] = rules.get(prefix, 0) | bit
        self._table = PrefixTable(rules.items())

    def accepting(self, address: bytes) -> int:
        known = self._cache.get(address)
        if known is None:
            known = self._any
            for hit in self._table.all_of(address):
                known |= hit
            if len(self._cache) >= CACHED_ADDRESSES:
                self._cache.clear()
            self._cache[address] = known
        return known


class _Ranges:
    """A dimension of ports. Between two neighbouring ends of ranges, all ports are accepted by the same rules."""

    def __init__(self, wanted: Iterable[Ports]) -> None:
        turns: dict[int, int] = {0: 0}  # port -> bits of the rules that begin or cease to accept there
        unlimited = 0
        for number, ranges in enumerate(wanted):
            bit = 1 << number
            if not ranges:
                unlimited |= bit
            for low, high in _apart(ranges):
                turns[low] = turns.get(low, 0) ^ bit
                turns[high + 1] = turns.get(high + 1, 0) ^ bit
        self._ends = sorted(turns)
        self._sets: list[int] = []
        now = unlimited
        for end in self._ends:
            now ^= turns[end]
            self._sets.append(now)

    def accepting(self, port: int) -> int:
        return self._sets[bisect_right(self._ends, port) - 1]


def _apart(ranges: Ports) -> list[tuple[int, int]]:
    """The ports of the given ranges as ranges that neither overlap nor touch."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def within(window: TimeWindow, minute: int) -> bool:
    """Whether a minute of the week lies in a window."""
    day, at = divmod(minute, 1440)
    if window.start <= window.end:
        return day + 1 in window.days and window.start <= at < window.end
    yesterday = (day - 1) % 7 + 1
    return (day + 1 in window.days and at >= window.start) or (yesterday in window.days and at < window.end)


class Rulebook:
    """A policy's rules, indexed for look-ups."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        rules = policy.rules
        whens = [rule.when for rule in rules]
        self._rules = rules
        self._subscribers = PrefixTable((prefix, s) for s in policy.subscribers for prefix in s.prefixes)
        self._applications = policy.applications
        self._source = _Prefixes(w.sources for w in whens)
        self._destination = _Prefixes(w.destinations for w in whens)
        self._port = _Ranges(w.ports for w in whens)
        # In the order of `values` in `ask`. Dimensions that no rule restricts are left out.
        wanted: list[list[frozenset[Any]]] = [
            [w.access_networks for w in whens],
            [w.access_types for w in whens],
            [w.trusts for w in whens],
            [w.dscp for w in whens],
            [w.ip_versions for w in whens],
            [w.mptcp_versions for w in whens],
            [w.directions for w in whens],
            [w.subscribers for w in whens],
            [w.classes for w in whens],
            [w.applications for w in whens],
        ]
        self._plain = [(n, _Sets(values)) for n, values in enumerate(wanted) if any(values)]
        self._timed = tuple((n, w.times) for n, w in enumerate(whens) if w.times)
        self._always = (1 << len(rules)) - 1 & ~sum(1 << number for number, _ in self._timed)
        self._minute = -1
        self._open = 0  # bits of the rules that are in force in `_minute`
        self._default = Terms()
        self._application_ports = _Ranges(a.ports for a in self._applications)
        self._application_prefixes = _Prefixes(a.destinations for a in self._applications)

    def ask(self, question: RuleQuery, granted: str = "") -> RuleMatch:
        """The first rule that accepts a connection, with its subscriber and application. `granted`: the class that an
        authoriser gave to the source, "" for none. It replaces the class in the policy."""
        subscriber = self._subscribers.of(question.source)
        if granted:
            own = subscriber or Subscriber(ip_address(question.source).compressed)
            subscriber = replace(own, klass=granted)
        application = self.application(question.destination, question.port)
        if not self._rules:
            return RuleMatch(None, self._default, subscriber, application)
        bits = (
            self._source.accepting(question.source)
            & self._destination.accepting(question.destination)
            & self._port.accepting(question.port)
        )
        values = (
            question.access,
            question.access_type,
            question.trust,
            question.dscp,
            4 if len(question.source) == 4 else 6,
            question.mptcp_version,
            question.direction,
            subscriber.id if subscriber else None,
            subscriber.klass if subscriber else "default",
            application.name if application else None,
        )
        for index, dimension in self._plain:
            bits &= dimension.accepting(values[index])
        if self._timed:
            bits &= self._open_in(question.minute)
        if not bits:
            return RuleMatch(None, self._default, subscriber, application)
        rule = self._rules[(bits & -bits).bit_length() - 1]
        return RuleMatch(rule, rule.then, subscriber, application)

    def _open_in(self, minute: int) -> int:
        if minute != self._minute:
            self._minute = minute
            self._open = self._always
            for number, windows in self._timed:
                if any(within(window, minute) for window in windows):
                    self._open |= 1 << number
        return self._open

    def subscriber(self, address: bytes) -> Subscriber | None:
        """The subscriber whose prefix holds an address; the longest prefix counts."""
        return self._subscribers.of(address)

    def application(self, destination: bytes, port: int) -> Application | None:
        """The first application with this service port and destination."""
        if not self._applications:
            return None
        bits = self._application_ports.accepting(port) & self._application_prefixes.accepting(destination)
        return self._applications[(bits & -bits).bit_length() - 1] if bits else None
