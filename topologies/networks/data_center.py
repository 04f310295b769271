"""A data centre with an MCP at its entrance: clients of plain TCP outside, and a server with two addresses inside.

client -- s1 == entrance == s2 --+-- s3 -- server (10.9.0.2)
                                 +-- s4 -- server (10.9.1.2)
"""

from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire
from topologies.networks.hybrid import SERVICE

LINK_MBIT = 20.0
CLIENT, FIRST, SECOND = "10.1.0.2", "10.9.0.2", "10.9.1.2"


def plan(leg: str = "mptcp") -> Plan:
    """The plan of use case 2. `leg`: what the MCP offers to the server, "mptcp" or "tcp"."""
    return Plan(
        name="data-center",
        switches=("s1", "s2", "s3", "s4"),
        wires=(Wire("s2:2", "s3:2"), Wire("s2:3", "s4:2")),
        boxes=(
            Box("client", Kind.PLAIN, (Nic("s1:1", (f"{CLIENT}/24",)),)),
            Box(
                "entrance",
                Kind.MCP,
                (Nic("s1:2", ("10.8.0.2/24",)), Nic("s2:1", ("10.8.1.2/24",))),
                relay=("--role", "data-centre", "--inside", "entrance-eth0", "--server-leg", leg),
                inward=("10.1.0.0/24",),
            ),
            Box(
                "server",
                Kind.M_SERVER,
                (Nic("s3:1", (f"{FIRST}/24",), LINK_MBIT), Nic("s4:1", (f"{SECOND}/24",), LINK_MBIT)),
            ),
        ),
        accesses=(Attachment("clients", ("10.1.0.0/24",), ("s1:1",), "fixed"),),
        gateways=(
            Attachment("fabric-a", ("10.9.0.0/24",), ("s3:1",)),
            Attachment("fabric-b", ("10.9.1.0/24",), ("s4:1",)),
        ),
        points=(Point("entrance", "s1:2", ("10.8.0.2", "10.8.1.2"), outside="s2:1"),),
        services=(SERVICE,),
    )
