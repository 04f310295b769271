"""Sessions that begin in the Internet (S-20): the server opens TCP to a port of the CPE, which passes it on to a LAN
host.

A LAN behind a NAT cannot be reached in another way, however a CPE finds its MCP. Debian's socat passes the port on,
as neither relay has this role; its listener takes MPTCP and TCP. Meanwhile the CPE announces its second address,
because here the CPE is the side that is called.
"""

import time
from typing import Any

from topologies.kit import processes
from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab
from topologies.kit.network import add_endpoints
from topologies.kit.plan import address_of
from topologies.kit.processes import StartedProcess, listeners, relay_status

PORT = 7001
HOST, CPE, MCP, SERVER = "lan1", "cpe", "core", "server"
SECONDS = 2.0
TOWARDS_HOSTS = ("--port", str(PORT), "--prefix", "10.1.0.0/24", "--prefix", "10.2.0.0/24")
"""Options of the network's relay: on this port it serves CPEs as it does servers."""

_LISTEN = (
    f"SOCKET-LISTEN:2:262:x{PORT:04x}x00000000x0000000000000000,fork,reuseaddr"  # AF_INET, IPPROTO_MPTCP
)
Figures = dict[str, Any]


def prepare(lab: Lab) -> None:
    """Start a server on the LAN host, and socat on the CPE."""
    processes.serve(lab.record, lab.host(HOST), [PORT])
    inside = address_of(lab.plan.box(HOST), 4)
    where = lab.host(CPE)
    forward = StartedProcess(lab.record, "forward", ["socat", _LISTEN, f"TCP4:{inside}:{PORT}"], where)
    forward.wait_for(lambda: f":{PORT} " in listeners(where), 5, f"no listener on {PORT}")


def measure(lab: Lab, seconds: float = SECONDS) -> Figures:
    """Upload from the server: how the upload ended, whether the MCP took part, and which accesses carried it."""
    cpe = lab.plan.box(CPE)
    second = address_of(cpe, 4, 2)
    lab.host(CPE).run(
        "ip mptcp endpoint flush", f"ip mptcp endpoint add {second} dev {lab.host(CPE).interface(2)} signal"
    )
    lab.host(MCP).run("ip mptcp limits set subflows 8 add_addr_accepted 8")
    before = relay_status(lab.record, MCP)["counters"]["accepted"]
    accesses = [lab.capture_port(cpe.nics[nic].peer) for nic in (1, 2)]
    order = {"kind": "upload", "dst": address_of(cpe, 4, 1), "port": PORT, "seconds": seconds}
    lab.agents[SERVER].ask("start", name="outside", **order)
    time.sleep(seconds / 2)
    held = [s for s in subflows(lab.host(CPE)) if s.flow.sport == PORT and s.state == "ESTAB"]
    done = lab.agents[SERVER].finish("outside", seconds + 45)
    lab.host(CPE).run("ip mptcp endpoint flush")
    for number in (1, 2):
        add_endpoints(lab.host(CPE), cpe.nics[number], number)
    lab.stop_captures()
    carried = [sum(s.length for s in at.segments() if s.flow.dport == PORT) for at in accesses]
    total = sum(carried)
    return {
        "error": done.get("error", ""),
        "mbit": round(done.get("mbit", 0.0), 2),
        "by_mcp": relay_status(lab.record, MCP)["counters"]["accepted"] - before,
        "subflows": len(held),
        "sessions": len({s.own_token for s in held}),
        "second_access": round(carried[1] / total, 2) if total else 0.0,
    }
