"""Notes about terms of a policy that have no effect where they stand. Checking and loading a policy shows them."""

from steering.model.network import Interception, Site
from steering.model.policy import Distribution, Insertion, Policy, Presence

RANKING = (None, Distribution.ACTIVE_BACKUP, Distribution.OVERFLOW)


def unenforced(policy: Policy, site: Site | None = None) -> list[str]:
    """A line for each such rule, in the file's order, and for each MCP of `site` to which the policy can send no
    session."""
    notes = []
    if policy.mcp_presence is Presence.WITHDRAW and site is not None:
        notes += [
            f"MCP {mcp.name} takes connections by itself: mcp_presence withdraw does not apply to it"
            for mcp in site.mcps
            if mcp.interception is Interception.SELF
        ]
    for rule in policy.rules:
        then = rule.then
        if then.pooling.preferred and then.distribution not in RANKING:
            notes.append(
                f"rule {rule.name}: pooling.preferred orders accesses only where distribution is active-backup or overflow"
            )
        if then.insertion is Insertion.PROACTIVE and policy.mcp_presence is Presence.WITHDRAW:
            notes.append(
                f"rule {rule.name}: insertion is proactive, so nobody sees the server's answer: mcp_presence withdraw does "
                "not apply, the MCP stays"
            )
    return notes
