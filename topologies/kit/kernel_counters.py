"""The view of the kernels of hosts and MCPs: MPTCP counters, and the subflows that `ss` lists with their tokens."""

import re
from dataclasses import dataclass
from ipaddress import ip_address

from topologies.kit.network import LabHost
from topologies.kit.processes import LabError

_ADDRESS = r"(\S+):(\d+)"
_LINE = re.compile(rf"^(?P<state>\S+)\s+\d+\s+\d+\s+{_ADDRESS}\s+{_ADDRESS}\s")
_TOKENS = re.compile(r"tcp-ulp-mptcp flags:(\S*) token:([0-9a-f]+)\(id:(\d+)\)/([0-9a-f]+)\(id:(\d+)\)")
_RECEIVED = re.compile(r"bytes_acked:(\d+)")


@dataclass(frozen=True)
class FiveTuple:
    """A TCP connection as seen from the side that opened it. Addresses are in their shortest form."""

    src: str
    sport: int
    dst: str
    dport: int

    def reversed(self) -> "FiveTuple":
        """The same connection seen from the other side."""
        return FiveTuple(self.dst, self.dport, self.src, self.sport)


@dataclass(frozen=True)
class Subflow:
    """A subflow as `ss` lists it. The tokens are those of the peer's key and of this side's own key, 8 hex digits
    each.

    `join`: whether it is a later subflow. The initial subflow has address id 0 on both sides.
    """

    flow: FiveTuple
    state: str
    peer_token: str
    own_token: str
    join: bool
    bytes_acked: int


def plain_address(text: str) -> str:
    """`[::ffff:10.1.0.2]%eth0` -> `10.1.0.2`."""
    address = ip_address(text.partition("%")[0].strip("[]"))
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def parse_subflows(text: str) -> list[Subflow]:
    """Subflows in the output of `ss -tinHO`; listeners and plain TCP are left out."""
    found: list[Subflow] = []
    for line in text.splitlines():
        head, tokens = _LINE.match(line), _TOKENS.search(line)
        if head is None or tokens is None or head["state"] == "LISTEN":
            continue
        flow = FiveTuple(plain_address(head[2]), int(head[3]), plain_address(head[4]), int(head[5]))
        acked = _RECEIVED.search(line)
        # The flag J or j marks a join. The address ids do not tell before the join is confirmed.
        join = "j" in tokens[1].lower()
        peer, own = tokens[2].rjust(8, "0"), tokens[4].rjust(8, "0")
        found.append(Subflow(flow, head["state"], peer, own, join, int(acked[1]) if acked else 0))
    return found


def subflows(host: LabHost) -> list[Subflow]:
    """The MPTCP subflows of a host now."""
    return parse_subflows(host.pexec("ss -tinHO")[0])


def counters(host: LabHost, of: str = "MPTcpExt") -> dict[str, int]:
    """A host's MPTCP counters since its start, or those `of` TcpExt, without that prefix."""
    return parse_counters(host.pexec("cat /proc/net/netstat")[0], of)


def parse_counters(text: str, of: str = "MPTcpExt") -> dict[str, int]:
    """One pair of lines of /proc/net/netstat: names and values."""
    rows = [line.split()[1:] for line in text.splitlines() if line.startswith(f"{of}:")]
    if len(rows) != 2:
        return {}
    return {name: int(value) for name, value in zip(rows[0], rows[1], strict=True)}


class CounterChanges(dict[str, int]):
    """The growth of counters between two readings; 0 for a counter of the kernel that did not change.

    Raises LabError for a name that the kernel does not count: a check that such a counter stays 0 could never fail.
    """

    def __init__(self, before: dict[str, int], after: dict[str, int]) -> None:
        super().__init__((n, v - before.get(n, 0)) for n, v in after.items() if v != before.get(n, 0))
        self._known = frozenset(after)

    def __missing__(self, name: str) -> int:
        if name not in self._known:
            raise LabError(f"this kernel counts no MPTCP event named '{name}'")
        return 0
