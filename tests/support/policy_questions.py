"""Random rules and connections over a small world, where they meet often; and what a rule means, spelled out."""

from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import strategies as st

from steering.core.selection.rulebook import RuleQuery
from steering.model.network import Network, NetworkAccessType, Trust
from steering.model.policy import (
    Application,
    Direction,
    Policy,
    PolicyRule,
    Ports,
    RuleConditions,
    Subscriber,
    Terms,
    TimeWindow,
)

CLASSES = ("default", "gold", "iron")
IDS = ("a", "b", "c")
APPLICATIONS = ("web", "ssh")
ACCESSES = ("lte", "wlan", "dsl")


def networks() -> st.SearchStrategy[Network]:
    """IPv4 and IPv6 prefixes of every length around the addresses that are asked for."""
    four = st.tuples(st.integers(0, 15), st.sampled_from([0, 8, 24, 28, 30, 31, 32])).map(
        lambda pair: ip_network((f"10.0.0.{pair[0]}", pair[1]), strict=False)
    )
    six = st.tuples(st.integers(0, 15), st.sampled_from([0, 64, 124, 126, 128])).map(
        lambda pair: ip_network((f"fd00::{pair[0]:x}", pair[1]), strict=False)
    )
    return st.one_of(four, six)


def ports() -> st.SearchStrategy[Ports]:
    """Ranges in order that neither touch nor overlap, as files make them."""
    cuts = st.lists(st.integers(1, 12), unique=True, max_size=6).map(sorted)
    return cuts.map(lambda c: tuple((c[i], c[i + 1]) for i in range(0, len(c) - 1, 2)))


def some(values: Any) -> st.SearchStrategy[frozenset[Any]]:
    return st.frozensets(st.sampled_from(values), max_size=2)


def windows() -> st.SearchStrategy[TimeWindow]:
    minutes = st.sampled_from([0, 1, 60, 61, 720, 1380, 1439, 1440])
    return st.builds(TimeWindow, st.frozensets(st.integers(1, 7), min_size=1), minutes, minutes)


def few(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=2).map(tuple)


def whens() -> st.SearchStrategy[RuleConditions]:
    conditions = {
        "subscribers": some(IDS),
        "classes": some(CLASSES),
        "applications": some(APPLICATIONS),
        "sources": few(networks()),
        "access_networks": some(ACCESSES),
        "access_types": some(list(NetworkAccessType)),
        "trusts": some(list(Trust)),
        "destinations": few(networks()),
        "ports": ports(),
        "dscp": some([0, 8, 46]),
        "ip_versions": some([4, 6]),
        "mptcp_versions": some([0, 1]),
        "times": few(windows()),
        "directions": some(list(Direction)),
    }
    # Most rules have few conditions, or nothing would ever match.
    chosen = st.lists(st.sampled_from(sorted(conditions)), max_size=3, unique=True)
    return chosen.flatmap(
        lambda names: st.builds(RuleConditions, **{name: conditions[name] for name in names})
    )


def policies(most: int = 12) -> st.SearchStrategy[Policy]:
    subscribers = st.tuples(
        *(
            st.builds(Subscriber, st.just(name), st.sampled_from(CLASSES), few(networks()), st.just(_NO))
            for name in IDS
        )
    ).map(_without_doubles)
    applications = st.tuples(
        *(st.builds(Application, st.just(name), ports(), few(networks())) for name in APPLICATIONS)
    )
    rules = st.lists(whens(), max_size=most).map(
        lambda found: tuple(PolicyRule(f"r{n}", when, Terms()) for n, when in enumerate(found))
    )
    return st.builds(Policy, rules=rules, subscribers=subscribers, applications=applications)


_NO = Subscriber("").quotas


