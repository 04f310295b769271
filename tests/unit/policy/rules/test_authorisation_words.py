"""What files say of authorisation: compiled as written, and every mistake named with its line."""

import pytest

from steering.model.aaa import Aaa, HttpAaa, RadiusAaa
from steering.model.authorisation import Authorizer, ListAnswer
from steering.policy import parse_policy, parse_site
from steering.policy.language.findings import Code

SITE = """site: 1
access_networks:
  - {name: lan, type: fixed, prefixes: [10.1.0.0/24], ports: [s1:1]}
gateways:
  - {name: internet, prefixes: [10.9.0.0/24], ports: [s1:2]}
mcps:
  - {name: core, type: off-path, port: s1:3, addresses: [10.8.0.2], source_mode: transparent}
"""
AAA = """aaa:
  http: {url: "https://aaa.example:8443/authorise", token_file: /etc/steering/aaa.token}
  radius: {host: 127.0.0.1, secret_file: /etc/steering/radius.secret, nas_identifier: nas-1}
"""


def site(text: str = SITE):
    found, findings = parse_site(text, "site")
    assert found is not None, [str(f) for f in findings]
    return found


def codes(policy: str, text: str = SITE + AAA) -> list[tuple[int, Code]]:
    _, findings = parse_policy("policy: 1\n" + policy, "policy", site(text))
    return [(f.line, f.code) for f in findings]


@pytest.mark.row("N-5.3.0", "N-5.3b")
def test_a_chain_and_a_list_are_compiled_as_written():
    text = """policy: 1
authorization: {authorizers: [acl, radius, http], fail_open: http, required: lan, otherwise: deny, timeout: 2}
acl:
  - {name: guests, action: deny, source: [10.1.0.0/28, 10.1.0.99], access: lan, port: [80, "5000-5010"]}
cpe_acl: {block: true, clients: 10.1.0.1}
"""
    policy, findings = parse_policy(text, "policy", site(SITE + AAA))
    assert policy is not None, [str(f) for f in findings]
    chain = policy.authorization
    assert chain.authorizers == (Authorizer.ACL, Authorizer.RADIUS, Authorizer.HTTP)
    assert chain.fail_open == {Authorizer.HTTP} and chain.required == {"lan"} and chain.timeout == 2.0
    assert chain.otherwise is ListAnswer.DENY
    (entry,) = policy.acl
    assert entry.action is ListAnswer.DENY and entry.ports == ((80, 80), (5000, 5010))
    assert [str(n) for n in entry.sources] == ["10.1.0.0/28", "10.1.0.99/32"]
    assert policy.cpe_acl.block and [str(n) for n in policy.cpe_acl.clients] == ["10.1.0.1/32"]


def test_a_site_says_where_authorisers_are_asked():
    assert site(SITE + AAA).aaa == Aaa(
        HttpAaa("https://aaa.example:8443/authorise", "/etc/steering/aaa.token"),
        RadiusAaa("127.0.0.1", "/etc/steering/radius.secret", 1812, "nas-1"),
    )
    assert site().aaa == Aaa()


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        ("authorization: {authorizers: [acl, imsi]}", Code.BAD_VALUE),
        ("authorization: {required: [lann]}", Code.UNKNOWN_ACCESS),
        ("authorization: {fail_open: [radius]}", Code.CONTRADICTION),
        ("authorization: {timeout: 9}", Code.OUT_OF_RANGE),
        ("authorization: {held: 0}", Code.OUT_OF_RANGE),
        ("acl: [{name: a, action: refuse}]", Code.BAD_VALUE),
        ("acl: [{name: a, action: deny, acces: lan}]", Code.UNKNOWN_KEY),
        ("acl: [{name: a, action: deny, access: wlan}]", Code.UNKNOWN_ACCESS),
        ("acl: [{name: a, action: deny}, {name: a, action: allow}]", Code.DUPLICATE_NAME),
    ],
)
def test_mistakes_of_a_policy_are_named(policy, wanted):
    assert codes(policy) == [(2, wanted)]


def test_who_cannot_be_asked_cannot_be_in_the_chain():
    assert codes("authorization: {authorizers: [http, radius]}", SITE) == [
        (2, Code.UNKNOWN_AUTHORIZER),
        (2, Code.UNKNOWN_AUTHORIZER),
    ]


def test_a_list_names_a_bounded_number_of_sources():
    sources = ", ".join(f"10.{n // 256}.{n % 256}.0/24" for n in range(300))
    entries = "".join(f"  - {{name: e{n}, action: deny, source: [{sources}]}}\n" for n in range(4))
    assert [code for _, code in codes("acl:\n" + entries)] == [Code.OUT_OF_RANGE]


@pytest.mark.parametrize(
    "url",
    [
        "http://aaa.example/x",
        "ftp://127.0.0.1/",
        "https://user:secret@aaa.example/",
        "https://",
        "https://a:99999/",
        "https://a..b/",
    ],
)
def test_secrets_are_asked_for_in_no_clear_and_stand_in_no_url(url):
    _, findings = parse_site(SITE + f"aaa: {{http: {{url: '{url}'}}}}\n", "site")
    (finding,) = findings
    assert finding.code is Code.BAD_VALUE and "secret@" not in finding.message.split("without")[0]
