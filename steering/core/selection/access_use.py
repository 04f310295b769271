"""How a connection's accesses are to be used, as policy says: the scheme, which types, in which order and shares."""

from collections.abc import Mapping
from typing import NamedTuple

from steering.core.selection.rulebook import RuleMatch
from steering.model.policy import Distribution, Policy, Pooling, UsageMode


class Usage(NamedTuple):
    """What policy says now of how one session uses its accesses."""

    distribution: Distribution
    single: bool
    pooling: Pooling
    ratio: tuple[tuple[str, int], ...]


def distribution_of(policy: Policy, answer: RuleMatch) -> Distribution:
    """The scheme of a connection: its rule's, else its subscriber's, its class's, the system's (N-5.6.2c)."""
    if answer.terms.distribution is not None:
        return answer.terms.distribution
    if answer.subscriber is not None and answer.subscriber.distribution is not None:
        return answer.subscriber.distribution
    klass = answer.subscriber.klass if answer.subscriber else "default"
    for known in policy.classes:
        if known.name == klass and known.distribution is not None:
            return known.distribution
    return policy.distribution


def usage_of(policy: Policy, answer: RuleMatch, overrides: Mapping[str, Pooling]) -> Usage:
    """How the accesses of a connection are to be used. `overrides`: by subscriber, what stands in place of its rules'
    accesses."""
    terms, pooling = answer.terms, answer.terms.pooling
    if answer.subscriber is not None and answer.subscriber.id in overrides:
        own = overrides[answer.subscriber.id]
        pooling = Pooling(own.allowed, own.preferred, pooling.quota_bytes)
        if own.preferred and terms.distribution is None:
            # An order alone says it too: a policy that names the best access wants it used first.
            return Usage(Distribution.ACTIVE_BACKUP, False, pooling, ())
    single = terms.usage_mode is UsageMode.SINGLE
    return Usage(distribution_of(policy, answer), single, pooling, terms.ratio)


def says_nothing(policy: Policy) -> bool:
    """Whether a policy leaves the use of accesses to the kernel, for everybody."""
    groups = [known.distribution for known in policy.classes]
    groups += [known.distribution for known in policy.subscribers]
    nothing = Pooling()
    return (
        policy.distribution in (None, Distribution.LOWEST_RTT)
        and all(group in (None, Distribution.LOWEST_RTT) for group in groups)
        and all(
            rule.then.usage_mode is UsageMode.NATIVE
            and rule.then.distribution in (None, Distribution.LOWEST_RTT)
            and rule.then.pooling == nothing
            and not rule.then.ratio
            for rule in policy.rules
        )
    )
