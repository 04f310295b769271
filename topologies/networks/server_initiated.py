"""A network in which no natural path passes an MCP, and whose MCPs also take connections that servers open to hosts.

LTE s1 and WLAN s2 have links to s4, where the server is. The MCP `core` is attached to s3, `edge` to s5.
"""

from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire

ACCESS_MBIT = 15.0
PORT = 7001
HOST, SERVER, MCP = "10.1.0.2", "10.9.0.2", "10.8.0.2"
POLICY = """\
policy: 1
rules:
  - name: towards-hosts
    when: {direction: server}
    then: {action: proxy}
"""
HOSTS = ("--prefix", "10.1.0.0/24", "--prefix", "10.2.0.0/24", "--port", str(PORT))
PLAN = Plan(
    name="server-initiated",
    switches=("s1", "s2", "s3", "s4", "s5"),
    wires=(
        Wire("s1:2", "s4:2"),
        Wire("s2:2", "s4:3"),
        Wire("s1:3", "s3:2"),
        Wire("s2:3", "s3:3"),
        Wire("s3:4", "s4:4"),
        Wire("s5:2", "s4:5"),
    ),
    boxes=(
        Box("ue", Kind.DUAL, (Nic("s1:1", (f"{HOST}/24",), ACCESS_MBIT), Nic("s2:1", ("10.2.0.2/24",), ACCESS_MBIT))),
        Box("core", Kind.MCP, (Nic("s3:1", (f"{MCP}/24",)),), relay=HOSTS),
        Box("edge", Kind.MCP, (Nic("s5:1", ("10.8.1.2/24",)),), relay=HOSTS),
        Box("server", Kind.SERVER, (Nic("s4:1", (f"{SERVER}/24",)),)),
    ),
    accesses=(
        Attachment("lte", ("10.1.0.0/24",), ("s1:1",), "cellular"),
        Attachment("wlan", ("10.2.0.0/24",), ("s2:1",), "wlan"),
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24",), ("s4:1",)),),
    points=(Point("core", "s3:1", (MCP,)), Point("edge", "s5:1", ("10.8.1.2",))),
    policy=POLICY,
)  # fmt: skip
