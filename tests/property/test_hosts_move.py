"""A host moves to another port of its access network in the middle of a connection, and no SYN tells of it: in whatever order
the network's messages arrive, and whichever single packets get lost, it is reached there, and its segments pass."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from steering.core.inputs import Input, PortStatus, Tick
from steering.core.outputs import Output
from steering.model.network import PortRef, Site
from steering.model.rules import VIRTUAL_MAC
from steering.openflow.dispatch import Dispatch
from steering.openflow.messages.packetin import PacketIn
from steering.wire.craft import tcp_frame
from steering.wire.neighbour import arp_request
from tests.support.fakes.network import Result
from tests.support.fakes.packet import packet_of
from tests.support.sites import KEY, SERVER, UE_LTE, link, off_path_site, packed
from tests.support.switched import UE_MAC, Lab

HERE = (1, 1)
PLACES = {"another port of its switch": (1, 7), "another switch": (2, 7)}
MAC, VIRTUAL = (bytes.fromhex(text.replace(":", "")) for text in (UE_MAC, VIRTUAL_MAC))
GATEWAY = "10.1.0.1"
SPORT = 40000
TICK_S = 0.05
SEGMENT_S = 0.2  # the host sends so often; a download's host does not send by itself
MOVED_S = 2.0  # after the last packet that got lost the host is reached

# What may happen while a host moves, each at once or after some time.
EVENTS = ("leaves", "arrives", "asks", "sends", "told down", "told up", "downward", "answers late", "time")
Step = tuple[str, bool]
steps = st.lists(st.tuples(st.sampled_from(EVENTS), st.booleans()), max_size=24)


def site(there: tuple[int, int]) -> Site:
    """The LTE network has a second port."""
    base = off_path_site()
    lte = replace(base.access_networks[0], ports=(PortRef(*HERE), PortRef(*there)))
    return replace(
        base, access_networks=(lte, base.access_networks[1]), links=(*base.links, link("2:9", "3:9"))
    )


class World(Lab):
    """A host that hangs at one port, or at none. What switches show is read, and may get lost."""

    def __init__(self, there: tuple[int, int]) -> None:
        super().__init__(site(there))
        self.there = there
        self.at: tuple[int, int] | None = HERE
        self.session_ = self.session(key=KEY)
        for entry in self.session_.entries(3):
            self.network[entry.dpid].add_entry(entry)
        self.dispatch = Dispatch(self.engine.counters, lambda *heard: None)
        self.arrived: list[tuple[int, int, str | None]] = []  # what left the network: where, and for whom

    def told(self, given: Input) -> None:
        self._carried(self.give(given))

    def _carried(self, outputs: list[Output]) -> None:
        for output in outputs:
            self._went(self.network.apply(output), lost=False)

    def comes_in(self, at: tuple[int, int], frame: bytes, lost: bool = False) -> None:
        """A frame comes in at a port. `lost`: the controller does not see it."""
        self._went(self.network.send(*at, packet_of(frame)), lost)

    def _went(self, result: Result, lost: bool) -> None:
        for one in result.deliveries:
            self.arrived.append((one.dpid, one.port, one.packet.dst))
            asked = one.packet.arp_op == 1 and one.packet.arp_tpa == UE_LTE
            if asked and (one.dpid, one.port) == self.at:
                self.answers(self.at)
        for copy in [] if lost else result.copies:
            packet = PacketIn(
                copy.cookie, copy.packet_class, copy.in_port, copy.table, 1, copy.packet.frame, copy.metadata
            )
            given_ = self.dispatch.read(copy.dpid, packet, self.now)
            if given_ is not None:
                self.told(given_)

    def answers(self, at: tuple[int, int], lost: bool = False) -> None:
        """The host's ARP reply."""
        request = arp_request(MAC, packed(UE_LTE), packed(GATEWAY))
        self.comes_in(
            at, VIRTUAL + request[6:20] + b"\0\2" + request[22:32] + VIRTUAL + packed(GATEWAY), lost
        )

    def asks(self, at: tuple[int, int], lost: bool = False) -> None:
        """The host asks for its gateway."""
        self.comes_in(at, arp_request(MAC, packed(UE_LTE), packed(GATEWAY)), lost)

    def sends(self, at: tuple[int, int], lost: bool = False) -> None:
        """The host's next segment."""
        self.comes_in(
            at,
            tcp_frame(packed(UE_LTE), packed(SERVER), SPORT, 5201, flags=0x10, src_mac=MAC, dst_mac=VIRTUAL),
            lost,
        )

    def downward(self, lost: bool = False) -> None:
        """The MCP's next segment to the host."""
        inside = self.engine.map.inside[self.session_.mcp].port
        frame = tcp_frame(
            packed(SERVER), packed(UE_LTE), 5201, SPORT, flags=0x10,
            src_mac=bytes([2, 0, 0, 8, inside.dpid, inside.port]), dst_mac=VIRTUAL,
        )  # fmt: skip
        self.comes_in((inside.dpid, inside.port), frame, lost)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.mcps_answer()
        self._carried(self.give(Tick()))

    def step(self, what: str, lost: bool) -> None:
        at = self.at
        match what:
            case "leaves":
                self.at = None if at == HERE else at
            case "arrives":
                self.at = self.there
            case "told down" if at != HERE:
                self.told(PortStatus(*HERE, up=False))
            case "told up" if at == self.there:
                self.told(PortStatus(*self.there, up=True))
            case "asks" if at is not None:
                self.asks(at, lost)
            case "sends" if at is not None:
                self.sends(at, lost)
            case "downward":
                self.downward(lost)
            case "answers late" if at == self.there:
                self.answers(HERE, lost)  # what it said there before it left is read only now
            case "time":
                self.passes(0.3 if lost else TICK_S)

    def is_there(self) -> bool:
        """Whether a segment of the host reaches its MCP, and one of the MCP the host."""
        self.arrived.clear()
        self.sends(self.there, lost=True)
        up = (3, 1, SERVER) in self.arrived
        self.downward(lost=True)
        return up and (*self.there, UE_LTE) in self.arrived


@pytest.mark.row("D-3.3a")
@pytest.mark.parametrize("there", PLACES.values(), ids=PLACES.keys())
@given(history=steps, asks=st.booleans())
@example(history=[("leaves", False), ("told down", False), ("downward", False)], asks=False)
@settings(max_examples=30, deadline=None)
def test_whatever_the_order_a_host_that_sends_is_where_it_moved_to(
    there: tuple[int, int], history: list[Step], asks: bool
) -> None:
    world = World(there)
    for what, lost in history:
        world.step(what, lost)
    world.at = there
    if asks:
        world.asks(there)
    down_told, started = world.now + 0.3, world.now
    while not world.is_there():
        assert world.now < started + MOVED_S, "it is not reached where it is"
        world.sends(there)
        world.downward()
        for _ in range(round(SEGMENT_S / TICK_S)):
            world.passes(TICK_S)
        if world.now >= down_told:
            world.told(PortStatus(*HERE, up=False))
            world.told(PortStatus(*there, up=True))
            down_told = float("inf")
