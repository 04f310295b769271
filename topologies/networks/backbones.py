"""Two networks with redundant paths: a core of switches that forward by labels alone, and a ring in which each switch is an edge.

core:  each edge s1 (lte), s2 (wlan), s3 (MCP), s4 (servers) has a link to each of s5 and s6; s5 and s6 have one between them.
ring:  s1 (lte), s2 (MCP alpha), s3 (wlan), s4 (servers), s5 (dsl), s6 (MCP beta), and s1 again.

Of paths of equal length, the one by the switch with the lower number is used.
"""

from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire

SERVICE = 5001
MBIT = 20.0


def _home(*places: tuple[str, str]) -> Box:
    """A host with an interface for each of `places`: (address, port)."""
    return Box("ue", Kind.DUAL, tuple(Nic(port, (f"{address}/24",), MBIT) for address, port in places))


def label_core(name: str) -> Plan:
    """The plan of the core, with the name of a scenario. BFD runs between the servers' edge and the core."""
    return Plan(
        name=name,
        switches=("s1", "s2", "s3", "s4", "s5", "s6"),
        wires=(
            *(Wire(f"s{edge}:{core}", f"s{core}:{edge}", bfd=edge == 4) for edge in (1, 2, 3, 4) for core in (5, 6)),
            Wire("s5:9", "s6:9"),
        ),
        boxes=(
            _home(("10.1.0.2", "s1:1"), ("10.2.0.2", "s2:1")),
            Box("alpha", Kind.MCP, (Nic("s3:1", ("10.8.0.2/24",)),)),
            Box("server", Kind.SERVER, (Nic("s4:1", ("10.9.0.2/24",)),)),
        ),
        accesses=(
            Attachment("lte", ("10.1.0.0/24",), ("s1:1",), "cellular"),
            Attachment("wlan", ("10.2.0.0/24",), ("s2:1",), "wlan"),
        ),
        gateways=(Attachment("internet", ("10.9.0.0/24",), ("s4:1",)),),
        points=(Point("alpha", "s3:1", ("10.8.0.2",)),),
    )  # fmt: skip


def ring(name: str) -> Plan:
    """The plan of the ring, with the name of a scenario. BFD runs between the servers' switch and its two neighbours."""
    return Plan(
        name=name,
        switches=("s1", "s2", "s3", "s4", "s5", "s6"),
        wires=tuple(Wire(f"s{n}:8", f"s{n % 6 + 1}:9", bfd=n in (3, 4)) for n in range(1, 7)),
        boxes=(
            _home(("10.1.0.2", "s1:1"), ("10.2.0.2", "s3:1"), ("10.3.0.2", "s5:1")),
            Box("alpha", Kind.MCP, (Nic("s2:1", ("10.8.0.2/24",)),)),
            Box("beta", Kind.MCP, (Nic("s6:1", ("10.8.1.2/24",)),)),
            Box("server", Kind.SERVER, (Nic("s4:1", ("10.9.0.2/24",)),)),
        ),
        accesses=(
            Attachment("lte", ("10.1.0.0/24",), ("s1:1",), "cellular"),
            Attachment("wlan", ("10.2.0.0/24",), ("s3:1",), "wlan"),
            Attachment("dsl", ("10.3.0.0/24",), ("s5:1",), "fixed"),
        ),
        gateways=(Attachment("internet", ("10.9.0.0/24",), ("s4:1",)),),
        points=(
            Point("alpha", "s2:1", ("10.8.0.2",)),
            Point("beta", "s6:1", ("10.8.1.2",)),
        ),
    )  # fmt: skip
