"""A SYN flood that MCPs answer and nobody acknowledges, and honest hosts meanwhile: what an engine and its switches make
of both, in simulated time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from steering.core.outputs import RemoveEntries, Steer
from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.model.network import PortRef
from steering.model.policy import Limits, Policy, Quotas
from steering.model.session import Entry
from steering.wire.handshake import Handshake
from tests.support.half_open import ACK, NOTHING, Counted, tell
from tests.support.sites import Driver, access, answer, capable, mcp, off_path_site

RATE, SECONDS = 250, 24  # SYNs a second of the flood, of which this many seconds' fill both MCPs and more
CAPACITY = 2_500  # sessions of each of the two MCPs
HONEST = 5  # sessions a second, of each kind
STEP = 0.1
SLOW = 3.0  # seconds after which a satellite's third ACK comes
SERVERS = {4: "10.9.0.2", 6: "fd00:9::2"}

Sources = Callable[[int], str]  # the address of the flood's n-th SYN


def flood_site(**changes):
    """The off-path site with larger prefixes."""
    return off_path_site(
        access_networks=(
            access("lte", [PortRef(1, 1)], "10.1.0.0/16", "fd00:1::/48"),
            access("wlan", [PortRef(2, 1)], "10.2.0.0/16", "fd00:2::/48"),
        ),
        mcps=(
            mcp("core", PortRef(3, 1), "10.8.0.2", "fd00:8::2", capacity=CAPACITY),
            mcp("edge", PortRef(5, 1), "10.8.1.2", "fd00:18::2", capacity=CAPACITY),
        ),
        **changes,
    )


def one_source(family: int) -> Sources:
    """One host; of IPv6 with a new address of its /64 each time."""
    return (lambda n: "10.1.66.6") if family == 4 else (lambda n: f"fd00:1:0:66::{n + 1:x}")


def many_sources(family: int) -> Sources:
    """All of the access network's prefix: a /16, and the /64s of a /48."""
    if family == 4:
        return lambda n: str(ip_address(0x0A01_0100 + n % 0xF000))
    return lambda n: f"fd00:1:0:{n % 0xF000 + 0x100:x}::6"


@dataclass
class Opened:
    """What one group of honest hosts asked for and got."""

    asked: int = 0
    flows: list[FlowKey] = field(default_factory=list)  # that an MCP took

    @property
    def share(self) -> float:
        return len(self.flows) / self.asked


class FloodedDriver(Driver):
    """The driver, with the entries that switches hold, and what these count. `acks`: from when on a flow's entry has
    counted its third ACK."""

    def __init__(self, family: int, disabled: tuple[str, ...] = (), **limits: int) -> None:
        self.family = family
        self.held: dict[tuple, Entry] = {}
        self.acks: dict[FlowKey, float] = {}
        self.asked_of: list[int] = []  # how many entries each question was about
        self.most = 0  # half-open sessions at once
        bounds = Limits(**{"half_open": CAPACITY, "half_open_per_source": 256} | limits)
        policy = Policy(max_stretch=9, limits=bounds, quotas=Quotas(sessions_per_subscriber=256))
        super().__init__(flood_site(), policy, disabled=disabled)

    def give(self, given):
        outputs = super().give(given)
        for output in outputs:
            if isinstance(output, Steer):
                self.held |= {entry[:7]: entry for entry in output.entries}
            elif isinstance(output, RemoveEntries):
                for entry in output.entries:
                    held = self.held.get(entry[:7])
                    if held is not None and held.cookie == entry.cookie:
                        del self.held[entry[:7]]
        return outputs

    def counted(self, entry: Entry) -> Counted:
        from_ = self.acks.get(flow_key(entry.src, entry.dst, entry.sport, entry.dport))
        return NOTHING if from_ is None or from_ > self.now else ACK

    def opens(self, dpid: int, opening: Handshake, key: bytes) -> FlowKey | None:
        """A SYN comes, and its MCP answers, if one got it; then the flow."""
        outputs = self.syn(dpid, 1, opening)
        steer = next((output for output in outputs if isinstance(output, Steer)), None)
        if steer is None:
            return None
        flow = flow_key(opening.src, opening.dst, opening.sport, opening.dport)
        place = self.engine.map.inside[self.table.flows[flow].session.mcp].port
        self.syn_ack(place.dpid, place.port, answer(opening, key))
        return flow

    def passes(self, seconds: float) -> None:
        """Time goes by without new SYNs."""
        for _ in range(round(seconds / STEP)):
            self.passes_step()

    def passes_step(self) -> None:
        asked = tell(self, self.later(STEP), self.counted)
        self.asked_of.append(len(asked))
        self.most = max(self.most, len(self.table.half_open))

    def flooded(self, sources: Sources, seconds: float = SECONDS) -> dict[str, Opened]:
        """The flood at the LTE access, and honest hosts there and elsewhere; slow ones get their third ACK off late."""
        found = {kind: Opened() for kind in ("other", "same", "slow")}
        number = honest = 0
        dst = SERVERS[self.family]
        for step in range(round(seconds / STEP)):
            for _ in range(round(RATE * STEP)):
                src = sources(number)
                opening = capable(src, 1_024 + number // 3 % 60_000, dst, seq=number)
                self.opens(1, opening, number.to_bytes(8, "big"))
                number += 1
            while honest < step * STEP * HONEST:
                for kind, dpid, octet in (("other", 2, 7), ("same", 1, 8), ("slow", 1, 9)):
                    host = honest % 200 + 1
                    src = (
                        f"10.{dpid}.{octet}.{host}"
                        if self.family == 4
                        else f"fd00:{dpid}:0:{octet}{host:02x}::1"
                    )
                    opening = capable(src, 10_000 + honest, dst, seq=honest)
                    key = bytes((octet,)) + honest.to_bytes(7, "big")
                    flow = self.opens(dpid, opening, key)
                    found[kind].asked += 1
                    if flow is not None:
                        found[kind].flows.append(flow)
                        self.acks[flow] = self.now + (SLOW if kind == "slow" else 0.1)
                honest += 1
            self.passes_step()
        return found
