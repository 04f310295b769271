"""What a policy may say and this version does not act on yet: told wherever a policy is checked or loaded.

The words are part of the language (and checked), so that files need not change when the deed follows.
"""

from steering.model.policy import Policy, Pooling, UsageMode


def unenforced(policy: Policy) -> list[str]:
    """One line for each rule and key, in the file's order."""
    notes = []
    for rule in policy.rules:
        then = rule.then
        keys = []
        if then.usage_mode is not UsageMode.NATIVE:
            keys.append("usage_mode")
        if then.ratio:
            keys.append("ratio")
        if then.pooling.preferred != Pooling().preferred:
            keys.append("pooling.preferred")
        if then.pooling.quota_bytes:
            keys.append("pooling.quota_bytes")
        notes += [
            f"rule {rule.name}: {key} is understood, but nothing acts on it in this version" for key in keys
        ]
    return notes
