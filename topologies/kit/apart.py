"""Network namespaces of controllers, so that a packet filter can cut one of them off.

Each controller has a link to the lab's own namespace, where switches and etcd are, and one to each other controller:

    lab (10.251.0.254)  st-lab-ctl-a ---- lab  a (10.251.0.1)  to-b ---- to-a  b (10.251.0.2)

A namespace ends with the process that holds it, and its links with it.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from topologies.kit.processes import LabError, StartedProcess
from topologies.kit.records import Record

NETWORK = "10.251.0."
LAB = f"{NETWORK}254"  # the address of the lab's own namespace
SWITCH_PORT = 6653  # where each controller listens for switches; tshark knows it
OWN_LINK, PEER_LINK = "lab", "to-"  # names of interfaces of a controller
IN, OUT = "in", "out"  # what reaches a controller, and what it sends
BOTH = (IN, OUT)
_HOOKS = {IN: "input", OUT: "output"}
_LINK_OF = {IN: "iifname", OUT: "oifname"}
_FAR_PORT = {IN: "sport", OUT: "dport"}
_NEAR_PORT = {IN: "dport", OUT: "sport"}


class ControllersApart:
    """The namespaces of some controllers, by name. Raises LabError."""

    def __init__(self, record: Record, names: Sequence[str]) -> None:
        self._record = record
        self.addresses = {name: f"{NETWORK}{number}" for number, name in enumerate(names, 1)}
        self._holders = {name: self._made(name) for name in names}
        for name, holder in self._holders.items():
            self._run(name, "ip", "link", "set", "lo", "up")
            self._run(name, "ip", "address", "add", f"{self.addresses[name]}/32", "dev", "lo")
            self._link_to_lab(name, holder)
        for number, one in enumerate(names):
            for other in names[number + 1 :]:
                self._link(one, other)

    def _made(self, name: str) -> StartedProcess:
        holder = StartedProcess(
            self._record, f"namespace controller-{name}", ["unshare", "--net", "sleep", "infinity"]
        )
        own = Path("/proc/self/ns/net").readlink()
        place = Path(f"/proc/{holder.popen.pid}/ns/net")
        holder.wait_for(lambda: place.readlink() != own, 5, "no namespace")
        return holder

    def _link_to_lab(self, name: str, holder: StartedProcess) -> None:
        here, address = self.interface(name), self.addresses[name]
        peer = ("peer", "name", OWN_LINK, "netns", str(holder.popen.pid))
        _do("ip", "link", "add", here, "type", "veth", *peer)
        _do("ip", "address", "add", f"{LAB}/32", "dev", here)
        _do("ip", "link", "set", here, "up")
        _do("ip", "route", "add", f"{address}/32", "dev", here, "src", LAB)
        self._reaches(name, OWN_LINK, LAB)

    def _link(self, one: str, other: str) -> None:
        far = str(self._holders[other].popen.pid)
        peer = ("peer", "name", f"{PEER_LINK}{one}", "netns", far)
        self._run(one, "ip", "link", "add", f"{PEER_LINK}{other}", "type", "veth", *peer)
        self._reaches(one, f"{PEER_LINK}{other}", self.addresses[other])
        self._reaches(other, f"{PEER_LINK}{one}", self.addresses[one])

    def _reaches(self, name: str, link: str, address: str) -> None:
        self._run(name, "ip", "link", "set", link, "up")
        self._run(name, "ip", "route", "add", f"{address}/32", "dev", link, "src", self.addresses[name])

    def _run(self, name: str, *words: str, told: str = "") -> None:
        _do(*self.inside(name), *words, told=told)

    def inside(self, name: str) -> tuple[str, ...]:
        """The words before a command that run it in a controller's namespace."""
        return ("mnexec", "-a", str(self._holders[name].popen.pid))

    def interface(self, name: str) -> str:
        """The lab's end of the link to a controller."""
        return f"st-lab-ctl-{name}"

    # ---- what is cut -----------------------------------------------------------------------------

    def cut_peers(self, name: str, ways: Sequence[str]) -> None:
        """Drop packets between a controller and all others, in both directions or only in one of them (`ways`: IN, OUT)."""
        self._drop(name, {way: f'{_LINK_OF[way]} "{PEER_LINK}*"' for way in ways})

    def cut_etcd(self, name: str, ways: Sequence[str], urls: str) -> None:
        """Drop packets between a controller and etcd. `urls`: of etcd's members, comma separated."""
        ports = ", ".join(url.rpartition(":")[2] for url in urls.split(","))
        self._drop(
            name, {way: f'{_LINK_OF[way]} "{OWN_LINK}" tcp {_FAR_PORT[way]} {{ {ports} }}' for way in ways}
        )

    def cut_switches(self, name: str, ways: Sequence[str]) -> None:
        """Drop packets between a controller and all switches."""
        self._drop(
            name, {way: f'{_LINK_OF[way]} "{OWN_LINK}" tcp {_NEAR_PORT[way]} {SWITCH_PORT}' for way in ways}
        )

    def _drop(self, name: str, matches: dict[str, str]) -> None:
        lines = ["add table inet wall"]
        for way, match in matches.items():
            lines.append(f"add chain inet wall {way} {{ type filter hook {_HOOKS[way]} priority 0 ; }}")
            lines.append(f"add rule inet wall {way} {match} drop")
        self._run(name, "nft", "-f", "-", told="\n".join(lines) + "\n")

    def heal(self, name: str) -> None:
        """Let everything through again."""
        # Added first, as there is nothing to delete where nothing was cut.
        self._run(name, "nft", "-f", "-", told="add table inet wall\ndelete table inet wall\n")


def _do(*words: str, told: str = "") -> None:
    done = subprocess.run(words, input=told, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(words)}: {done.stderr.strip()}")
