"""How the policy wants a connection to use its accesses: the distribution, the access types, their order and shares."""

from collections.abc import Mapping
from typing import NamedTuple

from steering.core.selection.rulebook import RuleMatch
from steering.model.policy import Distribution, Policy, Pooling, UsageMode


class Usage(NamedTuple):
    """How one session is to use its accesses now. `single`: one subflow at a time. `ratio`: access network and share."""

    distribution: Distribution
    single: bool
    pooling: Pooling
    ratio: tuple[tuple[str, int], ...]


def distribution_of(policy: Policy, answer: RuleMatch) -> Distribution:
    """The distribution for a connection: that of its rule, else of its subscriber, else of the subscriber's class, else of
    the policy (N-5.6.2c)."""
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
    """How the accesses of a connection are to be used. `overrides`: by subscriber, the accesses that an operator has set in
    place of those of the rules."""
    terms, pooling = answer.terms, answer.terms.pooling
    if answer.subscriber is not None and answer.subscriber.id in overrides:
        own = overrides[answer.subscriber.id]
        pooling = Pooling(own.allowed, own.preferred, pooling.quota_bytes)
        if own.preferred and terms.distribution is None:
            # An order of accesses implies active-backup: the first access is to be used first.
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
