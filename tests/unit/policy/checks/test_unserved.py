"""An eligible port without a listener is told, wherever a policy meets a site."""

from dataclasses import replace

import pytest

from steering.cli.main import main
from steering.model.network import Site
from steering.model.policy import Policy, PolicyRule, RuleConditions, Terms
from steering.policy import parse_site
from steering.policy.checks.policy_in_site import site_problems
from steering.policy.checks.unserved_ports import unserved, without


def site_of(good: str, ports: str, more: str = "") -> Site:
    site, findings = parse_site(good.replace("source_mode:", f"tcp_ports: {ports}, source_mode:") + more, "s")
    assert site is not None, [str(f) for f in findings]
    return site


def test_ranges_less_others() -> None:
    assert without(((1, 10), (20, 30)), [(8, 22), (25, 25)]) == ((1, 7), (23, 24), (26, 30))
    assert without(((1, 10),), []) == ((1, 10),) and without(((5, 6),), [(1, 9)]) == ()


@pytest.mark.row("N-5.2.2c")
def test_what_no_mcp_serves_is_told(good: str) -> None:
    policy = Policy(eligible_ports=((80, 80), (443, 443), (8000, 8010)))
    assert unserved(policy, site_of(good, "[1-65535]")) == []
    (note,) = unserved(policy, site_of(good, "[80, 443, 8000-8009]"))
    assert note.startswith("eligible port 8010 is in no MCP's tcp_ports") and "bypassed" in note
    other = "  - {name: two, type: off-path, port: s3:7, addresses: [10.8.7.2], source_mode: transparent, tcp_ports: [8010], operator: them}\n"
    shared = site_of(good, "[80, 443, 8000-8009]", other)
    assert unserved(policy, shared), "another operator's serves nobody here"
    assert unserved(replace(policy, foreign_mcps=True), shared) == []
    many = tuple((n, n) for n in range(1, 41, 2))
    assert "and 12 more ranges" in unserved(Policy(eligible_ports=many), site_of(good, "[443]"))[0]


def test_a_site_without_mcps_is_told_in_one_line(good: str) -> None:
    site = replace(site_of(good, "[443]"), mcps=())
    assert unserved(Policy(), site) == ["the site has no MCP: all connections take their natural paths"]
    rule = PolicyRule("web", RuleConditions(ports=((443, 443),)), Terms())
    assert list(site_problems(Policy(rules=(rule,)), site)) == []


def test_check_says_so(good: str, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    site, policy = tmp_path / "site.yaml", tmp_path / "policy.yaml"
    site.write_text(good.replace("source_mode:", "tcp_ports: [443], source_mode:"))
    policy.write_text("policy: 1\neligible: {ports: [443, 8080]}\n")
    for command in (
        ["check", "--site", str(site), "--policy", str(policy)],
        ["policy", "check", str(policy), "--site", str(site)],
    ):
        assert main(command) == 0
        assert "eligible port 8080 is in no MCP's tcp_ports" in capsys.readouterr().err
