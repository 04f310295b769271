"""What a policy says that has no effect where it says it: told wherever a policy is checked or loaded."""

from steering.model.policy import Distribution, Policy

RANKING = (None, Distribution.ACTIVE_BACKUP, Distribution.OVERFLOW)


def unenforced(policy: Policy) -> list[str]:
    """One line for each rule, in the file's order."""
    notes = []
    for rule in policy.rules:
        then = rule.then
        if then.pooling.preferred and then.distribution not in RANKING:
            notes.append(
                f"rule {rule.name}: pooling.preferred orders accesses only where distribution is active-backup or overflow"
            )
    return notes
