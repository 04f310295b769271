"""The network that the set-up benchmark runs on, for every controller alike: site file, policy, generator's plan.

Every switch has an access network (port 1) and a gateway (port 2), so that a session can have its two entries on
two switches or on one; four switches have an MCP (port 3). The first four are a core that all others hang on.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from steering.model.network import PortRef, waypoint_id
from steering.model.rules import PacketClass, label_mac
from steering.wire.neighbour import arp_request

SWITCHES = 16
CORE = 4
MCP_SWITCHES = (1, 6, 11, 16)
ACCESS_PORT, GATEWAY_PORT, MCP_PORT, FIRST_LINK_PORT = 1, 2, 3, 4
MCP_ROLE = 2
KEY_BASE = 0x5354_0000_0000_0000  # as in bench.h


@dataclass(frozen=True)
class BenchMcp:
    """One MCP of the network."""

    name: str
    switch: int
    address: str
    mac: bytes

    @property
    def waypoint(self) -> int:
        """What its label carries."""
        return waypoint_id(self.name, PortRef(self.switch, MCP_PORT))


MCPS = tuple(
    BenchMcp(f"mcp{n}", switch, f"10.200.{n}.2", bytes([0x0A, 0, 0, 8, n, 2]))
    for n, switch in enumerate(MCP_SWITCHES, start=1)
)


def links() -> Iterator[tuple[str, str]]:
    """Pairs of `sN:PORT`: the core fully meshed, each other switch on two of it."""
    used = dict.fromkeys(range(1, SWITCHES + 1), FIRST_LINK_PORT)
    pairs = [(a, b) for a in range(1, CORE + 1) for b in range(a + 1, CORE + 1)]
    for leaf in range(CORE + 1, SWITCHES + 1):
        pairs += [(leaf, leaf % CORE + 1), (leaf, (leaf + 1) % CORE + 1)]
    for a, b in pairs:
        yield f"s{a}:{used[a]}", f"s{b}:{used[b]}"
        used[a] += 1
        used[b] += 1


def site_text() -> str:
    """The site file."""
    lines = ["site: 1", "access_networks:"]
    for n in range(1, SWITCHES + 1):
        lines.append(
            f"  - {{name: access{n}, type: wlan, prefixes: [10.{n}.0.0/16], ports: [s{n}:{ACCESS_PORT}]}}"
        )
    lines.append("gateways:")
    for n in range(1, SWITCHES + 1):
        lines.append(f"  - {{name: out{n}, prefixes: [172.16.{n}.0/24], ports: [s{n}:{GATEWAY_PORT}]}}")
    lines.append("mcps:")
    for mcp in MCPS:
        lines.append(
            f"  - {{name: {mcp.name}, type: off-path, port: s{mcp.switch}:{MCP_PORT}, interception: steered, "
            f"addresses: [{mcp.address}], source_mode: transparent, capacity: {{sessions: 1000000}}, probe: {{misses: 25}}}}"
        )
    lines.append("links:")
    lines += [f"  - {{ports: [{a}, {b}]}}" for a, b in links()]
    return "\n".join(lines) + "\n"


# Room for all that the rounds open. The sweep that looks for idle entries is put off: a round that met one
# would measure that. MCPs answer SYNs when a round tells them to, which looks like a sick one.
POLICY = """\
policy: 1
selection: {max_stretch: 1000, avoid_sick: false}
limits: {sessions: 1000000, half_open: 1000000, half_open_per_source: 1000000, subflows_per_session: 64}
timers: {half_open: 120, sweep: 3600}
"""


def naive_site() -> dict[str, object]:
    """What the naive application is told of the same network."""
    return {
        "mcps": [{"switch": m.switch, "port": MCP_PORT, "label": label_mac(m.waypoint)} for m in MCPS],
        "gateways": {f"172.16.{n}": n for n in range(1, SWITCHES + 1)},
        "key_base": KEY_BASE,
    }


def tokens(count: int) -> bytes:
    """Tokens of connections 0..count-1, 4 bytes each: RFC 8684 3.2, of the keys that the generator's MCPs send."""
    sha256 = hashlib.sha256
    return b"".join([sha256((KEY_BASE + n).to_bytes(8, "big")).digest()[:4] for n in range(count)])


def _arp_greetings() -> Iterator[str]:
    """Every MCP tells its MAC."""
    for mcp in MCPS:
        address = IPv4Address(mcp.address).packed
        frame = arp_request(mcp.mac, address, address[:3] + b"\x01")  # who asks tells its own MAC
        yield f"greet {mcp.switch} {int(PacketClass.NEIGHBOUR)} {MCP_PORT} {MCP_ROLE << 16} {frame.hex()}"


def _learning_greetings() -> Iterator[str]:
    """A frame from each side at every switch, so that a learning switch knows where both are."""
    host, other = bytes.fromhex("0a0000000001"), bytes.fromhex("025347000001")
    payload = b"\x88\xb5" + bytes(46)
    for switch in range(1, SWITCHES + 1):
        yield f"greet {switch} 0 {ACCESS_PORT} 0 {(other + host + payload).hex()}"
        yield f"greet {switch} 0 {GATEWAY_PORT} 0 {(host + other + payload).hex()}"


def plan_text(token_file: Path, learning: bool = False) -> str:
    """The generator's plan (see bench.h)."""
    lines = [f"switches {SWITCHES}", f"learning {int(learning)}", f"tokens {token_file}"]
    lines += [f"waypoint {mcp.waypoint} {mcp.switch} {MCP_PORT}" for mcp in MCPS]
    lines += _learning_greetings() if learning else _arp_greetings()
    return "\n".join(lines) + "\n"
