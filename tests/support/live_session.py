"""A session of two accesses, and what its MCP is told to prefer."""

from steering.core import inputs
from steering.core.outputs import Prefer
from steering.model.network import NetworkAccessType
from steering.model.policy import (
    Distribution,
    Policy,
    PolicyRule,
    Pooling,
    RuleConditions,
    Terms,
)
from tests.support.sites import UE_WLAN, Driver, join

CELLULAR, WLAN, FIXED = NetworkAccessType.CELLULAR, NetworkAccessType.WLAN, NetworkAccessType.FIXED
CHEAPEST = Pooling(preferred=(FIXED, WLAN, CELLULAR))
BACKUP = Terms(distribution=Distribution.ACTIVE_BACKUP, pooling=CHEAPEST)


class Live(Driver):
    """A session from LTE (cellular) that WLAN joined, under the terms of one rule."""

    def __init__(self, terms: Terms | None = None, **policy) -> None:
        rules = (PolicyRule("all", RuleConditions(), terms),) if terms else ()
        super().__init__(policy=Policy(**({"rules": rules} | policy)))
        self.give(inputs.AccessChanged("lte", CELLULAR, None))
        self.one = self.session()
        self.join()

    def join(self, sport: int = 50000):
        return self.syn(2, 1, join(UE_WLAN, sport, self.one.token.to_bytes(4, "big")))

    def told(self) -> dict[str, tuple[bool, ...]]:
        """What the MCP is told at the next tick: access -> wish."""
        found: dict[str, tuple[bool, ...]] = {}
        for output in self.later(0.05):
            if isinstance(output, Prefer):
                assert output.mcp == self.one.mcp
                found |= {intent.access: tuple(intent.wish) for intent in output.intents}
        return found

    def sweep(self, **sent: int) -> None:
        """The switches tell how many bytes each access's subflow has sent so far."""
        for name, dpid in (("lte", 1), ("wlan", 2)):
            read = [
                inputs.ObservedEntry(entry, 1, sent.get(name, 0))
                for entry in self.one.entries(3)
                if entry.dpid == dpid
            ]
            self.give(inputs.SweepRead(dpid, read, True, True, self.now))
