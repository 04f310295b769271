"""LTE behind an IP gateway, and a WLAN with a path of its own. An MCP is at the gateway, or behind it on (S)Gi.

lte s1 -- s3 IP gateway -- s4 -- s5 Internet     The WLAN goes straight to s5: an MCP at s3 or s4 is on the
wlan s2 ----------------------- s5               natural path of LTE only.
"""

from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire

ACCESS_MBIT = 15.0
LOCATIONS = {"pgw": "s3", "sgi": "s4"}


def gateway_at(location: str) -> Plan:
    """The plan with the MCP `chosen` at one location. The MCP `other` at the other location is not drained, and yet
    never chosen."""
    other = next(name for name in LOCATIONS if name != location)
    return Plan(
        name="ip-gateway",
        switches=("s1", "s2", "s3", "s4", "s5"),
        wires=(Wire("s1:2", "s3:2"), Wire("s3:3", "s4:2"), Wire("s4:3", "s5:2"), Wire("s2:2", "s5:3")),
        boxes=(
            Box("ue", Kind.DUAL, (Nic("s1:1", ("10.1.0.2/24",), ACCESS_MBIT), Nic("s2:1", ("10.2.0.2/24",), ACCESS_MBIT))),
            Box("chosen", Kind.MCP, (Nic(f"{LOCATIONS[location]}:9", ("10.8.1.2/24",)),)),
            Box("other", Kind.MCP, (Nic(f"{LOCATIONS[other]}:9", ("10.8.2.2/24",)),)),
            Box("server", Kind.SERVER, (Nic("s5:1", ("10.9.0.2/24",)),)),
        ),
        accesses=(
            Attachment("lte", ("10.1.0.0/24",), ("s1:1",), "cellular"),
            Attachment("wlan", ("10.2.0.0/24",), ("s2:1",), "wlan"),
        ),
        gateways=(Attachment("internet", ("10.9.0.0/24",), ("s5:1",)),),
        points=(
            Point("chosen", f"{LOCATIONS[location]}:9", ("10.8.1.2",), location=location),
            Point("other", f"{LOCATIONS[other]}:9", ("10.8.2.2",), location=other),
        ),
        policy="policy: 1\nrules:\n  - name: here\n    then: {action: proxy, mcps: [chosen], max_stretch: 9.0}\n",
    )  # fmt: skip
