"""What a policy may say and this version does not act on: told wherever a policy is checked or loaded.

The words are part of the language (and checked), so that files need not change when the deed follows.
"""

from steering.model.policy import Distribution, Policy

RANKING = (None, Distribution.ACTIVE_BACKUP, Distribution.OVERFLOW)


def unenforced(policy: Policy) -> list[str]:
    """One line for each rule and key, in the file's order."""
    notes = []
    for rule in policy.rules:
        then = rule.then
        if then.pooling.preferred and then.distribution not in RANKING:
            notes.append(
                f"rule {rule.name}: pooling.preferred orders accesses only where distribution is active-backup or overflow"
            )
        if then.distribution is Distribution.RATIO:
            notes.append(f"rule {rule.name}: ratio is understood, but nothing acts on it in this version")
        if then.distribution is Distribution.OVERFLOW:
            notes.append(f"rule {rule.name}: overflow is understood, but nothing acts on it in this version")
    return notes
