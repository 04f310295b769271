"""MCPs that answer some SYNs and others not."""

from steering.core.inputs import Tick
from steering.core.selection.mcp_health import Health
from steering.model.ids import WaypointId
from steering.model.policy import Policy
from steering.model.supervision import AlarmKind
from tests.support.sites import UE_LTE, Driver, answer, capable, steered

ANYWHERE = Policy(max_stretch=9)
ROGUE = "10.1.0.66"  # beside UE_LTE


class Clinic(Driver):
    """`silent`: names of MCPs that answer no first SYN, `plain`: that answer all of them without MPTCP."""

    def __init__(self, policy: Policy = ANYWHERE) -> None:
        super().__init__(policy=policy)
        self.silent: set[str] = set()
        self.plain: set[str] = set()
        self.sport = 1_000

    @property
    def core(self):
        return self.site.mcps[0]

    def state(self) -> Health:
        return self.engine.chooser.state(self.core.id, self.now)

    def pass_by(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.now += 0.05
            self.mcps_answer()
            self.give(Tick())

    def drain(self, name: str, draining: bool) -> None:
        number = next(one.id for one in self.site.mcps if one.name == name)
        self.engine.chooser.health[number].draining = draining
        self.engine.chooser.refresh(self.now)

    def broken(self, source: str = ROGUE, dpid: int = 1) -> None:
        """A SYN that no MCP answers, whatever it serves: with a wrong checksum, say, or a TTL that ends on the way."""
        self.sport += 1
        self.syn(dpid, 1, capable(source, self.sport))

    def opens(self, count: int = 1, gap: float = 0.1, source: str = UE_LTE, dpid: int = 1) -> list[str]:
        """New sessions; the MCPs that they went to."""
        found = []
        for _ in range(count):
            self.sport += 1
            opening = capable(source, self.sport)
            waypoint = steered(self.syn(dpid, 1, opening)).release.waypoint
            attachment = self.engine.map.by_waypoint[WaypointId(waypoint)]
            name = attachment.name
            found.append(name)
            if name not in self.silent:
                key = b"" if name in self.plain else self.sport.to_bytes(8, "big")
                place = attachment.waypoint.port
                self.syn_ack(place.dpid, place.port, answer(opening, key))
            self.pass_by(gap)
        return found

    def alarms(self) -> set[str]:
        return {
            alarm.name for (kind, _), alarm in self.engine.alarms.raised.items() if kind is AlarmKind.MCP_SICK
        }
