"""SYNs are held at their edge for as long as somebody is there to decide on them (policy `controller_loss`).

What makes a SYN one to be asked about are a few rules of each edge switch, two for each role of its ports. With
`natural` they are leased: the switch lets go of them `timers.controller_grace` seconds after the controller renewed
them last, at the latest. New connections then go their natural way, un-wildcarded like all natural TCP, so that no cached flow takes
what is pinned with it. Entries of sessions have no time-out: what is pinned stays pinned. With `hold` nothing is leased.

A rule that has gone comes back with the next renewal, so whoever knows what a filled switch holds need not be told.
"""

from collections import deque
from collections.abc import Mapping
from functools import lru_cache

from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.outputs import Output, RenewRules
from steering.core.part import NEVER, DesiredRules, Part
from steering.core.pipeline.forwarding import asked_rules
from steering.model.ids import DatapathId
from steering.model.network import PortRole
from steering.model.policy import ControllerLoss, Policy
from steering.model.rules import Rule

ROUNDS = 4  # in which every switch has its turn, in the time of a lease
LATE = (
    1  # seconds: so long a switch may take to see that a time is over; Open vSwitch looks every half second
)


class SynLease(Part):
    """`epochs`: of each switch's filling. `off`: for the control, nothing is leased."""

    def __init__(
        self,
        sitemap: SiteMap,
        policy: Policy,
        switches: Switches,
        epochs: Mapping[DatapathId, int],
        off: bool,
    ) -> None:
        self._map = sitemap
        self._switches = switches
        self._epochs = epochs
        self._off = off
        self._seconds = self._of(policy)
        self._begun = 0.0  # when this round began
        self._round = 0  # switches of it
        self._left: deque[DatapathId] = deque()  # those that wait for their turn in it

    def _of(self, policy: Policy) -> int:
        natural = policy.controller_loss is ControllerLoss.NATURAL and not self._off
        return policy.timers.controller_grace - LATE if natural else 0

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        seconds = self._of(policy)
        self.changed |= seconds != self._seconds
        self._seconds = seconds
        return []

    def desired(self, dpid: DatapathId) -> DesiredRules:
        return DesiredRules(admission=self._rules(dpid))

    def due(self) -> float:
        return self._begun if self._seconds else NEVER

    def tick(self, now: float) -> list[Output]:
        """Renew the rules of the switches whose turn it is. The switches of a round are spread over its time, so that there
        are no bursts."""
        passed = (now - self._begun) * ROUNDS / self._seconds
        outputs: list[Output] = []
        while self._left and 1 - len(self._left) / self._round < passed:
            outputs += self._renewed(self._left.popleft())
        if passed >= 1:
            self._left = deque(self._switches.filled())
            self._begun, self._round = now, len(self._left)
        return outputs

    def _renewed(self, dpid: DatapathId) -> list[Output]:
        rules = self._rules(dpid) if self._switches.is_filled(dpid) else ()
        return [RenewRules(dpid, rules)] if rules else []

    def _rules(self, dpid: DatapathId) -> tuple[Rule, ...]:
        """The leased rules for the roles of this switch's ports. SYNs that MCPs send of their own are never held."""
        here = {a.role for a in self._map.at_switch.get(dpid, ())}
        roles = tuple(role for role in (PortRole.ACCESS, PortRole.GATEWAY) if role in here)
        return _asked(self._epochs[dpid], roles, self._seconds)


@lru_cache(maxsize=256)
def _asked(epoch: int, roles: tuple[PortRole, ...], seconds: int) -> tuple[Rule, ...]:
    """The leased rules. They are cached, as most switches get the same ones several times a second."""
    return tuple(asked_rules(epoch, roles, seconds))
