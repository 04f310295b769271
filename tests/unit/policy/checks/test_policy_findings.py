"""What a policy says twice, says against itself, or says to nobody: one finding each, at its line."""

import pytest

from steering.model.network import Site
from steering.policy import Code, Finding, check_policy, parse_policy, parse_site

SITE = """\
site: 1
access_networks:
  - {name: lte, type: cellular, prefixes: [10.1.0.0/24, "fd00:1::/64"], ports: [s1:1]}
  - {name: wlan, type: wlan, trust: third-party, prefixes: [10.2.0.0/24], ports: [s2:1]}
gateways:
  - {name: internet, prefixes: [10.9.0.0/24], ports: [s4:1]}
mcps:
  - {name: core, type: off-path, port: s3:1, addresses: [10.8.0.2, "fd00:8::2"], source_mode: transparent}
  - {name: four, type: off-path, port: s5:1, addresses: [10.8.1.2], source_mode: transparent, tcp_ports: [80]}
  - {name: theirs, operator: other, type: off-path, port: s9:1, addresses: [10.8.3.2], source_mode: transparent}
"""


@pytest.fixture
def site() -> Site:
    made, findings = parse_site(SITE, "s.yaml")
    assert findings == [] and made is not None
    return made


def rules(*lines: str) -> str:
    return "policy: 1\nrules:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


def found(text: str, site: Site | None = None) -> list[tuple[Code, int, str]]:
    _, findings = parse_policy(text, "p.yaml", site)
    return [(f.code, f.line, _words(f)) for f in findings]


def _words(finding: Finding) -> str:
    return str(finding).split(": ", 1)[1]


