"""What has no effect where it stands is said, and what has one is not."""

from dataclasses import replace
from pathlib import Path

import pytest

from steering.model.network import Interception
from steering.model.policy import Policy, Presence
from steering.policy import load_policy, load_site
from steering.policy.checks.unenforced_rules import unenforced

POLICIES = Path(__file__).resolve().parents[4] / "policies"


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.policy.yaml")), ids=lambda path: path.name)
def test_every_word_of_the_examples_has_an_effect(path):
    policy, findings = load_policy(str(path))
    assert findings == [] and policy is not None
    assert unenforced(policy) == []


WITHDRAW = "policy: 1\nmcp_presence: withdraw\n"
PROACTIVE = "subscribers: [{id: a, prefixes: [10.1.0.0/28]}]\nrules: [{name: fast, when: {subscriber: a}, then: {insertion: proactive}}]\n"


@pytest.mark.row("N-5.6.1i")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        (WITHDRAW + PROACTIVE, ["rule fast: insertion is proactive"]),
        (WITHDRAW, []),
        ("policy: 1\n" + PROACTIVE, []),
    ],
)
def test_withdrawal_does_not_apply_to_entries_set_ahead(text, says, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(text)
    policy, findings = load_policy(str(file))
    assert findings == [] and policy is not None
    notes = unenforced(policy)
    assert len(notes) == len(says) and all(
        note.startswith(said) for note, said in zip(notes, says, strict=True)
    )


@pytest.mark.row("N-5.6.1i")
def test_withdrawal_does_not_apply_to_mcps_that_take_connections_by_themselves(tmp_path):
    site, findings = load_site(str(POLICIES / "off-path.site.yaml"))
    assert findings == [] and site is not None
    core, edge = site.mcps
    mixed = replace(site, mcps=(replace(core, interception=Interception.SELF), edge))
    (note,) = unenforced(Policy(mcp_presence=Presence.WITHDRAW), mixed)
    assert note.startswith("MCP core takes connections by itself")
    assert unenforced(Policy(), mixed) == unenforced(Policy(mcp_presence=Presence.WITHDRAW), site) == []


def test_an_order_of_accesses_where_nothing_is_ranked_is_told(tmp_path):
    file = tmp_path / "p.yaml"
    rule = "{name: bulk, then: {distribution: lowest-rtt, pooling: {preferred: [wlan]}}}"
    file.write_text(f"policy: 1\nrules: [{rule}]\n")
    policy, findings = load_policy(str(file))
    assert findings == [] and policy is not None
    (note,) = unenforced(policy)
    assert note.startswith("rule bulk: pooling.preferred")
