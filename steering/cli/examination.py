"""Finds faults in the set-up of hosts (UEs), relays and controllers. `ExaminedMachine` gives access to the machine."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from steering.cli.machine import ExaminedMachine

WANTED_DESCRIPTORS = 8_192
STRICT = "1"  # rp_filter
ANYWHERE = {
    4: "192.0.2.1",
    6: "2001:db8::1",
}  # addresses for documentation (RFC 5737, RFC 3849): the default route

Json = dict[str, Any]


class Ailment(NamedTuple):
    """A fault, and the command or action that repairs it."""

    check: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.check}: {self.what} (mend: {self.mend})"


def of_host(machine: ExaminedMachine) -> Iterator[Ailment]:
    """Faults that keep a host from using all its accesses."""
    lacks_mptcp = list(_kernel(machine))
    yield from lacks_mptcp
    yield from _clock(machine)
    if lacks_mptcp and machine.setting("net.mptcp.enabled") is None:
        return
    limits = _numbers(machine.run("ip mptcp limits show") or "")
    if machine.run("ip mptcp limits show") is None:
        yield Ailment("limits", "'ip mptcp' does not work here", "install iproute2 5.8 or later")
        return
    for name, word in (("subflows", "subflow"), ("add_addr_accepted", "add_addr_accepted")):
        if not limits.get(name):
            why = (
                "no second subflow is opened or let in"
                if name == "subflows"
                else "addresses that MCPs tell are not used"
            )
            yield Ailment("limits", f"the limit of {name} is 0: {why}", f"ip mptcp limits set {word} 2")
    yield from _endpoints(machine)


def of_relay(machine: ExaminedMachine) -> Iterator[Ailment]:
    """Faults that keep a machine from being an MCP with `steering relay`. `steering relay --check` also checks options."""
    yield from _kernel(machine)
    yield from _clock(machine)
    for program, package in (("nft", "nftables"), ("ip", "iproute2")):
        if not machine.has(program):
            yield Ailment(
                "program",
                f"'{program}' is missing, by which --apply sets the kernel up",
                f"apt-get install {package}",
            )
    if machine.setting("net.ipv4.ip_forward") == "0":
        yield Ailment(
            "forwarding", "what is not relayed is not forwarded either", "sysctl -w net.ipv4.ip_forward=1"
        )
    for name, what in (("all", "all interfaces"), *((one, one) for one in _addresses(machine))):
        if machine.setting(f"net.ipv4.conf.{name}.rp_filter") == STRICT:
            yield Ailment(
                "rp_filter",
                f"strict at {what}: a host that comes by another way than answers to it go is dropped",
                _loosened(name, 0),
            )
    yield from _descriptors(machine)


def of_controller(machine: ExaminedMachine) -> Iterator[Ailment]:
    """Faults of a controller's machine that can be found without asking the controller."""
    yield from _clock(machine)
    yield from _descriptors(machine)
    bridges = (machine.run("ovs-vsctl -t 3 list-br") or "").split() if machine.has("ovs-vsctl") else []
    for bridge in bridges:
        yield from _bridge(machine, bridge)


def of_controllers_word(status: Json, topology: Json, mcps: Json) -> Iterator[Ailment]:
    """Faults that a running controller reports: missing switches and links, refused switches, MCPs that do not answer."""
    for one in status["missing"][:64]:
        where = f" at {one['port']}" if one.get("port") else ""
        since = "has never been seen" if one["never_seen"] else "is missing"
        mend = {
            "switch": "ovs-vsctl set-controller BRIDGE tcp:CONTROLLER:6653 at that switch, or take it out of the site file",
            "mcp": "start its relay, or see that it answers ARP at its port",
            "link": "see to the cable, or take it out of the site file",
        }.get(one["kind"], "see that the port is there and up: steering topology ports")
        yield Ailment(one["kind"], f"{one['name']}{where} {since}", mend)
    for one in topology["refused"][:64]:
        yield Ailment(
            "switch",
            f"datapath {one['dpid']} was refused {one['times']} times: {one['reason']}",
            "name it under 'switches' of the site file, or let it find its own controller",
        )
    for one in mcps["mcps"]:
        if one["health"] in ("down", "sick"):
            yield Ailment(
                "mcp",
                f"{one['name']} is {one['health']}",
                f"steering relay --query at that machine; steering mcp show {one['name']}",
            )


def reaches(machine: ExaminedMachine, what: str, place: str) -> Iterator[Ailment]:
    """A fault where no server accepts connections at `place` (`ADDRESS:PORT`)."""
    host, _, port = place.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 0xFFFF):
        yield Ailment(what, f"{place} is not ADDRESS:PORT", "for example 10.8.0.2:8803")
    elif why := machine.connects(host.strip("[]"), int(port)):
        yield Ailment(
            what, f"{place} is not reached: {why}", "see that it runs, and to routes and firewalls between"
        )


def _kernel(machine: ExaminedMachine) -> Iterator[Ailment]:
    enabled = machine.setting("net.mptcp.enabled")
    if enabled is None:
        yield Ailment("kernel", "this kernel has no MPTCP", "boot Linux 5.6 or later with CONFIG_MPTCP")
    elif enabled == "0":
        yield Ailment("kernel", "MPTCP is switched off", "sysctl -w net.mptcp.enabled=1")


