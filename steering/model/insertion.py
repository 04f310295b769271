"""Proactive insertion (T-21): for some subscribers, flow entries that are set in advance lead all TCP to one MCP. This
module says for which subscribers, and which parts of a policy forbid it.

Such entries cannot inspect, count or refuse a SYN. Therefore `insertion: proactive` is possible only if all TCP of the
subscriber is proxied, on all ports and with any options, without authentication of joins and without limits. The entries
must cover all accesses of the subscriber. Otherwise a join could reach another MCP than its session's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from steering.model.authorisation import Authorizer, ListAnswer
from steering.model.network import Network
from steering.model.policy import (
    ALL_PORTS,
    Action,
    Authentication,
    Direction,
    Insertion,
    Mode,
    Policy,
    PolicyRule,
    Quotas,
    RuleConditions,
    Subscriber,
)

EVERYBODY_ELSE = ""  # the one unit of all hosts that belong to no subscriber
DEFAULT_CLASS = "default"
MAX_PAIRS = 1_000_000  # most pairs of subscriber and rule, because each pair is compared
# Most prefixes of subscribers. Each edge has an entry for each pair of such a prefix and a prefix behind a gateway.
MAX_PREFIXES = 4_096

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GovernedUnit:
    """A unit of proactive insertion: a subscriber, or all hosts without a subscriber (EVERYBODY_ELSE). For the latter
    `prefixes` is empty, which stands for all prefixes of the access networks."""

    name: str
    rule: PolicyRule
    prefixes: tuple[Network, ...]


def governed(policy: Policy) -> tuple[GovernedUnit, ...]:
    """All units for which a proactive rule is the first rule that any of their connections meets."""
    if not any(rule.then.insertion is Insertion.PROACTIVE for rule in policy.rules) or _too_many(policy):
        return ()
    found = []
    for subscriber in (*policy.subscribers, None):
        rule = first_rule(policy, subscriber)
        if rule is not None and rule.then.insertion is Insertion.PROACTIVE and not any(_against(rule)):
            name, prefixes = (subscriber.id, subscriber.prefixes) if subscriber else (EVERYBODY_ELSE, ())
            found.append(GovernedUnit(name, rule, prefixes))
    return tuple(found)


def _too_many(policy: Policy) -> bool:
    return len(policy.subscribers) * len(policy.rules) > MAX_PAIRS


def first_rule(policy: Policy, subscriber: Subscriber | None) -> PolicyRule | None:
    """The first rule that can match a connection of a subscriber's hosts. `subscriber` None: of hosts without a
    subscriber."""
    return next((rule for rule in policy.rules if _may_meet(rule.when, subscriber)), None)


def _may_meet(when: RuleConditions, subscriber: Subscriber | None) -> bool:
    if when.directions and Direction.HOST not in when.directions:
        return False
    if when.classes and (subscriber.klass if subscriber else DEFAULT_CLASS) not in when.classes:
        return False
    if subscriber is None:
        return not when.subscribers
    if when.subscribers and subscriber.id not in when.subscribers:
        return False
    return not when.sources or _overlap(when.sources, subscriber.prefixes)


def _overlap(some: Iterable[Network], others: Iterable[Network]) -> bool:
    others = tuple(others)
    return any(_inside(a, b) or _inside(b, a) for a in some for b in others)


def _inside(narrow: Network, wide: Network) -> bool:
    if narrow.version != wide.version:
        return False
    return narrow.prefixlen >= wide.prefixlen and narrow.network_address in wide


def hindrances(policy: Policy) -> Iterator[tuple[int, KeyPath, str]]:
    """All reasons that forbid a proactive rule: the rule's index, the keys of the file that cause it, and a text."""
    for index, rule in enumerate(policy.rules):
        if rule.then.insertion is not Insertion.PROACTIVE:
            continue
        if _too_many(policy):
            yield (
                index,
                ("then", "insertion"),
                f"and there are more than {MAX_PAIRS} pairs of subscriber and rule to compare",
            )
            return
        for keys, words in (*_against(rule), *_of_policy(policy), *_of_members(policy, rule)):
            yield index, keys, f"insertion is proactive, {words}"