def _without_doubles(subscribers: tuple[Subscriber, ...]) -> tuple[Subscriber, ...]:
    """Files may not give one prefix to two."""
    seen: set[Network] = set()
    kept = []
    for item in subscribers:
        own = tuple(dict.fromkeys(p for p in item.prefixes if p not in seen))
        seen |= set(own)
        kept.append(Subscriber(item.id, item.klass, own, item.quotas))
    return tuple(kept)


def questions() -> st.SearchStrategy[RuleQuery]:
    def made(version: int) -> st.SearchStrategy[RuleQuery]:
        base = "10.0.0.{}" if version == 4 else "fd00::{:x}"
        address = st.integers(0, 15).map(lambda n: ip_address(base.format(n)).packed)
        return st.builds(
            RuleQuery,
            address,
            address,
            st.integers(1, 13),
            st.sampled_from((*ACCESSES, "other")),
            st.sampled_from(NetworkAccessType),
            st.sampled_from(Trust),
            st.sampled_from([0, 1]),
            st.sampled_from([0, 8, 46, 63]),
            st.sampled_from(Direction),
            st.one_of(
                st.integers(0, 10_079),
                st.integers(0, 6).flatmap(
                    lambda d: st.sampled_from([0, 60, 1380, 1439]).map(lambda m: d * 1440 + m)
                ),
            ),
        )

    return st.sampled_from([4, 6]).flatmap(made)


# ---- what a rule means -------------------------------------------------------------------------


def subscriber_of(policy: Policy, question: RuleQuery) -> Subscriber | None:
    """The owner of the narrowest prefix around an address."""
    address = ip_address(question.source)
    owners = [(p.prefixlen, item) for item in policy.subscribers for p in item.prefixes if address in p]
    return max(owners, key=lambda owner: owner[0])[1] if owners else None


def application_of(policy: Policy, question: RuleQuery) -> Application | None:
    for item in policy.applications:
        at_port = not item.ports or _in_ranges(question.port, item.ports)
        at_place = not item.destinations or _in_networks(question.destination, item.destinations)
        if at_port and at_place:
            return item
    return None


def accepts(policy: Policy, when: RuleConditions, question: RuleQuery) -> bool:
    """Condition by condition."""
    subscriber, application = subscriber_of(policy, question), application_of(policy, question)
    klass = subscriber.klass if subscriber else "default"
    return (
        (not when.subscribers or (subscriber is not None and subscriber.id in when.subscribers))
        and (not when.classes or klass in when.classes)
        and (not when.applications or (application is not None and application.name in when.applications))
        and (not when.sources or _in_networks(question.source, when.sources))
        and (not when.access_networks or question.access in when.access_networks)
        and (not when.access_types or question.access_type in when.access_types)
        and (not when.trusts or question.trust in when.trusts)
        and (not when.destinations or _in_networks(question.destination, when.destinations))
        and (not when.ports or _in_ranges(question.port, when.ports))
        and (not when.dscp or question.dscp in when.dscp)
        and (not when.ip_versions or ip_address(question.source).version in when.ip_versions)
        and (not when.mptcp_versions or question.mptcp_version in when.mptcp_versions)
        and (not when.directions or question.direction in when.directions)
        and (not when.times or any(is_open(window, question.minute) for window in when.times))
    )


def first_match(policy: Policy, question: RuleQuery) -> PolicyRule | None:
    return next((rule for rule in policy.rules if accepts(policy, rule.when, question)), None)


def is_open(window: TimeWindow, minute: int) -> bool:
    """By walking: from each beginning of the window, minute by minute round the week."""
    length = (window.end - window.start) if window.end >= window.start else window.end - window.start + 1440
    starts = [(day - 1) * 1440 + window.start for day in window.days]
    return any((minute - start) % 10_080 < length for start in starts)


def _in_networks(packed: bytes, found: tuple[Network, ...]) -> bool:
    return any(ip_address(packed) in network for network in found)


def _in_ranges(port: int, ranges: Ports) -> bool:
    return any(low <= port <= high for low, high in ranges)
