"""The bodies of requests and answers as types.

Written by packaging/clientcode.py from steering/northbound/openapi.json; not to be changed by hand.
"""

# ruff: noqa: UP013
# fmt: off
from typing import Any, Literal, NotRequired, TypedDict

HealthSwitchesPart = TypedDict("HealthSwitchesPart", {"connected": int, "known": int})
Health = TypedDict("Health", {
    "status": Literal["ok", "recovering", "no-switch"], "version": str, "uptime_s": float,
    "switches": "HealthSwitchesPart", "sessions": dict[str, int], "policy_version": int, "missing": int
})
StatusExpectedPart = TypedDict("StatusExpectedPart", {
    "kind": Literal["switch", "link", "attachment", "mcp"], "expected": int, "seen": int
})
StatusMissingPart = TypedDict("StatusMissingPart", {
    "kind": Literal["switch", "link", "attachment", "mcp"], "name": str, "port": str | None,
    "never_seen": bool, "missing_s": float
})
StatusUnknownSwitchesPart = TypedDict("StatusUnknownSwitchesPart", {
    "name": str, "dpid": str, "connected": bool
})
StatusAlarmsPart = TypedDict("StatusAlarmsPart", {
    "alarm": Literal["switch-lost", "link-lost", "attachment-lost", "link-longer", "mcp-down", "mcp-sick",
    "fallbacks-access", "fallbacks-mcp", "quota-reached", "copies-lost", "work-fault", "table-near-bound"],
    "name": str, "text": str, "raised_s": float
})
Status = TypedDict("Status", {
    "expected": list["StatusExpectedPart"], "missing": list["StatusMissingPart"],
    "unknown_switches": list["StatusUnknownSwitchesPart"], "alarms": list["StatusAlarmsPart"]
})
TopologySwitchesPart = TypedDict("TopologySwitchesPart", {
    "name": str, "dpid": str | None, "connected": bool
})
TopologyRefusedPart = TypedDict("TopologyRefusedPart", {"dpid": str, "reason": str, "times": int})
TopologyLinksPart = TypedDict("TopologyLinksPart", {"a": str, "b": str, "weight": float, "up": bool})
TopologyAttachmentsPart = TypedDict("TopologyAttachmentsPart", {
    "name": str, "role": str, "port": str, "up": bool, "waypoint": int
})
TopologyHostsPart = TypedDict("TopologyHostsPart", {"address": str, "mac": str, "port": str})
Topology = TypedDict("Topology", {
    "switches": list["TopologySwitchesPart"], "refused": list["TopologyRefusedPart"],
    "links": list["TopologyLinksPart"], "attachments": list["TopologyAttachmentsPart"],
    "hosts": list["TopologyHostsPart"]
})
PortsPortsPart = TypedDict("PortsPortsPart", {
    "switch": str, "port": str, "name": str, "up": bool, "speed_kbit": int | None, "leads_to": str | None
})
Ports = TypedDict("Ports", {"ports": list["PortsPortsPart"], "total": int})
Link = TypedDict("Link", {
    "name": str, "a": str, "b": str, "weight": float, "own_weight": float, "set_weight": float | None,
    "up": bool
})
Links = TypedDict("Links", {"links": list["Link"], "settled": bool, "kept_flows": int})
ClockRulesPart = TypedDict("ClockRulesPart", {"name": str, "open": bool})
Clock = TypedDict("Clock", {"time": str, "minute": int, "offset_s": int, "rules": list["ClockRulesPart"]})
McpSlowServersPart = TypedDict("McpSlowServersPart", {"address": str, "until": float})
Mcp = TypedDict("Mcp", {
    "name": str, "id": int, "type": Literal["on-path", "off-path"], "type_computed": str | None,
    "interception": Literal["steered", "self"], "location": str | None, "access_networks": list[str],
    "public_addresses": list[str], "addresses": list[str], "port": str, "capacity_sessions": int,
    "sessions": int, "subflows": int, "reachable": bool, "health": NotRequired[Literal["up", "draining",
    "down", "unknown"]], "load": NotRequired[float], "operator": NotRequired[str],
    "slow_servers": NotRequired[list["McpSlowServersPart"]], "distribution": NotRequired[str]
})
McpDeclaredSlowServersPart = TypedDict("McpDeclaredSlowServersPart", {"address": str, "until": float})
McpDeclared = TypedDict("McpDeclared", {
    "name": str, "id": int, "type": Literal["on-path", "off-path"], "type_computed": str | None,
    "interception": Literal["steered", "self"], "location": str | None, "access_networks": list[str],
    "public_addresses": list[str], "addresses": list[str], "port": str, "capacity_sessions": int,
    "sessions": int, "subflows": int, "reachable": bool, "declared": dict[str, Any],
    "health": NotRequired[Literal["up", "draining", "down", "unknown"]], "load": NotRequired[float],
    "operator": NotRequired[str], "slow_servers": NotRequired[list["McpDeclaredSlowServersPart"]],
    "distribution": NotRequired[str]
})
McpRegistered = TypedDict("McpRegistered", {"name": str, "kept": bool, "declared": dict[str, Any]})
McpRemoved = TypedDict("McpRemoved", {"name": str, "kept": bool, "sessions": int})
Mcps = TypedDict("Mcps", {"mcps": list["Mcp"]})
SessionSummary = TypedDict("SessionSummary", {
    "id": str, "state": Literal["syn-pinned", "answered", "established", "plain", "idle", "closing",
    "linger", "withdrawn"], "mcp": str | None, "insertion": Literal["reactive", "proactive"],
    "token": str | None, "version": int | None, "client": str, "server": str, "explicit": bool,
    "age_s": float, "subflows": int
})
Sessions = TypedDict("Sessions", {
    "sessions": list["SessionSummary"], "total": int, "next": str | None, "incomplete": list[str]
})
Subflow = TypedDict("Subflow", {
    "src": str, "sport": int, "dst": str, "dport": int, "kind": str, "access_network": str | None,
    "path": Literal["natural", "redirected"], "switch": str, "entries": Any, "address_id": int | None,
    "backup": bool | None, "access_type": NotRequired[str | None], "wanted": NotRequired[Literal["active",
    "backup", "closed"]], "share": NotRequired[int], "bytes": NotRequired[int]
})
SessionServerLegPart = TypedDict("SessionServerLegPart", {"switch": str, "cookie": str})
Session = TypedDict("Session", {
    "id": str, "state": Literal["syn-pinned", "answered", "established", "plain", "idle", "closing",
    "linger", "withdrawn"], "mcp": str | None, "insertion": Literal["reactive", "proactive"],
    "token": str | None, "version": int | None, "client": str, "server": str, "explicit": bool,
    "age_s": float, "subflows": list["Subflow"], "decision": str | None,
    "server_leg": NotRequired[list["SessionServerLegPart"]], "access_switch": NotRequired[str | None]
})
Candidate = TypedDict("Candidate", {
    "mcp": str, "filtered": str | None, "cost": float | None, "stretch": float | None, "terms": dict[str,
    float | None], "score": float | None, "path": NotRequired[list[str]], "on_path": NotRequired[bool],
    "sessions": NotRequired[int], "port": NotRequired[str]
})
Decision = TypedDict("Decision", {
    "id": str, "time_s": float, "age_s": float, "policy_version": int, "outcome": str, "winner": str | None,
    "reason": str, "natural_cost": float | None, "candidates": list["Candidate"],
    "rule": NotRequired[str | None], "subscriber": NotRequired[str | None]
})
WhatIf = TypedDict("WhatIf", {
    "time_s": float, "policy_version": int, "outcome": str, "winner": str | None, "reason": str,
    "natural_cost": float | None, "candidates": list["Candidate"], "rule": NotRequired[str | None],
    "subscriber": NotRequired[str | None]
})
Abort = TypedDict("Abort", {"id": str})
AbortReportEndsPart = TypedDict("AbortReportEndsPart", {
    "end": str, "address": str, "port": int, "outcome": str
})
AbortReport = TypedDict("AbortReport", {"id": str, "over": bool, "ends": list["AbortReportEndsPart"]})
AccessNetwork = TypedDict("AccessNetwork", {
    "name": str, "type": "NetworkAccessType", "trust": "Trust", "sequence": int, "prefixes": list[str],
    "ports": list[str], "offloaded_to": str | None
})
AccessNetworks = TypedDict("AccessNetworks", {"access_networks": list["AccessNetwork"]})
Gateway = TypedDict("Gateway", {
    "name": str, "prefixes": list[str], "ports": list[str], "addresses": list[str], "next_hops": list[str]
})
Gateways = TypedDict("Gateways", {"gateways": list["Gateway"]})
SubscriberAccessPart = TypedDict("SubscriberAccessPart", {
    "allowed": list["NetworkAccessType"], "preferred": list["NetworkAccessType"], "sequence": int
})
Subscriber = TypedDict("Subscriber", {
    "class": str, "id": str, "prefixes": list[str], "quotas": dict[str, int | None],
    "access": "SubscriberAccessPart"
})
Subscribers = TypedDict("Subscribers", {"subscribers": list["Subscriber"]})
LimitsControllerPart = TypedDict("LimitsControllerPart", {"limit": str, "most": int, "used": int})
LimitsQuotasPart = TypedDict("LimitsQuotasPart", {"limit": str, "source": str, "most": int})
LimitsUsePart = TypedDict("LimitsUsePart", {"kind": str, "name": str, "sessions": int})
LimitsFullPart = TypedDict("LimitsFullPart", {
    "kind": str, "name": str, "most": int, "source": str, "count": int
})
LimitsLastFullPart = TypedDict("LimitsLastFullPart", {"kind": str, "name": str, "most": int, "source": str})
Limits = TypedDict("Limits", {
    "controller": list["LimitsControllerPart"], "quotas": list["LimitsQuotasPart"],
    "use": list["LimitsUsePart"], "refusals": dict[str, int], "full": list["LimitsFullPart"],
    "last_full": "LimitsLastFullPart | None"
})
AclEntry = TypedDict("AclEntry", {
    "name": str, "action": Literal["allow", "deny"], "source": list[str], "access": list[str],
    "destination": list[str], "port": list[str]
})
Acl = TypedDict("Acl", {"entries": list["AclEntry"]})
Registered = TypedDict("Registered", {"id": str, "allowed": bool, "addresses": list[str]})
Registry = TypedDict("Registry", {"subscribers": list["Registered"]})
Pseudonym = TypedDict("Pseudonym", {"id": str})
Struck = TypedDict("Struck", {"id": str})
Paired = TypedDict("Paired", {"name": str, "addresses": list[str]})
Binding = TypedDict("Binding", {
    "id": str, "device": str, "mcp": str, "ext_address": str | None, "ext_port": int, "address": str,
    "int_port": int, "lifetime_s": int, "remaining_s": float, "version": int
})
Bindings = TypedDict("Bindings", {"bindings": list["Binding"]})
Unbound = TypedDict("Unbound", {"id": str})
Pairings = TypedDict("Pairings", {"pairings": list["Paired"]})
Unpaired = TypedDict("Unpaired", {"name": str})
DiscoveryMcpsPart = TypedDict("DiscoveryMcpsPart", {
    "name": str, "type": Literal["on-path", "off-path"], "addresses": list[str]
})
Discovery = TypedDict("Discovery", {
    "device": str, "paired": bool, "lasts_s": int, "mcps": list["DiscoveryMcpsPart"]
})
ReservationFlowPart = TypedDict("ReservationFlowPart", {"src": str, "sport": int, "dst": str, "dport": int})
ReservationAskedPart = TypedDict("ReservationAskedPart", {"rate_bps": int, "subflows": int})
ReservationPathsPart = TypedDict("ReservationPathsPart", {
    "direction": Literal["up", "down"], "between": Literal["host-mcp", "mcp-server"], "switches": list[str]
})
Reservation = TypedDict("Reservation", {
    "id": str, "level": Literal["subscriber", "session", "subflow"], "standing": Literal["offered",
    "granted"], "subscriber": str | None, "session": str | None, "flow": "ReservationFlowPart | None",
    "mcp": str, "rate_bps": int, "subflows": int, "asked": "ReservationAskedPart",
    "path_number": int | None, "paths": list["ReservationPathsPart"], "version": int, "remaining_s": float
})
Reservations = TypedDict("Reservations", {"reservations": list["Reservation"]})
MappingsKept = TypedDict("MappingsKept", {"name": str, "kept": int})
SessionsTaken = TypedDict("SessionsTaken", {"name": str, "sequence": int, "pace": float})
Mapping = TypedDict("Mapping", {
    "mcp": str, "internal": str, "external": str, "first_port": int, "last_port": int, "begin": float,
    "end": float | None, "subscriber": str | None, "destination": str | None
})
Released = TypedDict("Released", {"id": str})
SubscriberAccess = TypedDict("SubscriberAccess", {
    "id": str, "allowed": list["NetworkAccessType"], "preferred": list["NetworkAccessType"], "sequence": int
})
Offload = TypedDict("Offload", {"from": str, "to": str | None})
ClusterMembersPart = TypedDict("ClusterMembersPart", {
    "name": str, "address": str, "capacity": int, "draining": bool
})
ClusterSharesPartStandbysPart = TypedDict("ClusterSharesPartStandbysPart", {"name": str, "generation": int})
ClusterSharesPart = TypedDict("ClusterSharesPart", {
    "name": str, "owner": str, "generation": int, "standbys": list["ClusterSharesPartStandbysPart"]
})
ClusterSwitchesPart = TypedDict("ClusterSwitchesPart", {"name": str, "role": str})
ClusterPeersPart = TypedDict("ClusterPeersPart", {
    "name": str, "reached": bool, "tokens": int, "whole": bool, "unread": int
})
ClusterRebalancePart = TypedDict("ClusterRebalancePart", {"share": str, "taker": str})
ClusterGaveUpPart = TypedDict("ClusterGaveUpPart", {"share": str, "taker": str})
Cluster = TypedDict("Cluster", {
    "controller": str | None, "etcd": bool | None, "revision": int, "members": list["ClusterMembersPart"],
    "shares": list["ClusterSharesPart"], "switches": list["ClusterSwitchesPart"], "events": dict[str, int],
    "peers": list["ClusterPeersPart"], "rebalance": "ClusterRebalancePart | None",
    "gave_up": "ClusterGaveUpPart | None", "unheard": list[str]
})
RebalanceMovesPart = TypedDict("RebalanceMovesPart", {"share": str, "giver": str, "taker": str})
Rebalance = TypedDict("Rebalance", {"dry_run": bool, "moves": list["RebalanceMovesPart"]})
Drain = TypedDict("Drain", {"name": str, "draining": bool, "changed": bool})
Load = TypedDict("Load", {"name": str, "alive": bool, "load": float | None})
Policy = TypedDict("Policy", {"version": int, "text": str})
Finding = TypedDict("Finding", {
    "path": str | None, "message": str, "line": NotRequired[int | None], "column": NotRequired[int | None],
    "code": NotRequired[str | None], "suggestion": NotRequired[str | None]
})
PolicyOutcome = TypedDict("PolicyOutcome", {"version": int, "dry_run": bool, "findings": list["Finding"]})
PolicyVersion = TypedDict("PolicyVersion", {
    "version": int, "time": NotRequired[str | None], "who": NotRequired[str | None]
})
PolicyVersions = TypedDict("PolicyVersions", {"versions": list["PolicyVersion"]})
Problem = TypedDict("Problem", {
    "type": str, "title": str, "status": int, "detail": str, "errors": NotRequired[list["Finding"]]
})
Layout = TypedDict("Layout", {"nodes": list["DrawnNode"], "links": list["DrawnLink"]})
DrawnNodePortsPart = TypedDict("DrawnNodePortsPart", {
    "switch": str, "port": str, "up": bool, "use": float | None
})
DrawnNode = TypedDict("DrawnNode", {
    "id": str, "kind": Literal["switch", "access", "gateway", "mcp"], "name": str, "up": bool,
    "ports": list["DrawnNodePortsPart"], "x": float, "y": float
})
DrawnLink = TypedDict("DrawnLink", {
    "name": str, "a": str, "b": str, "between": list[str], "up": bool, "weight": float | None,
    "use": float | None, "bends": list[list[float]]
})
SessionPathsSubflowsPart = TypedDict("SessionPathsSubflowsPart", {
    "src": str, "sport": int, "dst": str, "dport": int, "access_network": str | None, "natural": list[str],
    "pinned": list[str]
})
SessionPaths = TypedDict("SessionPaths", {
    "id": str, "mcp": str | None, "subflows": list["SessionPathsSubflowsPart"], "onward": list[str]
})
NetworkAccessType = Literal["cellular", "wlan", "fixed", "satellite", "other"]
Trust = Literal["operator", "third-party"]
AccessUpdate = TypedDict("AccessUpdate", {"type": "NetworkAccessType", "trust": "Trust", "sequence": int})
SubscriberUpdate = TypedDict("SubscriberUpdate", {
    "allowed": NotRequired[list["NetworkAccessType"]], "preferred": NotRequired[list["NetworkAccessType"]],
    "sequence": int
})
LinkUpdate = TypedDict("LinkUpdate", {"weight": float | None})
ClockUpdate = TypedDict("ClockUpdate", {"offset_s": int})
OffloadOrder = TypedDict("OffloadOrder", {"from": str, "to": str | None})
SlowServer = TypedDict("SlowServer", {"address": str, "until": float})
LoadReport = TypedDict("LoadReport", {
    "alive": NotRequired[bool], "load": NotRequired[float | None],
    "slow_servers": NotRequired[list["SlowServer"] | None]
})
WhatIfQuestion = TypedDict("WhatIfQuestion", {
    "source": str, "destination": str, "port": int, "source_port": NotRequired[int],
    "access": NotRequired[str | None], "mptcp_version": NotRequired[int]
})
Rollback = TypedDict("Rollback", {"version": int})
AclEntryBody = TypedDict("AclEntryBody", {
    "name": str, "action": Literal["allow", "deny"], "source": NotRequired[list[str]],
    "access": NotRequired[list[str]], "destination": NotRequired[list[str]], "port": NotRequired[list[str]]
})
AclList = TypedDict("AclList", {"entries": list["AclEntryBody"]})
Registration = TypedDict("Registration", {
    "subscriber": str, "allowed": NotRequired[bool], "addresses": NotRequired[list[str]]
})
Pairing = TypedDict("Pairing", {"addresses": list[str]})
SubscriberName = TypedDict("SubscriberName", {"subscriber": str})
BindingWish = TypedDict("BindingWish", {
    "device": NotRequired[str | None], "mcp": NotRequired[str | None], "address": NotRequired[str | None],
    "ext_port": NotRequired[int | None], "int_port": int, "lifetime_s": NotRequired[int]
})
BindingRenewal = TypedDict("BindingRenewal", {"lifetime_s": NotRequired[int | None]})
Flow = TypedDict("Flow", {"src": str, "sport": int, "dst": str, "dport": int})
Level = Literal["subscriber", "session", "subflow"]
ReservationWish = TypedDict("ReservationWish", {
    "level": "Level", "subscriber": NotRequired[str | None], "session": NotRequired[str | None],
    "flow": NotRequired["Flow | None"], "mcp": NotRequired[str | None], "rate_bps": NotRequired[int | None],
    "subflows": NotRequired[int | None], "lease_s": NotRequired[float | None]
})
Renewal = TypedDict("Renewal", {"lease_s": NotRequired[float | None]})
MappingReport = TypedDict("MappingReport", {
    "mcp": NotRequired[str], "internal": str, "external": str, "first_port": int, "last_port": int,
    "begin": float, "end": NotRequired[float | None], "destination": NotRequired[str | None]
})
MappingBatch = TypedDict("MappingBatch", {"mappings": list["MappingReport"]})
BeganEvent = TypedDict("BeganEvent", {
    "event": Literal["began"], "id": int, "token": str | None, "client": list[Any], "server": list[Any],
    "at": float
})
EndedEvent = TypedDict("EndedEvent", {
    "event": Literal["ended"], "id": int, "token": str | None, "how": "RelayEnd", "at": float
})
RelayEnd = Literal["orderly", "reset", "dial_failed", "stopped", "refused"]
RelayLoad = TypedDict("RelayLoad", {
    "health": "RelayState", "load": float, "sessions": int, "most_sessions": int, "accepted": int,
    "fallback": int, "dial_failed": int, "refused": int, "pace": NotRequired[float | None]
})
RelayState = Literal["up", "full", "starved", "stopping"]
SetPart = TypedDict("SetPart", {"part": int, "last": bool})
SessionBatch = TypedDict("SessionBatch", {
    "version": Literal[1], "generation": str, "sequence": int, "whole": "SetPart | None", "live": int,
    "waiting": int, "events": list["BeganEvent | EndedEvent"], "state": "RelayLoad"
})
