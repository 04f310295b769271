"""Policy files: defaults, bounds, findings."""

import re
from pathlib import Path

import pytest

from steering.model.policy import DEFAULT_QUOTAS, Fallback, Limits, Policy, Weights
from steering.policy import Code, parse_policy
from steering.policy.rules.policy_schema import PolicyFile

DEFAULTS = Policy(quotas=DEFAULT_QUOTAS)  # a file without quotas has the finite ones of B11 and B12


@pytest.mark.row("D-6.3f")
def test_everything_but_the_version_is_optional() -> None:
    assert parse_policy("policy: 1\n", "p.yaml") == (DEFAULTS, [])


def test_sections_whose_keys_are_commented_out_are_empty() -> None:
    text = "policy: 1\nselection:\n  weights:\nlimits:\n  # sessions: 5\ntimers:\nmeters:\neligible:\n"
    text += "quotas:\nrules:\n  # - name: x\nsubscribers:\nclasses:\napplications:\n"
    assert parse_policy(text, "p.yaml") == (DEFAULTS, [])


def test_what_is_written_is_what_is_wanted() -> None:
    text = """\
policy: 1
eligible: {ports: [443, "5000-6000", 444, 5990-6010]}
selection: {weights: {location: 2, type: 0, load: 0.5}, max_stretch: 2, hysteresis: 0}
limits: {sessions: 10, half_open: 10, subflows_per_session: 4}
timers: {hold: 0.05, idle: 60}
meters: {syn_per_port: 100}
unknown_join: drop
fallback: fail-closed
"""
    policy, findings = parse_policy(text, "p.yaml")
    assert findings == [] and policy is not None
    assert policy.eligible_ports == ((443, 444), (5000, 6010))
    assert policy.weights == Weights(2, 0, 0.5)
    assert (policy.max_stretch, policy.hysteresis) == (2.0, 0.0)
    assert policy.limits == Limits(sessions=10, half_open=10, subflows_per_session=4)
    assert (policy.timers.hold, policy.timers.idle, policy.timers.half_open) == (0.05, 60, 10)
    assert (policy.meters.syn_per_port, policy.meters.syn_ack) == (100, 4000)
    assert policy.fallback is Fallback.FAIL_CLOSED


BOUNDS = [
    # section, key, lowest, highest, below, above
    ("selection", "max_stretch", 1, 1000, 0.99, 1000.1),
    ("selection", "hysteresis", 0, 1, -0.01, 1.01),
    ("limits", "sessions", 10_000, 1_000_000, 0, 1_000_001),  # half_open's default may not be more
    ("limits", "half_open", 1, 200_000, 0, 1_000_001),
    ("limits", "held_joins", 1, 65_536, 0, 65_537),
    ("limits", "subflows_per_session", 1, 64, 0, 65),
    ("limits", "hosts", 1, 1_000_000, 0, 1_000_001),
    ("timers", "hold", 0.001, 0.2, 0, 0.201),
    ("timers", "half_open", 1, 120, 0.9, 121),
    ("timers", "fin_linger", 0, 300, -1, 301),
    ("timers", "session_linger", 60, 604_800, 59, 604_801),
    ("timers", "idle", 10, 2_592_000, 9, 2_592_001),
    ("timers", "sweep", 1, 3600, 0.5, 3601),
    ("timers", "capability", 1, 86_400, 0.5, 86_401),
    ("timers", "health_hold", 0, 300, -1, 301),
    ("timers", "controller_grace", 2, 600, 1, 601),
    ("alarms", "fallback_ratio", 0.001, 1, 0, 1.01),
    ("alarms", "fallback_count", 1, 1_000_000, 0, 1_000_001),
    ("alarms", "window", 1, 3600, 0.5, 3601),
    ("alarms", "table", 0.001, 1, 0, 1.01),
    ("alarms", "clear", 0.001, 1, 0, 1.01),
    ("alarms", "steady", 0, 3600, -1, 3601),
    ("quotas", "sessions_per_subscriber", 1, 1_000_000, 0, 1_000_001),
    ("quotas", "sessions_per_server", 1, 1_000_000, 0, 1_000_001),
    ("quotas", "sessions_per_application", 1, 1_000_000, 0, 1_000_001),
    ("quotas", "sessions_per_mcp", 1, 1_000_000, 0, 1_000_001),
    ("quotas", "subflows_per_session", 1, 4, 0, 65),  # `limits` says 4
    *(("meters", key, 1, 1_000_000, 0, 1_000_001) for key in (
        "syn_per_port", "syn_ack", "fin", "neighbour", "host_miss", "ttl_expired", "icmp_error", "lldp", "watch")),
]  # fmt: skip


