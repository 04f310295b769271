"""The language of rules: what is written is what the model holds, and what is refused."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.model.network import NetworkAccessType, Trust
from steering.model.policy import (
    Action,
    Application,
    Authentication,
    Direction,
    Distribution,
    Expectation,
    Fallback,
    Mode,
    Origin,
    OverLimit,
    Policy,
    Pooling,
    Quotas,
    RefusalForm,
    RuleConditions,
    Subscriber,
    SubscriberClass,
    Terms,
    TimeWindow,
    UsageMode,
    Weights,
)
from steering.policy import Code, Finding, load_site, parse_policy
from tests.support.policy_files import EVERYTHING

SITE = Path(__file__).resolve().parents[4] / "policies" / "off-path.site.yaml"


def parsed(text: str) -> Policy:
    policy, findings = parse_policy(text, "p.yaml")
    assert [str(finding) for finding in findings] == []
    assert policy is not None
    return policy


def refused(text: str) -> list[Finding]:
    policy, findings = parse_policy(f"policy: 1\n{text}\n", "p.yaml")
    assert policy is None
    return findings


@pytest.mark.row("D-3.2f", "D-6.5j", "D-6.6k", "N-5.6.2a", "N-5.6.2c", "N-5.6.3a", "S-22")
def test_every_key_of_the_language() -> None:
    policy = parsed(EVERYTHING)
    assert (policy.refusal, policy.over_limit, policy.third_party_pooling) == (
        RefusalForm.DROP,
        OverLimit.REFUSE,
        True,
    )
    assert policy.keep_keys and policy.distribution is Distribution.OVERFLOW
    assert policy.marker_ports == ((49152, 49152), (50000, 50100))
    assert policy.quotas == Quotas(sessions_per_subscriber=100, sessions_per_server=4096)
    assert policy.classes == (
        SubscriberClass("business", Quotas(sessions_per_subscriber=50), Distribution.ACTIVE_BACKUP),
    )
    prefixes = (ip_network("10.1.0.16/28"), ip_network("fd00:1::7/128"))
    assert policy.subscribers == (
        Subscriber("s-1", "business", prefixes, Quotas(sessions_per_mcp=0), Distribution.LOWEST_RTT),
    )
    web = Application("web", ((80, 80), (443, 443), (8000, 8080)), (ip_network("10.9.0.0/24"),))
    assert policy.applications == (web,)
    rule, rest = policy.rules
    assert rule.name == "all-conditions"
    assert rule.when == RuleConditions(
        subscribers=frozenset({"s-1"}),
        classes=frozenset({"business", "default"}),
        applications=frozenset({"web"}),
        sources=(ip_network("10.1.0.0/16"),),
        access_networks=frozenset({"lte", "wlan"}),
        access_types=frozenset({NetworkAccessType.CELLULAR}),
        trusts=frozenset({Trust.OPERATOR}),
        destinations=(ip_network("10.9.0.1/32"), ip_network("10.9.0.0/24")),
        ports=((440, 450),),
        dscp=frozenset({46, 34, 8}),
        ip_versions=frozenset({4}),
        mptcp_versions=frozenset({0, 1}),
        times=(TimeWindow(frozenset({1, 2, 3, 4, 5, 7}), 1020, 90),),
        directions=frozenset({Direction.HOST}),
    )
    assert rule.then == Terms(
        action=Action.PROXY,
        mode=Mode.HYBRID,
        expectation=Expectation.CONTINUITY,
        mcps=frozenset({"core"}),
        weights=Weights(location=2, type=Weights().type, load=3),  # what the rule leaves out is the policy's
        hysteresis=0.5,
        max_stretch=3,
        fallback=Fallback.FAIL_CLOSED,
        usage_mode=UsageMode.NATIVE,
        distribution=Distribution.RATIO,
        pooling=Pooling(
            frozenset({NetworkAccessType.WLAN, NetworkAccessType.CELLULAR}),
            (NetworkAccessType.WLAN, NetworkAccessType.CELLULAR),
            ((NetworkAccessType.CELLULAR, 1_000_000),),
        ),
        ratio=(("lte", 1), ("wlan", 3)),
        quotas=Quotas(subflows_per_session=2, sessions_per_server=10),
        authentication=Authentication.HMAC,
        terminate_only=frozenset({Origin.PROXIED}),
    )
    assert (rest.when, rest.then) == (RuleConditions(), Terms(action=Action.DENY))


def test_a_rule_without_conditions_and_terms_proxies_all() -> None:
    (rule,) = parsed("policy: 1\nrules:\n- name: all\n  when:\n  then:\n").rules
    assert (rule.when, rule.then) == (RuleConditions(), Terms())


@pytest.mark.row("N-5.6.2a")
@pytest.mark.parametrize(
    ("then", "means"),
    [
        ("action: proxy", None),
        ("usage_mode: native", Distribution.LOWEST_RTT),
        ("usage_mode: active-backup", Distribution.ACTIVE_BACKUP),
        ("usage_mode: single", Distribution.LOWEST_RTT),
        ("ratio: {lte: 1, wlan: 3}", Distribution.RATIO),
        ("distribution: overflow", Distribution.OVERFLOW),
        ("distribution: active-backup, usage_mode: active-backup", Distribution.ACTIVE_BACKUP),
    ],
)
def test_the_words_of_usage_mean_one_scheme(then: str, means: Distribution | None) -> None:
    (rule,) = parsed(f"policy: 1\nrules: [{{name: a, then: {{{then}}}}}]").rules
    assert rule.then.distribution is means


@pytest.mark.row("N-5.6.2a")
@pytest.mark.parametrize(
    ("where", "code", "says"),
    [
        ("distribution: redundant", Code.BAD_VALUE, "none of lowest-rtt, active-backup, ratio, overflow"),
        ("distribution: ratio", Code.CONTRADICTION, "needs shares"),
        ("classes: [{name: b, distribution: ratio}]", Code.CONTRADICTION, "needs shares"),
        ("rules: [{name: a, then: {distribution: ratio}}]", Code.CONTRADICTION, "needs 'ratio'"),
        (
            "rules: [{name: a, then: {distribution: overflow, ratio: {lte: 1, wlan: 1}}}]",
            Code.CONTRADICTION,
            "distribution overflow does not",
        ),
        (
            "rules: [{name: a, then: {distribution: overflow, usage_mode: single}}]",
            Code.CONTRADICTION,
            "is not distributed",
        ),
        (
            "rules: [{name: a, then: {distribution: lowest-rtt, usage_mode: active-backup}}]",
            Code.CONTRADICTION,
            "is distribution active-backup, not lowest-rtt",
        ),
    ],
)
def test_a_scheme_that_is_none_or_contradicts(where: str, code: Code, says: str) -> None:
    (finding,) = refused(where)
    assert finding.code is code and says in finding.message


@pytest.mark.row("N-5.6.6a", "N-5.6.6c")
@pytest.mark.parametrize(
    ("transports", "action"), [("[tcp]", Action.PROXY), ("tcp", Action.PROXY), ("[]", Action.BYPASS)]
)
def test_transports(transports: str, action: Action) -> None:
    (rule,) = parsed(f"policy: 1\nrules: [{{name: a, then: {{transports: {transports}}}}}]").rules
    assert rule.then.action is action  # nothing may be relayed: the natural path


@pytest.mark.row("N-5.6.6b", "N-5.6.6c")
@pytest.mark.parametrize(
    ("transports", "words"),
    [
        ("[tcp, udp]", "'udp' is experimental, not in this version"),
        ("sctp", "'sctp' is not supported: this version relays 'tcp'"),
    ],
)
def test_other_transports_are_refused_by_name(transports: str, words: str) -> None:
    (finding,) = refused(f"rules: [{{name: a, then: {{transports: {transports}}}}}]")
    assert finding.code is Code.UNSUPPORTED and words in finding.message


@pytest.mark.row("D-3.4.0")
def test_modes_are_a_list_of_words() -> None:
    (finding,) = refused("rules: [{name: a, then: {mode: take_over}}]")
    assert "'take_over' is none of take-over, transparent, hybrid (did you mean 'take-over'?)" in str(finding)


@pytest.mark.parametrize(
    ("when", "code", "words"),
    [
        ("port: 0", Code.OUT_OF_RANGE, "leaves the port numbers"),
        ("port: []", Code.OUT_OF_RANGE, "port must hold at least 1"),
        ("port:", Code.WRONG_TYPE, "must be a port or a range such as 5000-6000, not nothing"),
        ("dscp: 64", Code.OUT_OF_RANGE, "outside 0 to 63"),
        ("dscp: af44", Code.BAD_VALUE, "no code point's name"),
        ("dscp: true", Code.WRONG_TYPE, "not true or false"),
        ("ip_version: 5", Code.BAD_VALUE, "'5' is none of 4, 6"),
        ("ip_version: [4, six]", Code.BAD_VALUE, "ip_version (item 2): 'six' is none of 4, 6"),
        ("mptcp_version: 2", Code.BAD_VALUE, "'2' is none of 0, 1"),
        ("source: 10.1.0.1/24", Code.BAD_VALUE, "(did you mean '10.1.0.0/24'?)"),
        ("source: 10.1.0.0/255.255.0.0", Code.BAD_VALUE, "no IP address and no prefix"),
        ("source: fe80::1%eth0", Code.BAD_VALUE, "no IP address and no prefix"),
        ("source: 224.0.0.0/4", Code.BAD_VALUE, "nothing that a network can route"),
        ("source: 10", Code.WRONG_TYPE, "source: must be an IP address or a prefix"),
        ("access_type: cellullar", Code.BAD_VALUE, "(did you mean 'cellular'?)"),
        ("trust: [operator, thirdparty]", Code.BAD_VALUE, "(did you mean 'third-party'?)"),
        ("direction: up", Code.BAD_VALUE, "'up' is none of host, server"),
        ("time: {days: mo}", Code.BAD_VALUE, "(did you mean 'mon'?)"),
        ("time: {days: 5}", Code.WRONG_TYPE, "days: must be a day such as mon"),
        ("time: {from: 25:00}", Code.OUT_OF_RANGE, "outside 00:00 to 24:00"),
        ("time: {to: 12:60}", Code.OUT_OF_RANGE, "outside 00:00 to 24:00"),
        ("time: {from: noon}", Code.BAD_VALUE, "no time of day such as 17:00"),
        ("clas: x", Code.UNKNOWN_KEY, "(did you mean 'class'?)"),
        ("subscribers: x", Code.UNKNOWN_KEY, "(did you mean 'subscriber'?)"),
        ("time: {form: 1:00}", Code.UNKNOWN_KEY, "(did you mean 'from'?)"),
    ],
)
def test_bad_conditions(when: str, code: Code, words: str) -> None:
    findings = refused(f"rules:\n- name: a\n  then:\n  when:\n    {when}")
    assert [(f.code, f.line) for f in findings] == [(code, 6)], [str(f) for f in findings]
    assert words in str(findings[0])


@pytest.mark.parametrize(
    ("then", "code", "words"),
    [
        ("action: prox", Code.BAD_VALUE, "(did you mean 'proxy'?)"),
        ("expectation: speed", Code.BAD_VALUE, "none of none, bulk, continuity, latency"),
        ("usage_mode: redundant", Code.BAD_VALUE, "none of native, active-backup, single"),
        ("authentication: none", Code.BAD_VALUE, "none of token, hmac"),
        ("mcps: []", Code.OUT_OF_RANGE, "mcps must hold at least 1"),
        ("ratio: {lte: 1}", Code.OUT_OF_RANGE, "ratio must hold at least 2"),
        ("ratio: {lte: 1, wlan: 0}", Code.OUT_OF_RANGE, "wlan must be at least 1"),
        ("ratio: {lte: 1, 'a b': 2}", Code.BAD_VALUE, "'a b' is no name"),
        ("weights: {load: -1}", Code.OUT_OF_RANGE, "load must be at least 0"),
        ("hysteresis: 2", Code.OUT_OF_RANGE, "hysteresis must be at most 1"),
        ("max_stretch: 0.5", Code.OUT_OF_RANGE, "max_stretch must be at least 1"),
        ("pooling: {quota_bytes: {cellular: 0}}", Code.OUT_OF_RANGE, "cellular must be at least 1"),
        ("pooling: {quota_bytes: {lte: 5}}", Code.BAD_VALUE, "'lte' is none of cellular"),
        ("quotas: {subflows_per_session: 0}", Code.OUT_OF_RANGE, "subflows_per_session must be at least 1"),
        ("quotas: {sessions_per_user: 5}", Code.UNKNOWN_KEY, "unknown key 'sessions_per_user'"),
        ("mcp: core", Code.UNKNOWN_KEY, "(did you mean 'mcps'?)"),
    ],
)
def test_bad_terms(then: str, code: Code, words: str) -> None:
    findings = refused(f"rules:\n- name: a\n  then:\n    {then}")
    assert [(f.code, f.line) for f in findings] == [(code, 5)], [str(f) for f in findings]
    assert words in str(findings[0])


def test_a_rule_says_what_then() -> None:
    (finding,) = refused("rules:\n- name: a")
    assert (finding.code, finding.message) == (Code.MISSING_KEY, "key 'then' is missing")


def test_findings_of_many_rules_come_quickly_and_bounded() -> None:
    rules = "".join(f"- {{name: r{n}, then: {{action: nothing}}}}\n" for n in range(10_000))
    findings = refused("rules:\n" + rules)
    assert len(findings) == 201 and findings[-1].code is Code.TOO_MANY_FINDINGS


PIECES = st.sampled_from(
    [*" \n:,-[]{}&*!?|>'\"%@`#\\", "[]", "{}", "null", "0", "-1", "24:00", "mon-sun", "::/0", "10.0.0.0/8", "business", "- "]
)  # fmt: skip
LINES = EVERYTHING.splitlines()


@given(st.data())
def test_a_good_file_with_a_piece_replaced_is_read_or_refused(data: st.DataObject) -> None:
    site, _ = load_site(str(SITE))
    number = data.draw(st.integers(0, len(LINES) - 1))
    line = LINES[number]
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, len(line)))
    piece = data.draw(st.one_of(PIECES, st.text(max_size=4)))
    text = "\n".join([*LINES[:number], line[:start] + piece + line[end:], *LINES[number + 1 :]])
    policy, findings = parse_policy(text, "p.yaml", site)
    assert (policy is None) == bool(findings)
    assert all(1 <= f.line <= text.count("\n") + 2 and str(f).isprintable() for f in findings)
