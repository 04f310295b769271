"""The scenarios by name, in the order in which they are listed. The file of a scenario is imported when it is asked
for."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

from topologies.kit.scenario import Breaks, Scenario

# {scenario: {control: {"must": [check], "may": [check]}}}; written by `topologies.campaign.recording` from real runs.
BREAKS = Path(__file__).with_name("breaks.json")

MODULES = {
    "off-path": "off_path",
    "off-path-v6": "off_path_v6",
    "on-path": "on_path",
    "usage": "usage",
    "access-type": "access_type",
    "ratio": "ratio",
    "overflow": "overflow",
    "offload": "offload",
    "on-path-self": "on_path_self",
    "pinning": "pinning",
    "multi-mcp": "multi_mcp",
    "added-mcp": "added_mcp",
    "nanocell": "nanocell",
    "ip-gateway": "ip_gateway",
    "pooling": "pooling",
    "two-gateways": "two_gateways",
    "handover": "handover",
    "third-party-wlan": "third_party_wlan",
    "server-initiated": "server_initiated",
    "bindings": "bindings",
    "low-rate": "low_rate",
    "proactive": "proactive",
    "services": "services",
    "policies": "policies",
    "restart": "restart",
    "controller-loss": "controller_loss",
    "cluster": "cluster",
    "cluster-death": "cluster_death",
    "cluster-grow": "cluster_grow",
    "mcp-death": "mcp_death",
    "explicit": "explicit",
    "explicit-cpe": "explicit_cpe",
    "virtual-address": "virtual_address",
    "address-families": "address_families",
    "natural": "natural",
    "flood": "flood",
    "syn-meter": "syn_meter",
    "blind-attack": "blind_attack",
    "dscp": "dscp",
    "slow-server": "slow_server",
    "md5-ao": "md5_ao",
    "mss": "mss",
    "path-mtu": "path_mtu",
    "vlans": "vlans",
    "admission": "admission",
    "kernel-rest": "kernel_rest",
    "withdraw": "withdraw",
    "implicit": "implicit",
    "implicit-cpe": "implicit_cpe",
    "port-trick": "port_trick",
    "hybrid-access": "hybrid_access",
    "hybrid-mobile": "hybrid_mobile",
    "hybrid-access-on-path": "hybrid_on_path",
    "hybrid-direct": "hybrid_direct",
    "line-changes": "line_changes",
    "rogue-nat": "rogue_nat",
    "demux": "demux",
    "data-center": "data_center",
    "data-center-two": "data_center_two",
    "authorisation": "authorisation",
    "privacy": "privacy",
    "reservation": "reservation",
    "source-modes": "source_modes",
    "clients": "clients",
    "link-weights": "link_weights",
    "link-loss": "link_loss",
    "switch-reboot": "switch_reboot",
    "short-flows": "short_flows",
    "enterprise": "enterprise",
    "co-located": "co_located",
    "compare": "compare",
}


def load(name: str) -> Scenario:
    """The scenario of that name, with what each of its controls breaks. Raises KeyError."""
    found: Scenario = import_module(f"topologies.scenarios.{MODULES[name]}").SCENARIO
    return replace(found, breaks=_breaks().get(name, {}))


@cache
def _breaks() -> dict[str, dict[str, Breaks]]:
    written = json.loads(BREAKS.read_text(encoding="utf-8"))
    return {
        name: {
            control: Breaks(frozenset(checks["must"]), frozenset(checks.get("may", ())))
            for control, checks in found.items()
        }
        for name, found in written.items()
    }


def all_of_them() -> Iterator[Scenario]:
    """Every scenario, in the order they are listed."""
    return map(load, MODULES)