WITHIN = [
    (
        rules("name: a, when: {port: 80}, then: {}", "name: a, then: {}"),
        [(Code.DUPLICATE_NAME, 4, "rule 'a' has the name of another rule")],
    ),
    (
        "policy: 1\nclasses:\n- name: a\n- name: a\napplications:\n- {name: a}\n- {name: a}\n",
        [
            (Code.DUPLICATE_NAME, 4, "class 'a' has the name of another class"),
            (Code.DUPLICATE_NAME, 7, "application 'a' has the name of another application"),
        ],
    ),
    (
        "policy: 1\nsubscribers:\n- id: a\n- {class: gold, id: a}\n",
        [
            (Code.UNKNOWN_CLASS, 4, "subscriber 'a': no class is called 'gold'"),
            (Code.DUPLICATE_NAME, 4, "subscriber 'a' has the name of another subscriber"),
        ],
    ),
    (
        "policy: 1\nsubscribers:\n- {id: a, prefixes: [10.1.0.0/24, 10.1.0.7]}\n"
        "- id: b\n  prefixes:\n  - 10.1.0.0/25\n  - 10.1.0.7/32\n  - 10.1.0.0/25\n",
        [
            (Code.OVERLAPPING_PREFIX, 7, "subscriber 'b' has prefix 10.1.0.7/32, which is 'a''s"),
            (Code.OVERLAPPING_PREFIX, 8, "subscriber 'b' has prefix 10.1.0.0/25, which it has already"),
        ],
    ),
    (
        "policy: 1\nclasses: [{name: gold}]\nrules:\n- name: a\n  then: {}\n  when:\n    class:\n    - gold\n    - goldd\n"
        "    subscriber: s-1\n    application: [web]\n",
        [
            (Code.UNKNOWN_CLASS, 9, "rule 'a': no class is called 'goldd' (did you mean 'gold'?)"),
            (Code.UNKNOWN_SUBSCRIBER, 10, "rule 'a': no subscriber is called 's-1'"),
            (Code.UNKNOWN_APPLICATION, 11, "rule 'a': no application is called 'web'"),
        ],
    ),
    (
        rules("name: a, when: {time: [{days: sat}, {from: 5:00, to: '05:00'}]}, then: {}"),
        [(Code.NEVER_MATCHES, 3, "rule 'a': this window never opens: it ends as it begins")],
    ),
    (
        "eligible: {ports: [443]}\n" + rules("name: a, when: {port: [80, 1000-2000]}, then: {}"),
        [(Code.NEVER_MATCHES, 4, "rule 'a': none of these ports is eligible")],
    ),
    (
        "subscribers: [{id: s}]\nclasses: [{name: gold}]\n"
        + rules("name: a, when: {subscriber: s, class: gold}, then: {}"),
        [(Code.NEVER_MATCHES, 5, "rule 'a': none of these subscribers is of such a class")],
    ),
    (
        rules("name: a, when: {source: 10.0.0.0/8, ip_version: 6}, then: {}"),
        [(Code.NEVER_MATCHES, 3, "rule 'a': no source is an IPv6 one")],
    ),
    (
        rules('name: a, when: {source: 10.0.0.0/8, destination: "2001:db8::/32"}, then: {}'),
        [
            (
                Code.CROSS_FAMILY,
                3,
                "rule 'a': hosts and destinations are of different address families, which needs the explicit mode",
            )
        ],
    ),
    (
        rules("name: a, when: {ip_version: 6, destination: 10.9.0.0/24}, then: {action: deny}"),
        [
            (
                Code.NEVER_MATCHES,
                3,
                "rule 'a': hosts and destinations are of different address families",
            )
        ],
    ),
    (
        rules("name: a, then: {action: deny, mcps: core, max_stretch: 2}"),
        [
            (Code.CONTRADICTION, 3, "rule 'a': max_stretch says nothing where the action is deny"),
            (Code.CONTRADICTION, 3, "rule 'a': mcps says nothing where the action is deny"),
        ],
    ),
    (
        rules("name: a, then: {deny: all}"),
        [(Code.CONTRADICTION, 3, "rule 'a': deny says nothing where the action is proxy")],
    ),
    (
        rules("name: a, then: {action: bypass, deny: all}"),
        [(Code.CONTRADICTION, 3, "rule 'a': deny says nothing where the action is bypass")],
    ),
    (rules("name: a, then: {action: deny, deny: all}"), []),
    (
        rules("name: a, then: {mode: transparent, ratio: {lte: 1, wlan: 1}}"),
        [
            (
                Code.CONTRADICTION,
                3,
                "rule 'a': ratio says nothing where the mode is transparent: no MCP serves",
            )
        ],
    ),
    (
        rules("name: a, then: {terminate_only: proxied}"),
        [
            (
                Code.CONTRADICTION,
                3,
                "rule 'a': nothing is ever proxied: the policy has no marker.source_ports",
            )
        ],
    ),
    (
        rules("name: a, then: {quotas: {sessions_per_server: 0}}"),
        [
            (
                Code.CONTRADICTION,
                3,
                "rule 'a': sessions_per_server is 0, yet the action is proxy: say 'action: bypass'",
            )
        ],
    ),
    (
        rules("name: a, then: {usage_mode: single, ratio: {lte: 1, wlan: 1}}"),
        [(Code.CONTRADICTION, 3, "rule 'a': a ratio shares traffic out, and usage mode single does not")],
    ),
    (
        rules("name: a, then: {pooling: {allowed: wlan, preferred: [wlan, cellular], quota_bytes: {fixed: 5}}}"),
        [
            (Code.CONTRADICTION, 3, "rule 'a': cellular is preferred and not allowed"),
            (Code.CONTRADICTION, 3, "rule 'a': fixed has a quota and is not allowed"),
        ],
    ),
    (
        "quotas: {subflows_per_session: 5}\n" + rules("name: a, then: {quotas: {sessions_per_server: 4097}}"),
        [
            (Code.LIMITS, 1, "quotas: subflows_per_session 5 never counts, 4 of limits is less"),
            (Code.LIMITS, 4, "rule 'a': sessions_per_server 4097 never counts, 4096 of quotas is less"),
        ],
    ),
    (
        "policy: 1\nclasses: [{name: gold, quotas: {sessions_per_subscriber: 9}}]\nsubscribers:\n"
        "- {id: a, class: gold, quotas: {sessions_per_subscriber: 9}}\n"
        "- {id: b, class: gold, quotas: {sessions_per_subscriber: 10, subflows_per_session: 5}}\n",
        [
            (Code.LIMITS, 5, "subscriber 'b': sessions_per_subscriber 10 never counts, 9 of class 'gold' is less"),
            (Code.LIMITS, 5, "subscriber 'b': subflows_per_session 5 never counts, 4 of limits is less"),
        ],
    ),
    (
        rules("name: a, when: {port: 80-90}, then: {}", "name: b, when: {port: [81, 85]}, then: {action: deny}"),
        [(Code.SHADOWED_RULE, 4, "rule 'b' is never reached: rule 'a' before it accepts all that it does")],
    ),
]  # fmt: skip


