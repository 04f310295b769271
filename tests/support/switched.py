"""The driver with fake switches behind it, and the frames that its hosts send."""

from steering.core.inputs import Tick
from steering.core.outputs import Steer
from steering.core.packet_inputs import NeighbourSeen
from steering.model.rules import VIRTUAL_MAC
from tests.support.fakes.network import FakeNetwork
from tests.support.fakes.packet import ACK, tcp
from tests.support.sites import (
    SERVER,
    UE_LTE,
    UE_WLAN,
    Driver,
    packed,
)

UE_MAC, WLAN_MAC, SERVER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:09"
MCP_MAC = "02:00:00:08:03:01"
V6 = {UE_LTE: "fd00:1::2", UE_WLAN: "fd00:2::2", SERVER: "fd00:9::2"}


class Lab(Driver):
    """The driver with fake switches that do what the engine says, and hosts that were learned."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.network = FakeNetwork(self.site.links)
        for fill in list(self.fills.values()):
            self.network.apply(self.up(fill.dpid))
        for dpid, port, address, mac in (
            (1, 1, UE_LTE, UE_MAC), (2, 1, UE_WLAN, WLAN_MAC), (4, 1, SERVER, SERVER_MAC),
        ):  # fmt: skip
            for text in (address, V6[address]):
                self.do(NeighbourSeen(dpid, port, packed(text), bytes.fromhex(mac.replace(":", ""))))
        self.do(Tick())  # the ways around links

    def do(self, given):
        self.catch_up()
        for output in self.give(given):
            self.network.apply(output)

    def catch_up(self):
        """What was to come behind a filling has come."""
        behind, self.behind = self.behind, ()
        self.network.apply(list(behind))

    def send(self, dpid, port, packet):
        self.catch_up()
        return self.network.send(dpid, port, packet)

    def steer(self, outputs):
        """Apply entries; the frames of these handshakes are not real and stay here."""
        for output in outputs:
            if isinstance(output, Steer):
                self.network.apply(output._replace(release=None))


def to_gateway(src, sport, flags=ACK, dst=SERVER, mac=UE_MAC, ttl=64, dport=5201):
    return tcp(src, sport, dst, dport, flags, eth_src=mac, eth_dst=VIRTUAL_MAC, ttl=ttl)
