"""The indexed rulebook answers as a walk over the rules does; a shadowed rule is never what it answers."""

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from steering.core.selection.rulebook import Rulebook, RuleQuery, within
from steering.model.policy import Policy, TimeWindow
from steering.policy.checks.shadowing import open_minutes, shadowed
from tests.support.policy_questions import (
    accepts,
    application_of,
    first_match,
    is_open,
    policies,
    questions,
    subscriber_of,
    windows,
)


@pytest.mark.row("N-5.6.2c", "N-5.6.3a", "S-22", "D-3.2f")
@given(policies(), st.lists(questions(), min_size=1, max_size=8))
def test_the_first_rule_that_accepts_decides(policy: Policy, asked: list[RuleQuery]) -> None:
    book = Rulebook(policy)
    for question in asked:
        answer, wanted = book.ask(question), first_match(policy, question)
        event("a rule" if wanted else "no rule")
        assert answer.rule == wanted
        assert answer.subscriber == subscriber_of(policy, question)
        assert answer.application == application_of(policy, question)
        if wanted is not None:
            assert answer.terms is wanted.then


@given(policies(most=20), st.lists(questions(), min_size=4, max_size=12))
def test_a_shadowed_rule_accepts_nothing_that_the_earlier_one_does_not(
    policy: Policy, asked: list[RuleQuery]
) -> None:
    found = shadowed(policy)
    event(f"{min(len(found), 3)} shadowed")
    for later, earlier in found:
        assert earlier < later
        for question in asked:
            if accepts(policy, policy.rules[later].when, question):
                assert accepts(policy, policy.rules[earlier].when, question)


@pytest.mark.row("D-3.2c")
@given(windows(), st.integers(0, 10_079))
def test_windows(window: TimeWindow, minute: int) -> None:
    assert within(window, minute) == is_open(window, minute)
    assert bool(open_minutes((window,)) >> minute & 1) == is_open(window, minute)
