"""Shadowed rules: by each dimension, by what names imply, never falsely, and in bounded time."""

from time import process_time

import pytest

from steering.policy import Code, parse_policy
from steering.policy.checks.shadowing import REPORTED

HEAD = """\
policy: 1
classes: [{name: gold}]
subscribers: [{id: a, class: gold}, {id: b}, {id: c, class: gold}]
applications: [{name: web, ports: [80, 443]}, {name: ssh, ports: 22}, {name: near, destinations: 10.9.0.0/24}]
"""

SHADOWED = [
    ("{}", "{}"),
    ("{}", "{port: 80, subscriber: a}"),
    ("{port: 1-65535}", "{subscriber: a}"),
    ("{port: [80-90, 100-110]}", "{port: [81, 100-105]}"),
    ("{port: [80-85, 86-90]}", "{port: 84-88}"),
    ("{source: 10.0.0.0/8}", "{source: [10.1.0.0/16, 10.2.0.0/16]}"),
    ("{source: [10.0.0.0/9, 10.128.0.0/9]}", "{source: 10.0.0.0/8}"),
    ('{source: [0.0.0.0/0, "::/0"]}', "{dscp: ef}"),
    ("{destination: 10.9.0.0/24}", "{destination: 10.9.0.7}"),
    ("{access: [lte, wlan]}", "{access: wlan}"),
    ("{access_type: [cellular, wlan, fixed, satellite, other]}", "{}"),
    ("{trust: [operator, third-party]}", "{trust: operator}"),
    ("{dscp: [10, 12, 14]}", "{dscp: [af11, af12]}"),
    ("{ip_version: [4, 6], mptcp_version: [0, 1], direction: [host, server]}", "{}"),
    ("{ip_version: 4}", "{source: 10.0.0.0/8}"),
    ('{ip_version: 6}', '{destination: "fd00::/8"}'),
    ("{class: gold}", "{subscriber: [a, c]}"),
    ("{class: gold}", "{subscriber: a, class: gold}"),
    ("{port: [22, 80, 443]}", "{application: [web, ssh]}"),
    ("{destination: 10.0.0.0/8}", "{application: near}"),
    ("{time: {days: mon-sun}}", "{time: {days: sat, from: 8:00, to: 9:00}}"),
    ("{time: {from: 20:00, to: 6:00}}", "{time: {days: sun, from: 22:00, to: 5:00}}"),
    ("{time: [{days: mon, to: 12:00}, {days: mon, from: 12:00}]}", "{time: {days: mon, from: 9:00, to: 17:00}}"),
    ("{time: {from: 0:00, to: 24:00}}", "{}"),
]  # fmt: skip

NOT_SHADOWED = [
    ("{port: 80}", "{}"),
    ("{port: [80-90, 100-110]}", "{port: 85-105}"),
    ("{source: 10.1.0.0/16}", "{source: 10.0.0.0/8}"),
    ("{source: 10.0.0.0/8}", '{source: [10.1.0.0/16, "fd00::/8"]}'),
    ("{source: 0.0.0.0/0}", "{}"),
    ("{access: lte}", "{access: [lte, wlan]}"),
    ("{class: gold}", "{subscriber: [a, b]}"),
    ("{class: gold}", "{}"),
    ("{port: [80, 443]}", "{application: [web, near]}"),
    ("{application: web}", "{port: 80}"),  # another application may come first
    ("{ip_version: 4}", '{source: [10.0.0.0/8, "fd00::/8"]}'),
    ("{time: {days: mon-fri}}", "{time: {days: fri-sat}}"),
    ("{time: {days: sun, from: 22:00, to: 5:00}}", "{time: {days: sun, from: 1:00, to: 4:00}}"),
    ("{time: {days: mon-sun, from: 0:01, to: 24:00}}", "{}"),
    ("{direction: host}", "{}"),
]


def codes(*whens: str) -> list[Code]:
    rules = "".join(f"  - {{name: r{n}, when: {when}, then: {{}}}}\n" for n, when in enumerate(whens))
    _, findings = parse_policy(f"{HEAD}rules:\n{rules}", "p.yaml")
    return [finding.code for finding in findings]


@pytest.mark.parametrize(("earlier", "later"), SHADOWED)
def test_shadowed(earlier: str, later: str) -> None:
    assert codes("{dscp: 63, port: 9}", earlier, later) == [Code.SHADOWED_RULE]


@pytest.mark.parametrize(("earlier", "later"), NOT_SHADOWED)
def test_not_shadowed(earlier: str, later: str) -> None:
    assert codes(earlier, later) == []


def test_the_first_that_shadows_is_named_and_a_window_that_never_opens_is_told_once() -> None:
    text = "policy: 1\nrules:\n" + "".join(f"  - {{name: r{n}, then: {{}}}}\n" for n in range(4))
    _, findings = parse_policy(text, "p.yaml")
    assert [f.message.split("rule ")[-1] for f in findings] == ["'r0' before it accepts all that it does"] * 3
    assert codes("{port: 80}", "{port: 80, time: {from: 1:00, to: 1:00}}") == [Code.NEVER_MATCHES]


LARGE = 10_000


def large(form: str, count: int = LARGE) -> str:
    rules = [
        f"- {{name: r{n}, when: {form.format(a=n // 250, b=n % 250, low=n + 1, high=60_000 - n)}, then: {{}}}}\n"
        for n in range(count)
    ]
    return "policy: 1\nrules:\n" + "".join(rules)


def computed(text: str) -> float:
    """Seconds of processor to read a policy."""
    begin = process_time()
    parse_policy(text, "p.yaml")
    return process_time() - begin


@pytest.mark.parametrize(
    ("form", "shadowed"),
    [
        ("{{source: 10.{a}.{b}.0/24, port: [443, 8000-8080]}}", 0),
        ("{{port: {low}-{high}}}", REPORTED),  # each inside the one before it
        ("{{port: [{low}, {high}]}}", 0),  # many suspects, none guilty
        ("{{port: 80}}", REPORTED),
    ],
)
def test_ten_thousand_rules_take_seconds(form: str, shadowed: int) -> None:
    """Ten times as many rules take some ten times as long; to compare each with each would take a hundred times."""
    policy, findings = parse_policy(large(form), "p.yaml")
    assert [f.code for f in findings] == [Code.SHADOWED_RULE] * shadowed
    assert policy is None or len(policy.rules) == LARGE
    few = min(computed(large(form, LARGE // 10)) for _ in range(3))
    many = computed(large(form))
    assert many < 60 * few, f"{many:.1f} s, a tenth of them {few:.2f} s"
