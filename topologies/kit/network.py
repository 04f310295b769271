"""A plan as a Mininet topology: switches, shaped links, and host types that set themselves up.

Hosts configure themselves in `config`. So a network that `mn --custom` loads has the same addresses, routes and MPTCP
settings as a network that `steering lab` starts. Only relays, servers and the controller are missing there.
"""

import subprocess
from collections.abc import Callable
from ipaddress import ip_interface
from typing import Any

from topologies.kit.emulator import Host, OVSSwitch, TCLink, Topo
from topologies.kit.plan import Box, Kind, Nic, Plan, first_host, split_port

QUEUE_MS = 50  # of a shaped link: how much its rate limiter may queue
FIRST_TABLE = 101  # numbers of routing tables by source address: 101 for eth0, 102 for eth1

HOST_SYSCTLS = (
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv6.conf.all.accept_dad=0",
    "net.ipv6.conf.default.accept_dad=0",
    "net.ipv6.conf.all.accept_ra=0",
    "net.ipv6.conf.default.accept_ra=0",
    "net.ipv6.conf.all.router_solicitations=0",
    "net.ipv6.conf.default.router_solicitations=0",
    "net.ipv4.conf.all.accept_redirects=0",
    "net.mptcp.close_timeout=4",
)

PER_INTERFACE = ("accept_ra", "accept_dad", "router_solicitations")


class BuildError(RuntimeError):
    """The network of a lab cannot be built. The text is one line."""


def kernel_datapath() -> bool:
    """Whether Open vSwitch can use the kernel's datapath. Otherwise it uses its datapath in userspace."""
    return subprocess.run(["modprobe", "openvswitch"], capture_output=True, check=False).returncode == 0