def _clock(machine: ExaminedMachine) -> Iterator[Ailment]:
    if machine.synchronised() is False:
        yield Ailment(
            "clock",
            "it is synchronised with no other: logs and certificates go wrong",
            "timedatectl set-ntp true",
        )


def _descriptors(machine: ExaminedMachine) -> Iterator[Ailment]:
    allowed = machine.descriptors()
    if allowed < WANTED_DESCRIPTORS:
        yield Ailment(
            "limits", f"a process may have {allowed} files open, {WANTED_DESCRIPTORS} are wanted",
            f"ulimit -Hn {WANTED_DESCRIPTORS}, or LimitNOFILE= of its unit",
        )  # fmt: skip


def _addresses(machine: ExaminedMachine) -> dict[str, list[str]]:
    """The global addresses of each interface that is up, except loopback."""
    found: dict[str, list[str]] = {}
    for one in _rows(machine.run("ip -j address show up")):
        if one.get("link_type") == "loopback":
            continue
        own = [a["local"] for a in one.get("addr_info", ()) if a.get("scope") == "global" and "local" in a]
        if own:
            found[str(one.get("ifname"))] = own
    return found


def _endpoints(machine: ExaminedMachine) -> Iterator[Ailment]:
    addresses = _addresses(machine)
    if len(addresses) < 2:
        names = ", ".join(addresses) or "none"
        yield Ailment(
            "accesses",
            f"one interface at most has an address ({names}): there is nothing to combine",
            "bring another one up",
        )
        return
    told = machine.run("ip mptcp endpoint show") or ""
    known = {line.split()[0] for line in told.splitlines() if "subflow" in line.split()}
    default = next((row.get("dev") for row in _rows(machine.run(f"ip -j route get {ANYWHERE[4]}"))), None)
    for interface, own in addresses.items():
        strict = [
            name
            for name in ("all", interface)
            if machine.setting(f"net.ipv4.conf.{name}.rp_filter") == STRICT
        ]
        if strict:
            yield Ailment(
                "rp_filter", f"strict at {strict[-1]}: answers that come by another access are dropped",
                _loosened(strict[-1], 2),
            )  # fmt: skip
        for address in own:
            if interface != default and address not in known:
                yield Ailment(
                    "endpoints", f"{address} at {interface} is no endpoint: no subflow is opened from it",
                    f"ip mptcp endpoint add {address} dev {interface} subflow",
                )  # fmt: skip
            yield from _way(machine, interface, address)


def _loosened(interface: str, value: int) -> str:
    """The command that sets rp_filter of an interface. sysctl takes names with dots in their other form only (`eth0.20`, a
    VLAN)."""
    between = "/" if "." in interface else "."
    return f"sysctl -w {between.join(('net', 'ipv4', 'conf', interface, 'rp_filter'))}={value}"


def _way(machine: ExaminedMachine, interface: str, address: str) -> Iterator[Ailment]:
    """A fault where packets from an address do not leave by the interface that has the address."""
    version = 6 if ":" in address else 4
    for row in _rows(machine.run(f"ip -j -{version} route get {ANYWHERE[version]} from {address}")):
        if row.get("dev") not in (None, interface):
            yield Ailment(
                "routes", f"what is sent from {address} leaves by {row['dev']}, not by {interface}",
                f"ip rule add from {address} table 100; ip route add default via GATEWAY dev {interface} table 100",
            )  # fmt: skip


def _bridge(machine: ExaminedMachine, bridge: str) -> Iterator[Ailment]:
    if not (machine.run(f"ovs-vsctl -t 3 get-controller {bridge}") or "").strip():
        return  # the bridge has no controller, so it is no switch of a site
    protocols = machine.run(f"ovs-vsctl -t 3 get bridge {bridge} protocols") or ""
    if protocols.strip() not in ("", "[]") and "OpenFlow13" not in protocols:
        yield Ailment(
            "openflow", f"the bridge {bridge} speaks {protocols.strip()}, and no OpenFlow 1.3",
            f"ovs-vsctl set bridge {bridge} protocols=OpenFlow13",
        )  # fmt: skip
    mode = (machine.run(f"ovs-vsctl -t 3 get bridge {bridge} fail_mode") or "").strip()
    if mode != "secure":
        yield Ailment(
            "openflow", f"the bridge {bridge} forgets its entries while there is no controller",
            f"ovs-vsctl set-fail-mode {bridge} secure",
        )  # fmt: skip
    if (machine.run(f"ovs-vsctl -t 3 get controller {bridge} is_connected") or "true").strip() == "false":
        yield Ailment(
            "openflow", f"the bridge {bridge} is connected to no controller",
            f"ovs-vsctl get-controller {bridge}; is one there?",
        )  # fmt: skip


def _numbers(text: str) -> dict[str, int]:
    """`add_addr_accepted 2 subflows 4` as a mapping."""
    words = text.split()
    return {name: int(value) for name, value in zip(words[::2], words[1::2], strict=False) if value.isdigit()}


def _rows(text: str | None) -> list[Json]:
    """The rows that `ip -j` prints; empty where it prints nothing."""
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
