"""A site file from answers: what it says passes the check of site files, and what is wrong is one line."""

import pytest

from steering.cli.commands.init import EXAMPLE_ANSWERS
from steering.policy import parse_site
from steering.policy.site_draft import DraftError, DraftPort, read_answers, site_text

PORTS = [
    DraftPort("s1", 1, "s1-eth1", True),
    DraftPort("s2", 1, "s2-eth1", True),
    DraftPort("s3", 1, "s3-eth1", True),
    DraftPort("s4", 1, "s4-eth1", True),
    DraftPort("s4", 2, "eth0", True),
    DraftPort("s1", 2, "eth0", True),
]
SWITCHES = {"s1": 1, "s2": 2, "s3": 3, "s4": 0x2A}


def test_the_example_makes_a_site_without_findings() -> None:
    text = site_text(read_answers(EXAMPLE_ANSWERS), PORTS, SWITCHES)
    site, findings = parse_site(text, "site.yaml")
    assert findings == [] and site is not None
    assert [one.name for one in site.access_networks] == ["lte", "wlan"]
    assert site.mcps[0].inside.dpid == 3 and site.gateways[0].ports[0].dpid == 0x2A
    assert "# s1-eth1" in text and text.count("#") > 8, "it explains itself"


def test_ports_are_found_by_name_by_switch_and_name_and_by_number() -> None:
    for said in ("s4-eth1", "s4:s4-eth1", "s4:1"):
        text = site_text(
            read_answers(f"gateways: [{{name: g, prefixes: 10.9.0.0/24, ports: '{said}'}}]"), PORTS, SWITCHES
        )
        assert 'ports: ["s4:1"]' in text


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ("- a", "a mapping of access_networks, gateways, mcps is wanted"),
        ("gateways: 3", "gateways: a list of mappings is wanted"),
        ("gateways: [{name: g}]", "gateways: 'prefixes' is needed"),
        ("mcps: [{name: m, port: s3-eth1, adresses: [10.8.0.2]}]", "mcps: no key 'adresses'"),
        ("gateways: [{name: g, prefixes: [10.9.0.0/24], ports: [eth7]}]", "no switch told of a port 'eth7'"),
        (
            "gateways: [{name: g, prefixes: [10.9.0.0/24], ports: [eth0]}]",
            "several switches have a port 'eth0'",
        ),
        (
            "gateways: [{name: g, prefixes: [10.9.0.0/24], ports: [s1:1, s1-eth1]}]",
            "port s1:1 is said to be two things",
        ),
        ("gateways: [", "no YAML"),
        ("a: " + "[" * 3_000, "no YAML"),
        ("x" * ((1 << 20) + 1), "more than"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(answers: str, why: str) -> None:
    with pytest.raises(DraftError) as wrong:
        site_text(read_answers(answers), PORTS, SWITCHES)
    assert why in str(wrong.value) and "\n" not in str(wrong.value)


def test_text_that_would_be_yaml_stays_text() -> None:
    answers = 'gateways: [{name: "x\\n  - {name: y}", prefixes: ["a: b"], ports: [s4-eth1]}]'
    text = site_text(read_answers(answers), PORTS, SWITCHES)
    assert '"x\\n  - {name: y}"' in text and '"a: b"' in text
