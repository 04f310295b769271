"""A lab whose one subscriber is led to one MCP by entries set ahead."""

from ipaddress import ip_network

from steering.core import inputs
from steering.model.policy import Insertion, Policy, PolicyRule, RuleConditions, Subscriber, Terms
from steering.wire.handshake import Kind
from tests.support.fakes.packet import ACK
from tests.support.sites import (
    KEY,
    SERVER,
    UE_LTE,
    UE_WLAN,
    answer,
    capable,
    link,
    off_path_site,
)
from tests.support.switched import SERVER_MAC, UE_MAC, V6, WLAN_MAC, Lab, to_gateway

HOST = Subscriber(
    "host", prefixes=tuple(map(ip_network, ("10.1.0.2/32", "10.2.0.2/32", "fd00:1::2/128", "fd00:2::2/128")))
)
MINE = RuleConditions(subscribers=frozenset({"host"}))
AHEAD = Terms(insertion=Insertion.PROACTIVE)
EDGE = {UE_LTE: (1, UE_MAC), UE_WLAN: (2, WLAN_MAC), V6[UE_LTE]: (1, UE_MAC), V6[UE_WLAN]: (2, WLAN_MAC)}
# Both MCPs are as near to both accesses: which of them it is, the hash says.
BOTH = off_path_site(
    links=(
        link("1:2", "3:2"), link("3:3", "4:2"), link("2:2", "3:4"),
        link("1:3", "5:3"), link("4:4", "5:2"), link("2:3", "5:4"),
    )
)  # fmt: skip


def policy(*rules: PolicyRule, **more) -> Policy:
    return Policy(rules=rules or (PolicyRule("ahead", MINE, AHEAD),), subscribers=(HOST,), **more)


class Ahead(Lab):
    def __init__(self, **options) -> None:
        super().__init__(**({"site": BOTH, "policy": policy()} | options))
        self.do(inputs.Tick())

    @property
    def proactive(self):
        return self.engine.sessions.proactive

    @property
    def home(self):
        """The MCP the host is led to."""
        return self.engine.map.mcps[self.proactive.units["host"].mcp]

    def to(self, src, sport, flags=ACK, **more):
        """Where a host's segment leaves, and what was copied up on its way."""
        dpid, mac = EDGE[src]
        dst = more.pop("dst", SERVER if "." in src else V6[SERVER])
        result = self.send(dpid, 1, to_gateway(src, sport, flags, dst, mac, **more))
        return [(d.dpid, d.port) for d in result.deliveries], [c.packet_class for c in result.copies]

    def back(self, dst, dport, flags=ACK):
        source = SERVER if "." in dst else V6[SERVER]
        result = self.send(4, 1, to_gateway(source, 5201, flags, dst, SERVER_MAC, dport=dport))
        return [(d.dpid, d.port) for d in result.deliveries], [c.packet_class for c in result.copies]

    def told(self, src, sport, key=KEY, kind=None, at=None, isn=1000, **more):
        """Its MCP's SYN/ACK to a SYN that nobody looked at."""
        seen = answer(capable(src, sport, **more), key)._replace(ack=isn + 1)
        if kind is Kind.JOIN:
            seen = seen._replace(kind=kind, key=b"")
        place = (at or self.home).inside
        outputs = self.give(inputs.SynAckSeen(place.dpid, place.port, seen))
        self.network.apply(outputs)
        return outputs

    def pinned(self, dpid):
        return len(self.network[dpid].entries())

    def move(self):
        """Drain the host's MCP; the other one's switch port."""
        old = self.home
        self.do(inputs.McpAdmin(old.id, True))
        self.do(inputs.Tick())
        assert self.home != old
        return (old.inside.dpid, 1), (self.home.inside.dpid, 1)
