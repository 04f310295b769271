"""What proactive insertion cannot honour is a finding with file, line and rule name; what it can is compiled."""

import pytest

from steering.model.insertion import governed
from steering.policy import parse_policy, parse_site
from steering.policy.language.findings import Code
from tests.support.policy_files import GOOD

HEAD = """\
policy: 1
subscribers:
  - {id: a, prefixes: [10.1.0.16/28]}
  - {id: b, class: gold, prefixes: [10.1.0.32/28, "fd00:1::20/123"]}
"""
CLASSES = "classes: [{name: gold}]\n"
RULE = "rules:\n  - {name: fast, when: {subscriber: [a, b]}, then: {insertion: proactive}}\n"


def checked(text: str, site: str = ""):
    made = parse_site(site, "site.yaml")[0] if site else None
    return parse_policy(text, "p.yaml", made)


@pytest.mark.row("S-18")
def test_subscribers_classes_and_everybody_else_may_be_governed() -> None:
    policy, findings = checked(HEAD + CLASSES + RULE)
    assert findings == [] and policy is not None
    assert [(unit.name, unit.rule.name) for unit in governed(policy)] == [("a", "fast"), ("b", "fast")]
    gold = RULE.replace("subscriber: [a, b]", "class: gold")
    policy, findings = checked(HEAD + CLASSES + gold)
    assert findings == [] and policy is not None and [u.name for u in governed(policy)] == ["b"]
    policy, findings = checked("policy: 1\nrules: [{name: all, then: {insertion: proactive}}]\n")
    assert findings == [] and policy is not None and [u.name for u in governed(policy)] == [""]


REFUSED = [
    ("then: {insertion: proactive}", "then: {insertion: proactive, mode: hybrid}", "the mode take-over"),
    (
        "then: {insertion: proactive}",
        "then: {insertion: proactive, authentication: hmac}",
        "no join is looked at",
    ),
    (
        "then: {insertion: proactive}",
        "then: {insertion: proactive, quotas: {subflows_per_session: 2}}",
        "nothing can be counted",
    ),
    (
        "then: {insertion: proactive}",
        "then: {insertion: proactive, pooling: {allowed: [wlan]}}",
        "none can be refused by its access",
    ),
    ("[a, b]}", "[a, b], port: 443}", "port may not narrow it"),
    ("[a, b]}", "[a, b], access: lte}", "access may not narrow it"),
    ("[a, b]}", "[a, b], time: {from: '17:00'}}", "time may not narrow it"),
    ("[a, b]}", "[a, b], direction: [host, server]}", "connections that hosts open"),
    ("rules:\n", "eligible: {ports: [443]}\nrules:\n", "only some ports are eligible"),
    ("rules:\n", "authorization: {authorizers: [registry]}\nrules:\n", "wants sources authorised"),
    ("rules:\n", "keep_keys: true\nrules:\n", "keep_keys wants them"),
    (
        "classes: [{name: gold}]",
        "classes: [{name: gold, quotas: {sessions_per_subscriber: 5}}]",
        "quotas of its own",
    ),
    (
        "rules:\n",
        "rules:\n  - {name: web, when: {port: 80}, then: {action: bypass}}\n",
        "subscriber 'a' may meet rule 'web' before it",
    ),
    (
        "{id: a,",
        "{id: c, prefixes: [10.1.0.18/32]}\n  - {id: a,",
        "subscriber 'c', who has another rule, lies within",
    ),
]


@pytest.mark.row("S-18")
@pytest.mark.parametrize(("old", "new", "words"), REFUSED)
def test_what_entries_cannot_do_is_refused_with_its_line(old: str, new: str, words: str) -> None:
    text = HEAD + CLASSES + RULE
    assert old in text
    policy, findings = checked(text.replace(old, new, 1))
    assert policy is None
    (finding,) = [f for f in findings if f.code is Code.PROACTIVE]
    line = next(n for n, row in enumerate(text.replace(old, new, 1).splitlines(), 1) if "name: fast" in row)
    assert (finding.file, finding.line) == ("p.yaml", line)
    assert "rule 'fast'" in finding.message and words in finding.message


def test_a_third_partys_access_and_mcps_of_few_ports_are_refused() -> None:
    everybody = "policy: 1\nrules: [{name: all, then: {insertion: proactive}}]\n"
    (finding,) = checked(everybody, GOOD)[1]
    assert finding.code is Code.PROACTIVE and "'wlan' is a third party's" in finding.message
    few = GOOD.replace("source_mode: transparent}", "source_mode: transparent, tcp_ports: [80]}")
    (finding,) = checked(HEAD + CLASSES + RULE, few)[1]
    assert "no MCP that is left serves all ports" in finding.message


def test_a_rule_that_proxies_nothing_is_not_proactive() -> None:
    _, findings = checked("policy: 1\nrules: [{name: no, then: {action: bypass, insertion: proactive}}]\n")
    assert {finding.code for finding in findings} >= {Code.CONTRADICTION}
