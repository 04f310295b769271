"""The SYN lease: edge switches punt SYNs only while a controller is there to decide on them (`controller_loss`).

A few rules of each edge switch mark the SYNs that the controller decides on: two rules for each role of its ports.
With policy `controller_loss: natural` these rules have a time-out, and the controller renews them. They end at most
`timers.controller_grace` seconds after the last renewal. New connections then take their natural path. It is
un-wildcarded like all natural TCP, so that no cached flow captures segments of pinned subflows. Session entries have
no time-out, so pinned subflows stay pinned. With `hold` the rules have no time-out.

A rule that timed out comes back with the next renewal, so the record of what a filled switch holds stays right.
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

ROUNDS = 4  # renewals of each switch in the time of a lease
LATE = (
    1  # seconds that a switch may take to notice that a rule timed out; Open vSwitch looks every half second
)


class SynLease(Part):
    """Renews the rules that mark SYNs. `epochs`: the epoch of each switch's filling. `off`: nothing is leased, for the
    negative control."""

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
        self._round = 0  # number of switches in this round
        self._left: deque[DatapathId] = deque()  # switches that wait for their turn in this round

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
        """Renew the rules of the switches that have their turn. The switches of a round are spread evenly over its time,
        so that there are no bursts."""
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
        """The leased rules for the roles of a switch's ports. There are none for MCPs: the controller does not decide on
        SYNs that MCPs send."""
        here = {a.role for a in self._map.at_switch.get(dpid, ())}
        roles = tuple(role for role in (PortRole.ACCESS, PortRole.GATEWAY) if role in here)
        return _asked(self._epochs[dpid], roles, self._seconds)


@lru_cache(maxsize=256)
def _asked(epoch: int, roles: tuple[PortRole, ...], seconds: int) -> tuple[Rule, ...]:
    """The leased rules. Cached, since most switches get equal rules, several times a second."""
    return tuple(asked_rules(epoch, roles, seconds))
