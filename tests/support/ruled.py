"""Policies of a few rules, and whether a segment went on as if there were none."""

from steering.core.outputs import NATURAL
from steering.model.policy import Policy, PolicyRule, RuleConditions, Terms


def ruled(*rules: tuple[RuleConditions, Terms], **policy) -> Policy:
    """A policy of rules that are called r0, r1 and so on; `policy`: its other terms."""
    return Policy(
        rules=tuple(PolicyRule(f"r{n}", when, then) for n, (when, then) in enumerate(rules)), **policy
    )


def natural(outputs) -> bool:
    """Whether the one thing to do is to let a segment take its natural path."""
    return len(outputs) == 1 and getattr(outputs[0], "waypoint", 0) == NATURAL