@pytest.mark.row("D-6.3f", "D-6.4i", "N-7.2b")
@pytest.mark.parametrize(("section", "key", "low", "high", "below", "above"), BOUNDS)
def test_every_number_has_bounds(
    section: str, key: str, low: float, high: float, below: float, above: float
) -> None:
    for value in (low, high):
        policy, findings = parse_policy(f"policy: 1\n{section}:\n  {key}: {value}\n", "p.yaml")
        assert findings == [], value
        assert policy is not None
    for value in (below, above):
        policy, (finding,) = parse_policy(f"policy: 1\n{section}:\n  {key}: {value}\n", "p.yaml")
        assert policy is None
        assert (finding.code, finding.line) == (Code.OUT_OF_RANGE, 3)
        assert finding.message.startswith(f"{key} must be ")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("timers: {idel: 5}", Code.UNKNOWN_KEY, "(did you mean 'idle'?)"),
        ("eligable: {}", Code.UNKNOWN_KEY, "(did you mean 'eligible'?)"),
        ("selection: {weights: {locaton: 5}}", Code.UNKNOWN_KEY, "(did you mean 'location'?)"),
        ("selection: {weights: {load: -1}}", Code.OUT_OF_RANGE, "load must be at least 0"),
        ("selection: {weights: {load: 1001}}", Code.OUT_OF_RANGE, "load must be at most 1000"),
        ("timers: {idle: yes}", Code.WRONG_TYPE, "idle must be a number, not text"),
        ("timers: {idle: true}", Code.WRONG_TYPE, "idle must be a number, not true or false"),
        ("timers: {idle: }", Code.WRONG_TYPE, "idle must be a number, not nothing"),
        ("timers: {idle: 1.0e999}", Code.WRONG_TYPE, "idle must be a finite number"),
        ("limits: {hosts: 2.5}", Code.WRONG_TYPE, "hosts must be a whole number"),
        ("limits: []", Code.WRONG_TYPE, "limits must be keys and values, not a list"),
        ("limits: {sessions: 5, half_open: 6}", Code.LIMITS, "half_open (6) is more than sessions (5)"),
        ("eligible: {ports: []}", Code.OUT_OF_RANGE, "ports must hold at least 1"),
        ("eligible: {ports: [0-5]}", Code.OUT_OF_RANGE, "leaves the port numbers"),
        ("eligible: {ports: [true]}", Code.WRONG_TYPE, "must be a port or a range"),
        ("fallback: fail-opn", Code.BAD_VALUE, "(did you mean 'fail-open'?)"),
        ("unknown_join: rst", Code.BAD_VALUE, "'rst' is none of drop, reset"),
    ],
)
def test_findings(text: str, code: Code, words: str) -> None:
    policy, findings = parse_policy(f"policy: 1\n{text}\n", "p.yaml")
    assert policy is None
    assert [(f.code, f.line) for f in findings] == [(code, 2)], [str(f) for f in findings]
    assert words in str(findings[0])


def test_relations_are_checked_beside_other_mistakes() -> None:
    text = "policy: 2\nlimits: {sessions: 5, half_open: 6}\ntimers: {idle: 1}\n"
    _, findings = parse_policy(text, "p.yaml")
    assert [f.code for f in findings] == [Code.UNSUPPORTED, Code.LIMITS, Code.OUT_OF_RANGE]


def test_a_site_file_is_not_a_policy_file() -> None:
    _, findings = parse_policy("site: 1\n", "s.yaml")
    assert [f.code for f in findings] == [Code.WRONG_FILE]


def test_the_default_file_holds_and_explains_every_default() -> None:
    path = Path(__file__).resolve().parents[3] / "policies" / "default.policy.yaml"
    text = path.read_text(encoding="utf-8")
    policy, findings = parse_policy(text, path.name)
    assert (policy, findings) == (DEFAULTS, [])
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    written = {line.split(":")[0].strip(" -#") for line in lines}
    named = set(PolicyFile.model_fields) | {"ports", "weights", "max_stretch", "hysteresis", "avoid_sick"}
    own = Policy()
    for part in (
        own.weights,
        own.limits,
        own.timers,
        own.meters,
        own.authorization,
        own.cpe_acl,
        own.reservations,
        own.logging,
        own.alarms,
    ):
        named |= set(part.__slots__)
    named |= {"sessions_per_subscriber", "sessions_per_server", "source_ports", "unknown"}
    assert written == named
    bare = [line for line in lines if not re.search(r":.*# \S", line)]
    assert [line.strip() for line in bare] == ["eligible:"]  # its only key has the comment
