"""MPTCP of a LAN host's own to a server that speaks it (S-23). The tokens at both ends tell whether it goes end to
end."""

from typing import Any

from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab
from topologies.kit.plan import address_of
from topologies.kit.processes import relay_status
from topologies.measures.pins import token_of
from topologies.networks.hybrid import SERVICE

HOST, MCP, SERVER = "lan2", "core", "server2"
Figures = dict[str, Any]


def measure(lab: Lab) -> Figures:
    """Open one connection with an echo. `end_to_end`: whether each end has the key of the other end."""
    target = address_of(lab.plan.box(SERVER), 4)
    before = relay_status(lab.record, MCP)["counters"]["accepted"]
    near, far = lab.capture_host(HOST), lab.capture_port(lab.plan.box(SERVER).nics[0].peer)
    order = {"group": "native", "dst": target, "ports": [SERVICE], "mptcp": True, "first": True}
    opened = lab.agents[HOST].ask("open", **order)["opened"][0]
    peers = {s.own_token for s in subflows(lab.host(SERVER))}
    lab.agents[HOST].ask("close", group="native")
    lab.stop_captures()
    told = {token_of(s.key) for s in near.segments() if s.syn_ack and s.key}
    heard = {token_of(s.key) for s in far.segments() if s.flow.dst == target and s.key}
    return {
        "error": opened.get("error", ""),
        "mptcp": opened.get("token") is not None,
        "server_mptcp": bool(peers),
        "end_to_end": peers == told != set() and opened.get("token") in heard,
        "by_mcp": relay_status(lab.record, MCP)["counters"]["accepted"] - before,
    }
