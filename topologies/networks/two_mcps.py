"""A network in which the natural paths of both accesses pass no MCP. It has two MCPs, each one hop beside these paths.

    lte  s1 ---------- s4  servers        s1-s4 and s2-s4 carry natural traffic only: a segment of a steered
    wlan s2 ---------- s4                 5-tuple there is a leak. s3 (alpha) and s5 (beta) have a link to
    s3 and s5: to s1, s2 and s4           each of s1, s2 and s4.

`ue2` reaches the WLAN through a NAT, so the addresses and ports of its joins are new to the network.
"""

from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire

SERVICES = (5001, 5002)
NATURAL_PORTS = ("s1:3", "s2:3")  # ports of the links that no steered segment may use
ACCESS_PORTS = ("s1:1", "s1:2", "s2:1", "s2:2")
MCPS = ("alpha", "beta")
CAPACITY = 1000
ACCESS_MBIT = 20.0

# Without hysteresis, so that the ranking of the MCPs changes with every session.
POLICY = """\
policy: 1
selection: {hysteresis: 0.0, weights: {location: 0.0, type: 0.0, load: 1.0}}
timers: {fin_linger: 2}
"""


def two_mcps(name: str, slow: tuple[tuple[str, int], ...] = ()) -> Plan:
    """The plan, with the name of a scenario."""
    return Plan(
        name=name,
        switches=("s1", "s2", "s3", "s4", "s5"),
        wires=(
            Wire("s1:3", "s4:2"), Wire("s1:4", "s3:2"), Wire("s1:5", "s5:2"),
            Wire("s2:3", "s4:3"), Wire("s2:4", "s3:3"), Wire("s2:5", "s5:3"),
            Wire("s3:4", "s4:4"), Wire("s5:4", "s4:5"),
        ),
        boxes=(
            Box("ue1", Kind.DUAL, (Nic("s1:1", ("10.1.0.2/24", "fd00:1::2/64"), ACCESS_MBIT),
                                   Nic("s2:1", ("10.2.0.2/24", "fd00:2::2/64"), ACCESS_MBIT))),
            Box("ue2", Kind.DUAL, (Nic("s1:2", ("10.1.0.3/24", "fd00:1::3/64"), ACCESS_MBIT),
                                   Nic("nat:0", ("10.3.0.2/24",), ACCESS_MBIT))),
            Box("nat", Kind.NAT, (Nic("ue2:1", ("10.3.0.1/24",)), Nic("s2:2", ("10.2.0.9/24",)))),
            Box("alpha", Kind.MCP, (Nic("s3:1", ("10.8.0.2/24", "fd00:8::2/64")),)),
            Box("beta", Kind.MCP, (Nic("s5:1", ("10.8.1.2/24", "fd00:18::2/64")),)),
            Box("server", Kind.SERVER, (Nic("s4:1", ("10.9.0.2/24", "fd00:9::2/64")),)),
        ),
        accesses=(
            Attachment("lte", ("10.1.0.0/24", "fd00:1::/64"), ("s1:1", "s1:2"), "cellular"),
            Attachment("wlan", ("10.2.0.0/24", "fd00:2::/64"), ("s2:1", "s2:2"), "wlan"),
        ),
        gateways=(Attachment("internet", ("10.9.0.0/24", "fd00:9::/64"), ("s4:1",)),),
        points=(
            Point("alpha", "s3:1", ("10.8.0.2", "fd00:8::2"), sessions=CAPACITY),
            Point("beta", "s5:1", ("10.8.1.2", "fd00:18::2"), sessions=CAPACITY),
        ),
        services=SERVICES,
        policy=POLICY,
        slow=slow,
    )  # fmt: skip