def has_netem() -> bool:
    """Whether this kernel can delay and lose packets (sch_netem)."""
    found = subprocess.run(
        ["unshare", "-n", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"],
        capture_output=True,
        check=False,
    )
    return found.returncode == 0


class LabSwitch(OVSSwitch):  # type: ignore[misc]
    """An OpenFlow 1.3 switch that keeps its entries without a controller and tries to reach one every second."""

    def __init__(self, name: str, **params: Any) -> None:
        params.setdefault("protocols", "OpenFlow13")
        params.setdefault("datapath", "kernel" if kernel_datapath() else "user")
        params["failMode"] = "secure"
        params["reconnectms"] = 1000
        super().__init__(name, **params)


class LabHost(Host):  # type: ignore[misc]
    """A host that takes its addresses, routes and settings from its box in the plan."""

    def config(self, box: Box | None = None, **params: Any) -> dict[str, Any]:
        """Mininet calls this once the interfaces exist."""
        result: dict[str, Any] = super().config(**params)
        if box is not None:
            self.box = box
            self.run(*(f"sysctl -qw {setting}" for setting in HOST_SYSCTLS))
            # Settings of `all` and `default` do not change an interface that exists already.
            self.run(
                *(f"sysctl -qw net.ipv6.conf.{i}.{o}=0" for i in self.intfNames() for o in PER_INTERFACE)
            )
            _SET_UP[box.kind](self, box)
        return result

    def run(self, *commands: str) -> None:
        """Run commands. Raises BuildError, with the command and its output, for one that fails."""
        for command in commands:
            output, error, status = self.pexec(command)
            if status:
                complaint = (error or output).strip()
                raise BuildError(f"{self.name}: {command}: {complaint or f'status {status}'}")

    def interface(self, number: int) -> str:
        """The name of its eth<number>."""
        return f"{self.name}-eth{number}"


def give_addresses(host: LabHost, nic: Nic, number: int) -> None:
    """Give an interface its addresses, and make a routing table for what is sent from each of them."""
    name = host.interface(number)
    table = FIRST_TABLE + number
    host.run(f"ip link set {name} up")
    for text in nic.addresses:
        interface = ip_interface(text)
        six = "-6 " if interface.version == 6 else ""
        gateway = first_host(text)
        host.run(
            f"ip {six}addr add {text} dev {name}" + (" nodad" if six else ""),
            f"ip {six}rule add from {interface.ip} table {table}",
            f"ip {six}route add {interface.network} dev {name} table {table}",
            f"ip {six}route add default via {gateway} dev {name} table {table}",
        )


def default_route(host: LabHost, nic: Nic, number: int) -> None:
    """Set the default routes of the main table: through the virtual gateways of this interface."""
    for text in nic.addresses:
        six = "-6 " if ip_interface(text).version == 6 else ""
        host.run(f"ip {six}route add default via {first_host(text)} dev {host.interface(number)}")


def _set_up_ends(host: LabHost, box: Box) -> None:
    for number, nic in enumerate(box.nics):
        if nic.up:
            give_addresses(host, nic, number)
        else:
            host.run(f"ip link set {host.interface(number)} down")
    default_route(host, box.nics[0], 0)


def _set_up_dual(host: LabHost, box: Box) -> None:
    _set_up_ends(host, box)
    host.run("sysctl -qw net.mptcp.enabled=1", "ip mptcp limits set subflows 8 add_addr_accepted 8")
    for number, nic in enumerate(box.nics[1:], start=1):
        if nic.up:
            add_endpoints(host, nic, number)


def add_endpoints(host: LabHost, nic: Nic, number: int) -> None:
    """Let the kernel open subflows from the addresses of this interface, in new sessions and in live ones."""
    for text in nic.addresses:
        host.run(f"ip mptcp endpoint add {ip_interface(text).ip} dev {host.interface(number)} subflow")


def drop_endpoints(host: LabHost) -> None:
    """Remove all endpoints: new sessions open no further subflows, and the kernel closes those that exist."""
    host.run("ip mptcp endpoint flush")


def _set_up_plain(host: LabHost, box: Box) -> None:
    _set_up_ends(host, box)
    host.run("sysctl -qw net.mptcp.enabled=0")


def _set_up_mcp(host: LabHost, box: Box) -> None:
    """Give an MCP its addresses. Its relay sets the rules and sysctls of relaying itself (`steering relay --apply`).

    An MCP in line has two interfaces and routes: to hosts by the inside one, to all others by the outside one.
    """
    forwarding = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    host.run(*(f"sysctl -qw {setting}" for setting in forwarding))
    for number, nic in enumerate(box.nics):
        name = host.interface(number)
        host.run(f"ip link set {name} up")
        for text in nic.addresses:
            six = "-6 " if ip_interface(text).version == 6 else ""
            host.run(f"ip {six}addr add {text} dev {name}" + (" nodad" if six else ""))
    default_route(host, box.nics[-1], len(box.nics) - 1)
    gateways = {ip_interface(text).version: first_host(text) for text in box.nics[0].addresses}
    for prefix in box.inward:
        version = ip_interface(prefix).version
        six = "-6 " if version == 6 else ""
        host.run(f"ip {six}route add {prefix} via {gateways[version]} dev {host.interface(0)}")


def _set_up_m_server(host: LabHost, box: Box) -> None:
    """Set up a server that speaks MPTCP and announces the addresses of its further interfaces to its clients."""
    _set_up_ends(host, box)
    host.run("sysctl -qw net.mptcp.enabled=1", "ip mptcp limits set subflows 8 add_addr_accepted 8")
    for number, nic in enumerate(box.nics[1:], start=1):
        for text in nic.addresses:
            host.run(f"ip mptcp endpoint add {ip_interface(text).ip} dev {host.interface(number)} signal")


def _set_up_cpe(host: LabHost, box: Box) -> None:
    """Set up a CPE as DHCP would: addresses, and a default route by every uplink. Its relay sets up the rest."""
    host.run("sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv6.conf.all.forwarding=1")
    for number, nic in enumerate(box.nics):
        name = host.interface(number)
        host.run(f"ip link set {name} up")
        for text in nic.addresses:
            six = "-6 " if ip_interface(text).version == 6 else ""
            host.run(f"ip {six}addr add {text} dev {name}" + (" nodad" if six else ""))
            if number:
                host.run(f"ip {six}route add default via {first_host(text)} dev {name} metric {100 * number}")


def _set_up_nat(host: LabHost, box: Box) -> None:
    """Set up a NAT: packets from eth0 get the address of eth1 as their source, and new source ports (`random`)."""
    outside = box.nics[1]
    host.run("sysctl -qw net.ipv4.ip_forward=1")
    for number, nic in enumerate(box.nics):
        host.run(f"ip link set {host.interface(number)} up")
        host.run(*(f"ip addr add {text} dev {host.interface(number)}" for text in nic.addresses))
    default_route(host, outside, 1)
    host.run(
        "nft add table ip nat",
        "nft add chain ip nat post { type nat hook postrouting priority 100 ; }",
        f"nft add rule ip nat post oifname {host.interface(1)} masquerade random",
    )


def _set_up_router(host: LabHost, box: Box) -> None:
    """Set up a router: it forwards both families between all its interfaces, with default routes by eth0."""
    host.run("sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv6.conf.all.forwarding=1")
    for number, nic in enumerate(box.nics):
        name = host.interface(number)
        host.run(f"ip link set {name} up")
        for text in nic.addresses:
            six = "-6 " if ip_interface(text).version == 6 else ""
            host.run(f"ip {six}addr add {text} dev {name}" + (" nodad" if six else ""))
    default_route(host, box.nics[0], 0)


def _set_up_bridge(host: LabHost, box: Box) -> None:
    host.run("ip link add br0 type bridge", "ip link set br0 up")
    for name in host.intfNames():
        host.run(f"ip link set {name} master br0", f"ip link set {name} up")


_SET_UP = {
    Kind.DUAL: _set_up_dual,
    Kind.PLAIN: _set_up_plain,
    Kind.SERVER: _set_up_plain,
    Kind.M_SERVER: _set_up_m_server,
    Kind.CPE: _set_up_cpe,
    Kind.MCP: _set_up_mcp,
    Kind.NAT: _set_up_nat,
    Kind.BRIDGE: _set_up_bridge,
    Kind.ROUTER: _set_up_router,
}


class SteeringTopo(Topo):  # type: ignore[misc]
    """The network of a plan. `prefix` is put before the names of switches, which tells the switches of labs from
    others."""

    def build(self, plan: Plan, prefix: str = "") -> None:
        """Called by Mininet's `Topo`."""
        offload = kernel_datapath()
        for switch in plan.switches:
            self.addSwitch(prefix + switch, cls=LabSwitch, dpid=f"{dpid_of(switch):016x}")
        for box in plan.boxes:
            self.addHost(box.name, cls=LabHost, ip=None, box=box)
        names = {box.name: box.name for box in plan.boxes} | {s: prefix + s for s in plan.switches}
        for wire in plan.wires:
            self._wire(names, wire.a, wire.b, wire.mbit, offload)
        wired: set[str] = set()
        for box in plan.boxes:
            for number, nic in enumerate(box.nics):
                here = f"{box.name}:{number}"
                if here not in wired:  # the plan names a wire between two hosts at both ends
                    self._wire(names, here, nic.peer, nic.mbit, offload)
                    wired.add(nic.peer)

    def _wire(self, names: dict[str, str], a: str, b: str, mbit: float | None, offload: bool) -> None:
        (left, left_port), (right, right_port) = split_port(a), split_port(b)
        shape = {} if mbit is None else {"bw": mbit, "use_tbf": True, "latency_ms": QUEUE_MS}
        self.addLink(
            names[left], names[right], port1=left_port, port2=right_port, cls=TCLink, txo=offload, **shape
        )


def dpid_of(switch: str) -> int:
    """`s3` -> 3: the datapath id that a site file means by a switch of that name."""
    return int(switch.lstrip("s"))


def topology(plan: Plan) -> Callable[[], SteeringTopo]:
    """The function that `mn --custom FILE --topo NAME` calls to make a plan's network."""
    return lambda: SteeringTopo(plan)
