"""Hybrid access, draft-nam Figure 5: a home's CPE with an MCP of its own, DSL and LTE, and the network's MCP.

    lan1 --+            +-- dsl  s1 ---+
           +-- lan -- cpe              s3 ---- server (10.9.0.2)
    lan2 --+            +-- lte  s2 ---+
                             s4 (core, the concentrator): links to s1, s2 and s3, on no natural path

Hosts of the LAN and the server speak plain TCP and know nothing of MPTCP.
"""

from dataclasses import replace

from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire

ACCESS_MBIT = 20.0
SERVICE, SECURE, UNSERVED = 5001, 443, 5002  # the CPE relays the first two
RELAYED = ("--port", "5001", "--port", "443")
DSL, LTE = ("10.1.0.0/24", "fd00:1::/64"), ("10.2.0.0/24", "fd00:2::/64")
NET = ("10.9.0.0/24", "fd00:9::/64")
LAN_HOSTS = ("lan1", "lan2")

CPE = Box(
    "cpe",
    Kind.CPE,
    (
        Nic("lan:0", ("192.168.1.1/24", "fd00:a::1/64")),
        Nic("s1:1", ("10.1.0.2/24", "fd00:1::2/64"), ACCESS_MBIT),
        Nic("s2:1", ("10.2.0.2/24", "fd00:2::2/64"), ACCESS_MBIT),
    ),
    relay=RELAYED,
)
HOME = (
    Box("lan1", Kind.PLAIN, (Nic("lan:1", ("192.168.1.11/24", "fd00:a::11/64")),)),
    Box("lan2", Kind.PLAIN, (Nic("lan:2", ("192.168.1.12/24", "fd00:a::12/64")),)),
    Box("lan", Kind.BRIDGE, (Nic("cpe:0"),)),
    CPE,
)
ACCESSES = (
    Attachment("dsl", DSL, ("s1:1",), "fixed"),
    Attachment("lte", LTE, ("s2:1",), "cellular"),
)


def off_path(
    name: str,
    server: Kind = Kind.SERVER,
    accesses: tuple[Attachment, Attachment] = ACCESSES,
    mbit: float = ACCESS_MBIT,
) -> Plan:
    """The plan of the picture above. `accesses`: others in place of DSL and LTE, each with a rate of `mbit`."""
    cpe = replace(CPE, nics=tuple(replace(nic, mbit=nic.mbit and mbit) for nic in CPE.nics))
    return Plan(
        name=name,
        switches=("s1", "s2", "s3", "s4"),
        wires=(
            *(Wire("s1:2", "s3:2"), Wire("s2:2", "s3:3")),
            *(Wire("s1:3", "s4:2"), Wire("s2:3", "s4:3"), Wire("s4:4", "s3:4")),
        ),
        boxes=(
            *(cpe if box is CPE else box for box in HOME),
            Box(
                "core",
                Kind.MCP,
                (Nic("s4:1", ("10.8.0.2/24", "fd00:8::2/64")),),
                relay=("--server-leg", "tcp", "--port", str(SECURE)),
            ),
            Box("server", server, (Nic("s3:1", ("10.9.0.2/24", "fd00:9::2/64")),)),
        ),
        accesses=accesses,
        gateways=(Attachment("internet", NET, ("s3:1",)),),
        points=(Point("core", "s4:1", ("10.8.0.2", "fd00:8::2")),),
        services=(SERVICE, UNSERVED),
    )


def with_relay(plan: Plan, name: str, *options: str) -> Plan:
    """The plan with further options for the relay of one box."""
    boxes = (replace(box, relay=(*box.relay, *options)) if box.name == name else box for box in plan.boxes)
    return replace(plan, boxes=tuple(boxes))