@pytest.mark.row("D-6.3f", "D-6.4i", "D-6.6k", "S-22", "D-3.2c")
@pytest.mark.parametrize(("text", "wanted"), WITHIN)
def test_findings_within_a_policy(text: str, wanted: list[tuple[Code, int, str]]) -> None:
    assert sorted(found(text)) == sorted(wanted)


IN_A_SITE = [
    ("name: a, then: {mcps: [core, cor]}", Code.UNKNOWN_MCP, "no MCP is called 'cor' (did you mean 'core'?)"),
    ("name: a, when: {access: wlann}, then: {}", Code.UNKNOWN_ACCESS, "no access network is called 'wlann'"),
    ("name: a, then: {ratio: {lte: 1, dsl: 3}}", Code.UNKNOWN_ACCESS, "no access network is called 'dsl'"),
    (
        "name: a, then: {pooling: {allowed: [wlan, fixed]}, ratio: {lte: 1, wlan: 3}}",
        Code.CONTRADICTION,
        "'lte' has a share, and pooling allows no cellular",
    ),
    (
        "name: a, when: {access: lte, access_type: [wlan, fixed]}, then: {}",
        Code.NEVER_MATCHES,
        "none of these access networks is of such a type",
    ),
    (
        "name: a, when: {access: lte, trust: third-party}, then: {}",
        Code.NEVER_MATCHES,
        "none of these access networks has such a trust",
    ),
    (
        "name: a, when: {port: [81, 443]}, then: {mcps: four}",
        Code.EMPTY_CANDIDATES,
        "no MCP is left that serves such a port",
    ),
    ("name: a, then: {mcps: theirs}", Code.EMPTY_CANDIDATES, "other operators run every MCP that is left"),
    ("name: a, when: {ip_version: 6}, then: {mcps: four}", Code.EMPTY_CANDIDATES, "that serves IPv6"),
    (
        'name: a, when: {source: ["fd00:1::/64", 10.1.0.0/24]}, then: {mcps: four}',
        Code.CROSS_FAMILY,
        "IPv6 would have to cross address families at the MCP, which needs the explicit mode",
    ),
]


@pytest.mark.row("D-6.5j", "N-5.6.3b")
@pytest.mark.parametrize(("line", "code", "words"), IN_A_SITE)
def test_findings_in_a_site(line: str, code: Code, words: str, site: Site) -> None:
    assert found(rules(line)) == []  # nothing is wrong with the policy alone
    ((what, at, told),) = found(rules("name: z, when: {port: 79}, then: {}", line), site)
    assert (what, at) == (code, 4)
    assert told.startswith("rule 'a': ") and words in told
    policy, _ = parse_policy(rules(line), "p.yaml")
    assert policy is not None
    (bare,) = check_policy(policy, site)
    assert (bare.code, bare.file, bare.line) == (code, "policy", 1) and words in str(bare)


@pytest.mark.parametrize(
    "line",
    [
        "name: a, when: {ip_version: 4}, then: {mcps: four}",
        "name: a, when: {ip_version: [4, 6]}, then: {mcps: [four, core]}",
        "name: a, then: {mcps: four}",  # IPv6 takes the fallback, as nobody named it
        "name: a, when: {ip_version: 6, port: 80-90}, then: {}",
        "name: a, when: {ip_version: 6}, then: {action: bypass}",
        "name: a, when: {access: [lte, wlan], access_type: wlan}, then: {}",
    ],
)
def test_what_fits_a_site(line: str, site: Site) -> None:
    assert found(rules(line), site) == []


