"""Several engines of one site, each with its share of the fake switches, and the messages between them."""

from collections import deque
from collections.abc import Mapping

from steering.core.clustered_engine import ClusteredEngine
from steering.core.inputs import Continue, EntriesRead, Input, SwitchUp, SynAckSeen, SynSeen, Tick
from steering.core.outputs import FillSwitch, GoOn, Output, Steer
from steering.core.packet_inputs import NeighbourSeen
from steering.core.peer_facts import ClusterChanged, PeerLost, PeerTold, PeerUp, TellPeer, TurnOver
from steering.model.ids import McpId, PortNumber
from steering.model.network import Site
from steering.model.policy import Policy
from steering.wire.handshake import Handshake
from steering.wire.peer_codec import decoded, encoded
from steering.wire.peer_messages import PeerMessage
from steering.wire.peer_stream import cut
from tests.support.sites import Driver, answer, capable, off_path_site

SHARES = {1: "a", 2: "c", 3: "b", 4: "c", 5: "b"}  # LTE's edge, WLAN's, MCP core's, the gateway's, MCP edge's


class Cluster:
    """Engines by name. What one tells another goes over the wire's bytes; `cut` pairs do not hear each other."""

    def __init__(
        self,
        shares: Mapping[int, str] = SHARES,
        site: Site | None = None,
        policy: Policy | None = None,
        **options,
    ) -> None:
        self.site = site or off_path_site()
        self.shares = dict(shares)
        self.now = 100.0
        self.names = sorted(set(self.shares.values()))
        self.engines = {
            name: ClusteredEngine(self.site, policy or Policy(), epoch=7 + number, **options)
            for number, name in enumerate(self.names)
        }
        self.cut: set[frozenset[str]] = set()
        self.dead: set[str] = set()
        self.silent: set[McpId] = set()  # MCPs that answer nothing
        self.sent: list[tuple[str, str, PeerMessage]] = []
        self._posts: deque[tuple[str, str, bytes]] = deque()
        for name in self.names:
            self.give(name, ClusterChanged(name, frozenset(self.names), self.shares))
        for name in self.names:
            for dpid in sorted(d for d, owner in self.shares.items() if owner == name):
                self.up(dpid)
        self.mcps_answer()
        for name in self.names:
            for other in self.names:
                if other != name:
                    self.give(name, PeerUp(other))
        self.later(0.05)

    # ---- inputs ---------------------------------------------------------------------------------

    def give(self, name: str, given: Input) -> list[Output]:
        """What an engine does about an input, what it tells others left out: they have it already."""
        engine = self.engines[name]
        outputs = [*engine.handle(given, self.now), *engine.handle(TurnOver(), self.now)]
        while any(isinstance(output, GoOn) for output in outputs):
            more = engine.handle(Continue(), self.now)
            outputs = [*(output for output in outputs if not isinstance(output, GoOn)), *more]
        for output in outputs:
            if isinstance(output, TellPeer):
                others = [output.name] if output.name else [n for n in self.names if n != name]
                for other in others:
                    self.sent.append((name, other, output.message))
                    self._posts.append((name, other, encoded(output.message)))
        rest = [output for output in outputs if not isinstance(output, TellPeer)]
        return rest + self._deliver()

    def _deliver(self) -> list[Output]:
        outputs: list[Output] = []
        while self._posts:
            sender, to, stream = self._posts.popleft()
            if frozenset((sender, to)) in self.cut or to in self.dead:
                continue
            (message,), _ = cut(stream)
            outputs += self.give(to, PeerTold(sender, decoded(*message)))
        return outputs

    def at(self, dpid: int, given: Input) -> list[Output]:
        """A switch's controller is given an input."""
        return self.give(self.shares[dpid], given)

    def ports(self, dpid: int) -> dict[PortNumber, bool]:
        """The ports of a switch that the site names, as the switch describes them."""
        engine = self.engines[self.shares[dpid]]
        ports = {p.port: True for p in engine.map.attachments if p.dpid == dpid}
        return ports | {e.port: True for item in self.site.links for e in (item.a, item.b) if e.dpid == dpid}

    def up(self, dpid: int) -> FillSwitch:
        self.at(dpid, SwitchUp(dpid, self.ports(dpid)))
        outputs = self.at(dpid, EntriesRead(dpid, [], []))
        (fill,) = [o for o in outputs if isinstance(o, FillSwitch)]
        return fill

    def mcps_answer(self) -> list[Output]:
        outputs: list[Output] = []
        for one in self.site.mcps:
            if one.id in self.silent:
                continue
            for place in {one.inside, one.outside}:
                if self.shares[place.dpid] not in self.dead:
                    mac = bytes([2, 0, 0, 8, place.dpid, place.port])
                    outputs += self.at(
                        place.dpid, NeighbourSeen(place.dpid, place.port, one.addresses[0].packed, mac)
                    )
        return outputs

    def later(self, seconds: float) -> list[Output]:
        """Time goes by, the MCPs answer their probes; what the ticks then bring."""
        self.now += seconds
        outputs = self.mcps_answer()
        for name in self.names:
            if name not in self.dead:
                outputs += self.give(name, Tick())
        return outputs

    def part(self, *groups: str) -> None:
        """Only controllers of one group hear each other, and all know it."""
        self.cut = {
            frozenset((a, b))
            for one in groups
            for other in groups
            if one != other
            for a in one
            for b in other
        }
        for pair in self.cut:
            a, b = sorted(pair)
            self.give(a, PeerLost(b))
            self.give(b, PeerLost(a))

    def heal(self) -> None:
        pairs, self.cut = self.cut, set()
        for pair in pairs:
            a, b = sorted(pair)
            self.give(a, PeerUp(b))
            self.give(b, PeerUp(a))
        self.later(0.05)

    # ---- handshakes -----------------------------------------------------------------------------

    def syn(self, dpid: int, port: int, seen: Handshake) -> list[Output]:
        return self.at(dpid, SynSeen(dpid, port, seen, Driver.frame(seen)))

    def syn_ack(self, dpid: int, port: int, seen: Handshake) -> list[Output]:
        return self.at(dpid, SynAckSeen(dpid, port, seen))

    def session(self, src: str, sport: int, key: bytes, dpid: int = 1, port: int = 1):
        """A whole set-up; the session in its owner's table."""
        opening = capable(src, sport)
        self.syn(dpid, port, opening)
        engine = self.engines[self.shares[dpid]]
        flow = opening.src + opening.dst + sport.to_bytes(2, "big") + (5201).to_bytes(2, "big")
        session = engine.sessions.table.flows[flow].session
        place = engine.map.inside[session.mcp].port
        self.syn_ack(place.dpid, place.port, answer(opening, key))
        engine.sessions.life.heard(session)
        return session


def steers(outputs: list[Output]) -> list[Steer]:
    return [output for output in outputs if isinstance(output, Steer)]
