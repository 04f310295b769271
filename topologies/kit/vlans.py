"""An access switch that brings several networks to one switch port of a plan, each with a VLAN tag (IEEE 802.1Q).

Where this kernel makes VLAN interfaces, hosts tag their packets themselves, and the access switch is a plain bridge. Elsewhere the
access switch's ports are access ports of Open vSwitch (`tag=`), which tag the hosts' packets.
"""

import subprocess
from collections.abc import Mapping

from topologies.kit.lab import PREFIX, Lab
from topologies.kit.network import LabHost, default_route, give_addresses, kernel_datapath
from topologies.kit.plan import Box, split_port


def has_vlan_interfaces() -> bool:
    """Whether this kernel makes VLAN interfaces (8021q)."""
    subprocess.run(["modprobe", "8021q"], capture_output=True, check=False)
    words = ["unshare", "-n", "ip", "link", "add", "link", "lo", "name", "probe", "type", "vlan", "id", "5"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def trunk(lab: Lab, port: str, tags: Mapping[str, int]) -> None:
    """Make `port` of a plan's switch (one that no wire has) a trunk to a new access switch, and move hosts' interfaces there,
    each with its tag. `tags`: "ue:0" for ue-eth0 -> tag. The interface at the trunk is `lab.interface(port)`."""
    name, number = split_port(port)
    bridge, switch = f"{PREFIX}{name}v", lab.switch(name)
    near, far = lab.interface(port), f"{PREFIX}{name}v-t"
    datapath = "system" if kernel_datapath() else "netdev"
    lab.record.switches.append(bridge)
    lab.record.save()
    _run("ip", "link", "add", near, "type", "veth", "peer", "name", far)
    for end in (near, far):
        # Without this the kernel leaves checksums to the wire's driver, and userspace datapaths do not compute them.
        subprocess.run(["ethtool", "-K", end, "tx", "off"], capture_output=True, check=False)
        _run("ip", "link", "set", end, "up")
    words = ["--", "set", "bridge", bridge, f"datapath_type={datapath}", "fail_mode=standalone"]
    _run("ovs-vsctl", "add-br", bridge, *words, "--", "add-port", bridge, far)
    own = has_vlan_interfaces()
    for end, tag in tags.items():
        host, nic = split_port(end)
        peer = lab.interface(lab.plan.box(host).nics[nic].peer)
        access = [] if own else [f"tag={tag}"]
        _run("ovs-vsctl", "del-port", switch, peer, "--", "add-port", bridge, peer, *access)
        if own:
            _tags_itself(lab.host(host), lab.plan.box(host), nic, tag)
    # The number comes last: the plan's own wires keep theirs.
    _run("ovs-vsctl", "add-port", switch, near, "--", "set", "interface", near, f"ofport_request={number}")


def remove_trunk(lab: Lab, port: str) -> None:
    """Remove the interfaces that `trunk` made outside of namespaces and bridges."""
    subprocess.run(["ip", "link", "del", lab.interface(port)], capture_output=True, check=False)


def _tags_itself(host: LabHost, box: Box, number: int, tag: int) -> None:
    """Turn a host's interface into a VLAN interface of the same name, on the same wire."""
    name, wire = host.interface(number), f"{box.name[:8]}-w{number}"
    host.run(
        f"ip addr flush dev {name}",
        f"ip link set {name} down",
        f"ip link set {name} name {wire}",
        f"ip link set {wire} up",
        f"ip link add link {wire} name {name} type vlan id {tag}",
    )
    for family in ("", "-6 "):
        host.pexec(f"ip {family}rule flush table {101 + number}")
    give_addresses(host, box.nics[number], number)
    if number == 0:
        default_route(host, box.nics[0], 0)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
