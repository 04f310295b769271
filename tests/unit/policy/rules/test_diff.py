"""Differences of two policies in words."""

from hypothesis import given
from hypothesis import strategies as st

from steering.model.policy import Action, Denial, Policy, PolicyRule, RuleConditions, Terms
from steering.policy import parse_policy
from steering.policy.rules.diff import ChangeKind, diff
from tests.support.policy_files import EVERYTHING


def parsed(text: str) -> Policy:
    policy, findings = parse_policy(text, "p.yaml")
    assert findings == [] and policy is not None
    return policy


OLD = """\
policy: 1
classes: [{name: gold}]
subscribers: [{id: a, class: gold, prefixes: [10.1.0.0/28]}]
applications: [{name: web, ports: 443}]
rules:
  - {name: one, when: {port: 80}, then: {}}
  - {name: two, when: {port: 81, time: {days: [mon-fri, sun], from: "17:00", to: 22:00}}, then: {ratio: {lte: 1, wlan: 3}}}
  - {name: three, when: {port: 82}, then: {quotas: {sessions_per_mcp: 5}}}
  - {name: four, when: {port: 83}, then: {}}
"""
NEW = """\
policy: 1
limits: {half_open: 500}
selection: {weights: {load: 5}}
eligible: {ports: [1-100]}
over_limit: refuse
classes: [{name: gold, quotas: {sessions_per_subscriber: 7}}]
subscribers: [{id: a, prefixes: [10.1.0.0/28, 10.1.0.32]}]
applications: [{name: web, ports: [80, 440-450]}]
rules:
  - {name: four, when: {port: 83}, then: {}}
  - {name: one, when: {port: 80, dscp: [46, 10]}, then: {}}
  - {name: new, when: {port: 84}, then: {}}
  - {name: two, when: {port: 81}, then: {ratio: {lte: 1, wlan: 2}, mcps: [b, a], usage_mode: native}}
"""


def test_every_change_in_words() -> None:
    assert [str(change) for change in diff(parsed(OLD), parsed(NEW))] == [
        "policy: eligible.ports was 1-65535, is 1-100",
        f"policy: selection.weights.load was {Policy().weights.load:g}, is 5",
        "policy: limits.half_open was 10000, is 500",
        "policy: over_limit was natural, is refuse",
        "class 'gold': quotas.sessions_per_subscriber was -, is 7",
        "subscriber 'a': class was gold, is default",
        "subscriber 'a': prefixes was 10.1.0.0/28, is 10.1.0.0/28, 10.1.0.32/32",
        "application 'web': ports was 443, is 80, 440-450",
        "rule 'three' removed",
        "rule 'new' added at place 3",
        "rule 'four' moved from place 4 to 1",
        "rule 'one': when.dscp was -, is 10, 46",
        "rule 'two': when.time was mon-fri, sun 17:00-22:00, is -",
        "rule 'two': then.mcps was -, is a, b",
        "rule 'two': then.ratio was lte: 1, wlan: 3, is lte: 1, wlan: 2",
    ]


def test_json_and_the_way_back() -> None:
    (change,) = diff(parsed("policy: 1"), parsed("policy: 1\nfallback: fail-closed"))
    assert change.as_json() == {
        "kind": "changed",
        "what": "policy",
        "name": None,
        "field": "fallback",
        "old": "fail-open",
        "new": "fail-closed",
    }
    forth, back = diff(parsed(OLD), parsed(NEW)), diff(parsed(NEW), parsed(OLD))
    assert len(forth) == len(back)
    assert {(c.old, c.new) for c in forth if c.kind is ChangeKind.CHANGED} == {
        (c.new, c.old) for c in back if c.kind is ChangeKind.CHANGED
    }


def test_a_policy_does_not_differ_from_itself() -> None:
    assert diff(parsed(EVERYTHING), parsed(EVERYTHING)) == []


def test_every_field_of_a_rule_is_compared() -> None:
    bare = Policy(
        rules=(
            PolicyRule("all-conditions", RuleConditions(), Terms()),
            PolicyRule("rest", RuleConditions(), Terms()),
        )
    )
    full = parsed(EVERYTHING)
    named = {change.field for change in diff(bare, full) if change.name == "all-conditions"}
    whens = {name for name in named if name.startswith("when.")}
    assert len(whens) == len(RuleConditions.__slots__)
    for field in Terms.__slots__:
        if field not in ("action", "deny", "insertion", "usage_mode", "transports"):  # as they are by default
            assert any(name.startswith(f"then.{field}") for name in named), field


def test_whom_a_rule_denies_is_compared() -> None:
    old, new = (
        Policy(rules=(PolicyRule("no", RuleConditions(), Terms(action=Action.DENY, deny=deny)),))
        for deny in Denial
    )
    assert [change.field for change in diff(old, new)] == ["then.deny"]


@given(st.permutations(range(12)))
def test_moves_are_few_and_explain_the_order(order: list[int]) -> None:
    old = Policy(rules=tuple(PolicyRule(f"r{n}", RuleConditions(), Terms()) for n in range(12)))
    new = Policy(rules=tuple(old.rules[n] for n in order))
    changes = diff(old, new)
    assert {change.kind for change in changes} <= {ChangeKind.MOVED}
    stay = [n for n in order if f"r{n}" not in {change.name for change in changes}]
    assert stay == sorted(stay)
    if order != sorted(order):
        assert 1 <= len(changes) < 12
