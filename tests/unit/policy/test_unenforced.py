"""What nothing acts on yet is said, and what is acted on is not."""

from pathlib import Path

import pytest

from steering.policy import load_policy
from steering.policy.unenforced import unenforced

POLICIES = Path(__file__).parents[3] / "policies"


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("default", set()),
        ("bulk-nearest-mcp", set()),
        ("drain-for-maintenance", set()),
        ("cheapest-access-first", set()),
        ("business-pooling", set()),
        ("rush-hour-offload", {"ratio"}),
    ],
)
def test_each_key_without_a_deed_is_named(name, keys):
    policy, findings = load_policy(str(POLICIES / f"{name}.policy.yaml"))
    assert findings == [] and policy is not None
    assert {note.split(": ")[1].split(" ")[0] for note in unenforced(policy)} == keys