_CONDITIONS = {
    "sources": "source", "applications": "application", "access_networks": "access",
    "access_types": "access_type", "trusts": "trust", "destinations": "destination", "ports": "port",
    "dscp": "dscp", "ip_versions": "ip_version", "mptcp_versions": "mptcp_version", "times": "time",
}  # fmt: skip


def _against(rule: PolicyRule) -> Iterator[tuple[KeyPath, str]]:
    """The rule's own terms and conditions that flow entries cannot carry out: keys of the file, and a text."""
    then = rule.then
    if then.action is not Action.PROXY or then.mode is not Mode.TAKE_OVER:
        yield (
            ("then", "mode"),
            "which leads all TCP to an MCP: the action must be proxy and the mode take-over",
        )
    for field, key in _CONDITIONS.items():
        if getattr(rule.when, field):
            yield (
                ("when", key),
                f"which is for all TCP of a subscriber from every access: {key} may not narrow it",
            )
    if rule.when.directions - {Direction.HOST}:
        yield ("when", "direction"), "which is for connections that hosts open"
    if then.terminate_only:
        yield ("then", "terminate_only"), "so no mark is looked at: it cannot leave native connections alone"
    if then.authentication is not Authentication.TOKEN:
        yield ("then", "authentication"), "so no join is looked at: it cannot be asked for a proof"
    if then.quotas != Quotas():
        yield ("then", "quotas"), "so no SYN is looked at: nothing can be counted or refused"
    if then.pooling.allowed:
        yield ("then", "pooling", "allowed"), "so no join is looked at: none can be refused by its access"


def _of_policy(policy: Policy) -> Iterator[tuple[KeyPath, str]]:
    if policy.eligible_ports != ALL_PORTS:
        yield ("then", "insertion"), "and only some ports are eligible"
    chain = policy.authorization
    if policy.acl or chain.otherwise is ListAnswer.DENY or set(chain.authorizers) - {Authorizer.ACL}:
        yield ("then", "insertion"), "so no source is looked at, and the policy wants sources authorised"
    if policy.keep_keys:
        yield ("then", "insertion"), "so hosts' keys are not seen, and keep_keys wants them"


def _of_members(policy: Policy, rule: PolicyRule) -> Iterator[tuple[KeyPath, str]]:
    """Subscribers that forbid a proactive rule: another rule matches them first, they have quotas of their own, or their
    prefixes lie within those of a proactive unit."""
    mine: list[Subscriber | None] = [s for s in (*policy.subscribers, None) if _may_meet(rule.when, s)]
    quotas = {item.name: item.quotas for item in policy.classes}
    before: dict[str, str] = {}
    for subscriber in mine:
        title = f"subscriber '{subscriber.id}'" if subscriber else "whoever is no known subscriber"
        first = first_rule(policy, subscriber)
        if first is not None and first is not rule and first.then.insertion is not Insertion.PROACTIVE:
            before.setdefault(first.name, title)
        own = subscriber.quotas if subscriber else Quotas()
        if own != Quotas() or quotas.get(subscriber.klass if subscriber else DEFAULT_CLASS, own) != Quotas():
            yield (
                ("then", "insertion"),
                f"so nothing is counted, and {title} has quotas of its own or of its class",
            )
            break
    for name, title in before.items():
        yield ("then", "insertion"), f"and {title} may meet rule '{name}' before it"
    yield from _nested(policy, rule, mine)


def _nested(policy: Policy, rule: PolicyRule, mine: list[Subscriber | None]) -> Iterator[tuple[KeyPath, str]]:
    if sum(len(s.prefixes) for s in mine if s) > MAX_PREFIXES:
        yield ("then", "insertion"), f"and more than {MAX_PREFIXES} prefixes would be set ahead"
        return
    covered = {prefix for s in mine if s for prefix in s.prefixes}
    known = {s.id if s else None for s in mine}
    around = {(p.version, p.prefixlen) for p in covered}
    for other in policy.subscribers:
        first = first_rule(policy, other)
        if other.id in known or (first is not None and first.then.insertion is Insertion.PROACTIVE):
            continue
        nested = None in known or any(
            (prefix.version, length) in around and prefix.supernet(new_prefix=length) in covered
            for prefix in other.prefixes
            for length in range(prefix.prefixlen + 1)
        )
        if nested and other.prefixes:
            yield (
                ("then", "insertion"),
                f"and subscriber '{other.id}', who has another rule, lies within its prefixes",
            )
            return
