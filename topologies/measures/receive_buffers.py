"""Receive buffers of a lab's machines.

In Linux 6.18 a connection stops when data out of order has filled its receive buffer (docs/design/measured.rst). That happens when
a host loses an access: the data in flight there are sent again only after 0.2 s or more, and find no room. A lab that is about
moves of hosts, and not about this effect, gives its machines larger buffers. At 64 kbit/s such buffers cost goodput.
"""

from topologies.kit.lab import Lab
from topologies.kit.processes import LabError

SIZES = "4096 4194304 16777216"  # bytes: least, at first, most. The kernel's own have 131072 at first


def enlarge(lab: Lab, *names: str) -> None:
    """Give these machines larger receive buffers, for sockets that are made from now on. Raises LabError."""
    for name in names:
        _, complaint, status = lab.host(name).pexec(["sysctl", "-qw", f"net.ipv4.tcp_rmem={SIZES}"])
        if status:
            raise LabError(f"receive buffers of {name}: {complaint.strip()}")
