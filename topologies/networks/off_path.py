"""The network of draft-deng Figure 3: the path of LTE to the gateway passes the switch of the MCP `core`, that of
WLAN does not.

LTE enters at s1 and reaches the gateway s4 by s3, to which `core` is attached. WLAN enters at s2 and reaches s4
without s3. The MCP `edge`, behind s5, is a decoy. The server does not speak MPTCP.
"""

from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire

ACCESS_MBIT = 20.0

PLAN = Plan(
    name="off-path",
    switches=("s1", "s2", "s3", "s4", "s5"),
    wires=(
        Wire("s1:2", "s3:2"),
        Wire("s3:3", "s4:2"),
        Wire("s2:2", "s4:3"),
        Wire("s2:3", "s5:2"),
        Wire("s5:3", "s4:4"),
    ),
    boxes=(
        Box(
            "ue",
            Kind.DUAL,
            (
                Nic("s1:1", ("10.1.0.2/24", "fd00:1::2/64"), ACCESS_MBIT),
                Nic("s2:1", ("10.2.0.2/24", "fd00:2::2/64"), ACCESS_MBIT),
            ),
        ),
        Box("core", Kind.MCP, (Nic("s3:1", ("10.8.0.2/24", "fd00:8::2/64")),)),
        Box("edge", Kind.MCP, (Nic("s5:1", ("10.8.1.2/24", "fd00:18::2/64")),)),
        Box("server", Kind.SERVER, (Nic("s4:1", ("10.9.0.2/24", "fd00:9::2/64")),)),
    ),
    accesses=(
        Attachment("lte", ("10.1.0.0/24", "fd00:1::/64"), ("s1:1",), "cellular"),
        Attachment("wlan", ("10.2.0.0/24", "fd00:2::/64"), ("s2:1",), "wlan"),
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24", "fd00:9::/64"), ("s4:1",)),),
    points=(
        Point("core", "s3:1", ("10.8.0.2", "fd00:8::2")),
        Point("edge", "s5:1", ("10.8.1.2", "fd00:18::2")),
    ),
)
