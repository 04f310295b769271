"""The policy that handshakes go by now, with what every SYN asks of it computed in advance."""

from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import Part
from steering.model.network import PortRole
from steering.model.policy import Policy, Presence


class PolicyInForce(Part):
    """Replaced as a whole: the next SYN goes by the new policy, live sessions keep their MCP."""

    def __init__(self, sitemap: SiteMap, policy: Policy) -> None:
        self._map = sitemap
        self._take(policy)

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        self._take(policy)
        return []

    def _take(self, policy: Policy) -> None:
        self.policy = policy
        self.mcps_stay = policy.mcp_presence is not Presence.WITHDRAW
        self.ports = frozenset(p for low, high in policy.eligible_ports for p in range(low, high + 1))
        accesses = sum(a.role is PortRole.ACCESS for a in self._map.attachments.values())
        # Each access port has its share, so that a flood at one leaves room for the others (N-7.2c).
        self.half_open_share = max(1, policy.limits.half_open // max(1, accesses))

    def eligible(self, port: int) -> bool:
        """Whether connections to a service port are looked at."""
        return port in self.ports
