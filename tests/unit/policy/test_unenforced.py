"""What has no effect where it stands is said, and what has one is not."""

from pathlib import Path

import pytest

from steering.policy import load_policy
from steering.policy.unenforced import unenforced

POLICIES = Path(__file__).parents[3] / "policies"


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.policy.yaml")), ids=lambda path: path.name)
def test_every_word_of_the_examples_has_an_effect(path):
    policy, findings = load_policy(str(path))
    assert findings == [] and policy is not None
    assert unenforced(policy) == []


def test_an_order_of_accesses_where_nothing_is_ranked_is_told(tmp_path):
    file = tmp_path / "p.yaml"
    rule = "{name: bulk, then: {distribution: lowest-rtt, pooling: {preferred: [wlan]}}}"
    file.write_text(f"policy: 1\nrules: [{rule}]\n")
    policy, findings = load_policy(str(file))
    assert findings == [] and policy is not None
    (note,) = unenforced(policy)
    assert note.startswith("rule bulk: pooling.preferred")
