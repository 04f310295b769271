"""A network of six switches for three controllers. With `--cluster-shares 3` each owns one access switch and one switch of the
core, by the hash of their datapath ids.

    access          core
    s1 (ue1, ue3)   s2 (alpha)    share s0002: s1, s2     s1, s3 and s4 have a link to each of s2, s5 and s6; so has
    s3 (ue2, ue1)   s5 (beta)     share s0001: s3, s5     s6 to s2 and s5. The links to s6 are the natural way of what
    s4 (ue3, ue2)   s6 (servers)  share s0000: s4, s6     no MCP has: a segment of a steered 5-tuple there is a leak.

Each host begins its sessions at one owner's switch and joins them at the next one's. The natural paths pass no MCP.
"""

from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire

SERVICES = (5001, 5002)
OWNERS = 3
HOSTS = ("ue1", "ue2", "ue3")
MCPS = ("alpha", "beta")
NATURAL_PORTS = ("s1:3", "s3:3", "s4:3")  # ports of the links that no steered segment may use
ACCESS_PORTS = ("s1:1", "s1:2", "s3:1", "s3:2", "s4:1", "s4:2")
ACCESS_MBIT = 20.0

# Without hysteresis, so that the ranking of the MCPs changes with every session.
POLICY = """\
policy: 1
selection: {hysteresis: 0.0, weights: {location: 0.0, type: 0.0, load: 1.0}}
timers: {fin_linger: 2}
"""


def three_owners(name: str) -> Plan:
    """The plan, with the name of a scenario."""

    def nic(port: str, net: int, host: int) -> Nic:
        return Nic(port, (f"10.{net}.0.{host}/24", f"fd00:{net}::{host}/64"), ACCESS_MBIT)

    return Plan(
        name=name,
        switches=("s1", "s2", "s3", "s4", "s5", "s6"),
        wires=(
            Wire("s1:3", "s6:2"), Wire("s3:3", "s6:3"), Wire("s4:3", "s6:4"),
            Wire("s1:4", "s2:2"), Wire("s3:4", "s2:3"), Wire("s4:4", "s2:4"), Wire("s2:5", "s6:5"),
            Wire("s1:5", "s5:2"), Wire("s3:5", "s5:3"), Wire("s4:5", "s5:4"), Wire("s5:5", "s6:6"),
        ),
        boxes=(
            Box("ue1", Kind.DUAL, (nic("s1:1", 1, 2), nic("s3:2", 3, 3))),
            Box("ue2", Kind.DUAL, (nic("s3:1", 3, 2), nic("s4:2", 4, 3))),
            Box("ue3", Kind.DUAL, (nic("s4:1", 4, 2), nic("s1:2", 1, 3))),
            Box("alpha", Kind.MCP, (Nic("s2:1", ("10.8.0.2/24", "fd00:8::2/64")),)),
            Box("beta", Kind.MCP, (Nic("s5:1", ("10.8.1.2/24", "fd00:18::2/64")),)),
            Box("server", Kind.SERVER, (Nic("s6:1", ("10.9.0.2/24", "fd00:9::2/64")),)),
            Box("other", Kind.SERVER, (Nic("s6:7", ("10.9.0.3/24", "fd00:9::3/64")),)),
        ),
        accesses=(
            Attachment("first", ("10.1.0.0/24", "fd00:1::/64"), ("s1:1", "s1:2"), "cellular"),
            Attachment("second", ("10.3.0.0/24", "fd00:3::/64"), ("s3:1", "s3:2"), "wlan"),
            Attachment("third", ("10.4.0.0/24", "fd00:4::/64"), ("s4:1", "s4:2"), "wlan"),
        ),
        gateways=(Attachment("internet", ("10.9.0.0/24", "fd00:9::/64"), ("s6:1", "s6:7")),),
        points=(
            Point("alpha", "s2:1", ("10.8.0.2", "fd00:8::2"), sessions=1000),
            Point("beta", "s5:1", ("10.8.1.2", "fd00:18::2"), sessions=1000),
        ),
        services=SERVICES,
        policy=POLICY,
        named_links=True,
    )  # fmt: skip