def test_lines_are_those_of_the_file_beside_other_mistakes() -> None:
    text = rules("name: a, then: {action: no}", "name: b, when: {class: x}, then: {}", "name: b, then: {}")
    assert [(code, line) for code, line, _ in found(text)] == [
        (Code.BAD_VALUE, 3),
        (Code.UNKNOWN_CLASS, 4),
        (Code.DUPLICATE_NAME, 5),
    ]


def test_what_could_not_be_read_is_not_missed() -> None:
    text = "classes: [{name: gold, quota: {}}]\n" + rules("name: b, when: {class: gold}, then: {}")
    assert [code for code, _, _ in found(text)] == [Code.UNKNOWN_KEY]
    text = "classes: &c [{name: gold}]\nsubscribers: *c\n" + rules("name: b, when: {subscriber: x}, then: {}")
    assert [code for code, _, _ in found(text)] == [Code.ALIAS]


@pytest.mark.parametrize(
    "mistake", ["when: {port: 99999}", "when: {prot: 80}", "when: 7", "whenn: {}", "then: {mode: x}"]
)
def test_a_mistake_in_a_rule_hides_no_unknown_mcp_of_it(mistake: str, site: Site) -> None:
    then, when = "then: {mcps: [core, nobody]}", mistake
    if mistake.startswith("then"):
        then, when = "then: {mode: x, mcps: [core, nobody]}", "when: {}"
    told = found(rules(f"name: a, {then}, {when}"), site)
    assert (Code.UNKNOWN_MCP, 3, "rule 'a': no MCP is called 'nobody'") in told
    assert len(told) == 2


def test_every_name_of_a_rule_with_a_mistake_is_looked_up(site: Site) -> None:
    line = (
        "name: a, when: {subscriber: [x], class: y, application: z, access: [lte, v], port: none}, "
        "then: {mcps: [core, 7, nobody, 'no name'], ratio: {lte: 1, w: 0}, hysteresis: 2}"
    )
    told = found(rules(line), site)
    assert {words.rpartition("no ")[2] for code, _, words in told if code.value.startswith("unknown-")} == {
        "subscriber is called 'x'", "class is called 'y'", "application is called 'z'",
        "access network is called 'v'", "access network is called 'w'", "MCP is called 'nobody'",
    }  # fmt: skip
    assert len(told) == 6 + 5, "and each mistake once: port, item 2 and 4 of mcps, ratio w, hysteresis"
    without_site = {code for code, _, _ in found(rules(line))}
    assert Code.UNKNOWN_SUBSCRIBER in without_site and Code.UNKNOWN_MCP not in without_site


def test_in_a_rule_with_a_mistake_what_may_be_defined_is_not_called_unknown(site: Site) -> None:
    text = (
        "policy: 1\nsubscribers: [{id: 7}]\n"
        + rules("name: a, when: {subscriber: x, port: no}, then: {}")[10:]
    )
    assert [code for code, _, _ in found(text, site)] == [Code.WRONG_TYPE, Code.BAD_VALUE]
    assert Code.UNKNOWN_MCP not in [code for code, _, _ in found("policy: 1\nrules: 5\n", site)]
    assert [code for code, _, _ in found("policy: 1\nrules: [5, {then: {mcps: x}}]\n", site)] == [
        Code.WRONG_TYPE, Code.MISSING_KEY, Code.UNKNOWN_MCP,
    ]  # fmt: skip


def test_a_name_given_twice_is_told_once_whichever_of_the_rules_has_a_mistake(site: Site) -> None:
    good, bad = "name: a, then: {}", "name: a, then: {}, when: {port: no}"
    for lines, twice in (
        ((good, bad), [4]),
        ((bad, good), [4]),
        ((bad, good, good), [4, 5]),
        ((good, good, bad), [4, 5]),
    ):
        told = found(rules(*lines), site)
        assert [line for code, line, _ in told if code is Code.DUPLICATE_NAME] == twice
