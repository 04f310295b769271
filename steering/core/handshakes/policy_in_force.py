"""The policy in force for handshakes. What every SYN needs of it is computed in advance."""

from collections.abc import Container

from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import Part
from steering.model.policy import Action, Denial, Policy, Ports, Presence


class PolicyInForce(Part):
    """The policy in force. A new policy counts from the next SYN on. Live sessions keep their MCP."""

    def __init__(self, sitemap: SiteMap, policy: Policy) -> None:
        self._map = sitemap
        self._take(policy)

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        self._take(policy)
        return []

    def _take(self, policy: Policy) -> None:
        self.policy = policy
        self.mcps_stay = policy.mcp_presence is not Presence.WITHDRAW
        self.half_open, self.half_open_per_source = (
            policy.limits.half_open,
            policy.limits.half_open_per_source,
        )
        self.denies_all = any(
            rule.then.action is Action.DENY and rule.then.deny is Denial.ALL for rule in policy.rules
        )
        self.ports = _ports(policy.eligible_ports)

    def eligible(self, port: int) -> bool:
        """Whether connections to a service port may be steered."""
        return port in self.ports


def _ports(ranges: Ports) -> Container[int]:
    """The ports in some ranges. A single range stays a range, because a set of all ports takes 5 ms to make."""
    if len(ranges) == 1:
        ((low, high),) = ranges
        return range(low, high + 1)
    return frozenset(port for low, high in ranges for port in range(low, high + 1))
