"""What a controller can be asked and told, a method each.

Written by packaging/clientcode.py from steering/northbound/openapi.json; not to be changed by hand.
"""

# fmt: off
from collections.abc import Mapping, Sequence
from typing import Any, cast

from steering.client import records


class AsyncOperations:
    """Every route of the REST interface that answers with JSON. Methods raise what `ControllerClient` raises."""

    async def _ask(
        self, method: str, path: Sequence[str], *, body: Mapping[str, Any] | None = None, text: str | None = None,
        query: Mapping[str, object] | None = None, if_match: str | None = None,
    ) -> dict[str, Any]:
        """Send a request; the body of its answer."""
        raise TypeError("AsyncOperations are those of an AsyncSteeringClient")

    async def health(self) -> records.Health:
        """State of the controller. Roles: device, mcp, operator, reader."""
        return cast(records.Health, await self._ask("GET", ["health"]))

    async def status(self) -> records.Status:
        """The things that the site expects, which of them are missing, and since when. Roles: operator, reader."""
        return cast(records.Status, await self._ask("GET", ["status"]))

    async def topology(self) -> records.Topology:
        """Switches, links, attachments, hosts. Roles: operator, reader."""
        return cast(records.Topology, await self._ask("GET", ["topology"]))

    async def layout(self) -> records.Layout:
        """The network as a picture: what is and what is lost, each with its place. Roles: operator, reader."""
        return cast(records.Layout, await self._ask("GET", ["topology", "layout"]))

    async def ports(self, *, switch: str | None = None) -> records.Ports:
        """Ports of connected switches, and what is there. Roles: operator, reader."""
        return cast(records.Ports, await self._ask("GET", ["ports"], query={"switch": switch}))

    async def cluster(self) -> records.Cluster:
        """The controllers of the cluster, and which of them decides for which switches. Roles: operator, reader."""
        return cast(records.Cluster, await self._ask("GET", ["cluster"]))

    async def drain_controller(self, name: str) -> records.Drain:
        """Drain a controller: it gives all of its switches to its standbys. Roles: operator."""
        return cast(records.Drain, await self._ask("POST", ["cluster", name, "drain"]))

    async def undrain_controller(self, name: str) -> records.Drain:
        """Let a drained controller decide for switches again. Roles: operator."""
        return cast(records.Drain, await self._ask("POST", ["cluster", name, "undrain"]))

    async def rebalance_cluster(self, *, dry_run: bool | None = None) -> records.Rebalance:
        """Level the load of the controllers: shares of switches move one after the other. Roles: operator."""
        return cast(records.Rebalance, await self._ask("POST", ["cluster", "rebalance"], query={"dry_run": dry_run}))

    async def links(self) -> records.Links:
        """Links and their weights. Roles: operator, reader."""
        return cast(records.Links, await self._ask("GET", ["links"]))

    async def link(self, name: str) -> records.Link:
        """One link, by its ends. Roles: operator, reader."""
        return cast(records.Link, await self._ask("GET", ["links", name]))

    async def put_link(self, name: str, body: records.LinkUpdate, *, if_match: str = "*") -> records.Link:
        """Set a link's weight: new sessions are routed by it, live sessions keep their paths. Roles: operator."""
        return cast(records.Link, await self._ask("PUT", ["links", name], body=body, if_match=if_match))

    async def mcps(self) -> records.Mcps:
        """The MCPs and their sessions. Roles: device, operator, reader."""
        return cast(records.Mcps, await self._ask("GET", ["mcps"]))

    async def register_mcp(self, text: str) -> records.McpRegistered:
        """Register an MCP, described as in the site file. Roles: mcp, operator."""
        return cast(records.McpRegistered, await self._ask("POST", ["mcps"], text=text))

    async def mcp(self, name: str) -> records.McpDeclared:
        """One MCP; the ETag is that of its description. Roles: mcp, operator, reader."""
        return cast(records.McpDeclared, await self._ask("GET", ["mcps", name]))

    async def change_mcp(self, name: str, text: str, *, if_match: str = "*") -> records.McpRegistered:
        """Replace the description of an MCP, given as in the site file. Roles: mcp, operator."""
        return cast(records.McpRegistered, await self._ask("PUT", ["mcps", name], text=text, if_match=if_match))

    async def remove_mcp(self, name: str, *, force: bool | None = None) -> records.McpRemoved:
        """Remove an MCP; 409 while it has live sessions. Roles: mcp, operator."""
        return cast(records.McpRemoved, await self._ask("DELETE", ["mcps", name], query={"force": force}))

    async def drain(self, name: str) -> records.Drain:
        """Drain an MCP: it keeps its sessions and gets no new ones. Roles: operator."""
        return cast(records.Drain, await self._ask("POST", ["mcps", name, "drain"]))

    async def undrain(self, name: str) -> records.Drain:
        """Let a drained MCP get new sessions again. Roles: operator."""
        return cast(records.Drain, await self._ask("POST", ["mcps", name, "undrain"]))

    async def load(self, name: str, body: records.LoadReport) -> records.Load:
        """An MCP reports its health and load. Roles: mcp, operator."""
        return cast(records.Load, await self._ask("PUT", ["mcps", name, "load"], body=body))

    async def access_networks(self) -> records.AccessNetworks:
        """The access networks, as they are now. Roles: mcp, operator, reader."""
        return cast(records.AccessNetworks, await self._ask("GET", ["access-networks"]))

    async def access_network(self, name: str) -> records.AccessNetwork:
        """One access network. Roles: mcp, operator, reader."""
        return cast(records.AccessNetwork, await self._ask("GET", ["access-networks", name]))

    async def put_access_network(self, name: str, body: records.AccessUpdate, *, if_match: str = "*") -> records.AccessNetwork:
        """Set the network access type information of an access network, effective on live sessions. Roles: operator."""
        return cast(records.AccessNetwork, await self._ask("PUT", ["access-networks", name], body=body, if_match=if_match))

    async def put_subscriber_access(self, id: str, body: records.SubscriberUpdate) -> records.SubscriberAccess:
        """Set which accesses a subscriber may combine, effective on live sessions. Roles: operator."""
        return cast(records.SubscriberAccess, await self._ask("PUT", ["subscribers", id, "access"], body=body))

    async def offload(self, body: records.OffloadOrder) -> records.Offload:
        """Move an access network's traffic to another, or back. Roles: operator."""
        return cast(records.Offload, await self._ask("POST", ["offload"], body=body))

    async def acl(self) -> records.Acl:
        """The live access control list. Roles: operator, reader."""
        return cast(records.Acl, await self._ask("GET", ["acl"]))

    async def put_acl(self, body: records.AclList, *, if_match: str = "*") -> records.Acl:
        """Replace the access control list, effective at once. Roles: operator."""
        return cast(records.Acl, await self._ask("PUT", ["acl"], body=body, if_match=if_match))

    async def registry(self) -> records.Registry:
        """Registered subscribers, by pseudonym. Roles: operator, reader."""
        return cast(records.Registry, await self._ask("GET", ["registry"]))

    async def register(self, body: records.Registration) -> records.Registered:
        """Register a subscriber, or change it. Roles: operator."""
        return cast(records.Registered, await self._ask("POST", ["registry"], body=body))

    async def strike(self, id: str) -> records.Struck:
        """Remove a subscriber from the registry. Roles: operator."""
        return cast(records.Struck, await self._ask("DELETE", ["registry", id]))

    async def pairings(self) -> records.Pairings:
        """Devices that are paired. Roles: operator, reader."""
        return cast(records.Pairings, await self._ask("GET", ["pairings"]))

    async def pair(self, name: str, body: records.Pairing) -> records.Paired:
        """Pair a device with the addresses that it sends from. Roles: device, operator."""
        return cast(records.Paired, await self._ask("PUT", ["pairings", name], body=body))

    async def unpair(self, name: str) -> records.Unpaired:
        """End the pairing of a device. Roles: device, operator."""
        return cast(records.Unpaired, await self._ask("DELETE", ["pairings", name]))

    async def bindings(self) -> records.Bindings:
        """Ports that MCPs keep open for devices; a device sees its own. Roles: device, operator, reader."""
        return cast(records.Bindings, await self._ask("GET", ["bindings"]))

    async def bind(self, body: records.BindingWish) -> records.Binding:
        """Have an MCP keep a port open, so that connections from outside reach a device. Roles: device, operator."""
        return cast(records.Binding, await self._ask("POST", ["bindings"], body=body))

    async def binding(self, id: str) -> records.Binding:
        """One binding. Roles: device, operator, reader."""
        return cast(records.Binding, await self._ask("GET", ["bindings", id]))

    async def renew_binding(self, id: str, body: records.BindingRenewal, *, if_match: str = "*") -> records.Binding:
        """Begin the lifetime of a binding anew. Roles: device, operator."""
        return cast(records.Binding, await self._ask("PUT", ["bindings", id], body=body, if_match=if_match))

    async def unbind(self, id: str) -> records.Unbound:
        """End a binding: its port is closed. Roles: device, operator."""
        return cast(records.Unbound, await self._ask("DELETE", ["bindings", id]))

    async def discovery(self) -> records.Discovery:
        """The MCPs that a device may use. Roles: device, operator, reader."""
        return cast(records.Discovery, await self._ask("GET", ["discovery"]))

    async def gateways(self) -> records.Gateways:
        """The ways to servers. Roles: operator, reader."""
        return cast(records.Gateways, await self._ask("GET", ["gateways"]))

    async def policy(self) -> records.Policy:
        """The policy in force. Roles: operator."""
        return cast(records.Policy, await self._ask("GET", ["policy"]))

    async def put_policy(self, text: str, *, dry_run: bool | None = None, if_match: str = "*") -> records.PolicyOutcome:
        """Check a policy and put it in force. Roles: operator."""
        return cast(records.PolicyOutcome, await self._ask("PUT", ["policy"], text=text, query={"dry_run": dry_run}, if_match=if_match))

    async def policy_versions(self) -> records.PolicyVersions:
        """Policies that were in force. Roles: operator, reader."""
        return cast(records.PolicyVersions, await self._ask("GET", ["policy", "versions"]))

    async def policy_version(self, id: str) -> records.Policy:
        """The text of a policy that was in force. Roles: operator."""
        return cast(records.Policy, await self._ask("GET", ["policy", "versions", id]))

    async def rollback(self, body: records.Rollback, *, if_match: str = "*") -> records.PolicyOutcome:
        """Put an earlier policy in force again. Roles: operator."""
        return cast(records.PolicyOutcome, await self._ask("POST", ["policy", "rollback"], body=body, if_match=if_match))

    async def clock(self) -> records.Clock:
        """The time that the policy's rules use, and which of their time windows are open. Roles: operator, reader."""
        return cast(records.Clock, await self._ask("GET", ["policy", "clock"]))

    async def put_clock(self, body: records.ClockUpdate, *, if_match: str = "*") -> records.Clock:
        """Set the time that the policy's rules use, until the controller starts again. Roles: operator."""
        return cast(records.Clock, await self._ask("PUT", ["policy", "clock"], body=body, if_match=if_match))

    async def subscribers(self) -> records.Subscribers:
        """Subscribers of the policy, by pseudonym. Roles: operator, reader."""
        return cast(records.Subscribers, await self._ask("GET", ["subscribers"]))

    async def pseudonym(self, body: records.SubscriberName) -> records.Pseudonym:
        """The pseudonym of a subscriber's own name. Roles: operator."""
        return cast(records.Pseudonym, await self._ask("POST", ["pseudonyms"], body=body))

    async def limits(self) -> records.Limits:
        """Limits, their use, and what was refused. Roles: operator, reader."""
        return cast(records.Limits, await self._ask("GET", ["limits"]))

    async def sessions(self, *, cursor: str | None = None, limit: int | None = None, mcp: str | None = None, state: str | None = None, token: str | None = None, client: str | None = None, controller: str | None = None) -> records.Sessions:
        """M-sessions, a page at a time. Roles: operator, reader."""
        return cast(records.Sessions, await self._ask("GET", ["sessions"], query={"cursor": cursor, "limit": limit, "mcp": mcp, "state": state, "token": token, "client": client, "controller": controller}))

    async def session(self, id: str) -> records.Session:
        """One M-session and its subflows. Roles: operator, reader."""
        return cast(records.Session, await self._ask("GET", ["sessions", id]))

    async def abort(self, id: str) -> records.Abort:
        """Abort an M-session. Roles: operator."""
        return cast(records.Abort, await self._ask("DELETE", ["sessions", id]))

    async def session_paths(self, id: str) -> records.SessionPaths:
        """The switches on the natural and pinned paths of a session's subflows. Roles: operator, reader."""
        return cast(records.SessionPaths, await self._ask("GET", ["sessions", id, "paths"]))

    async def aborted(self, id: str) -> records.AbortReport:
        """How each end of an aborted session has answered. Roles: operator."""
        return cast(records.AbortReport, await self._ask("GET", ["aborts", id]))

    async def report_mappings(self, name: str, body: records.MappingBatch) -> records.MappingsKept:
        """An MCP reports which subscriber has which external address. Roles: mcp, operator."""
        return cast(records.MappingsKept, await self._ask("POST", ["mcps", name, "mappings"], body=body))

    async def report_sessions(self, name: str, body: records.SessionBatch) -> records.SessionsTaken:
        """A relay reports its sessions, load and health. Roles: mcp, operator."""
        return cast(records.SessionsTaken, await self._ask("POST", ["mcps", name, "sessions"], body=body))

    async def mappings(self, *, ip: str | None = None, port: int | None = None, time: float | None = None) -> records.Mapping:
        """The subscriber that had an external address and port at a time. Roles: operator."""
        return cast(records.Mapping, await self._ask("GET", ["mappings"], query={"ip": ip, "port": port, "time": time}))

    async def reservations(self) -> records.Reservations:
        """Reservations; a device sees its own. Roles: device, operator, reader."""
        return cast(records.Reservations, await self._ask("GET", ["reservations"]))

    async def reserve(self, body: records.ReservationWish) -> records.Reservation:
        """Ask for a rate or for subflows: granted, or offered less. Roles: device, operator."""
        return cast(records.Reservation, await self._ask("POST", ["reservations"], body=body))

    async def reservation(self, id: str) -> records.Reservation:
        """One reservation. Roles: device, operator, reader."""
        return cast(records.Reservation, await self._ask("GET", ["reservations", id]))

    async def renew_reservation(self, id: str, body: records.Renewal, *, if_match: str = "*") -> records.Reservation:
        """Begin the lease of a reservation anew. Roles: device, operator."""
        return cast(records.Reservation, await self._ask("PUT", ["reservations", id], body=body, if_match=if_match))

    async def release_reservation(self, id: str) -> records.Released:
        """Release a reservation. Roles: device, operator."""
        return cast(records.Released, await self._ask("DELETE", ["reservations", id]))

    async def accept_reservation(self, id: str) -> records.Reservation:
        """Accept a reservation of less than was asked for. Roles: device, operator."""
        return cast(records.Reservation, await self._ask("POST", ["reservations", id, "accept"]))

    async def decision(self, id: str) -> records.Decision:
        """Why an MCP was chosen, or none. Roles: operator, reader."""
        return cast(records.Decision, await self._ask("GET", ["decisions", id]))

    async def whatif(self, body: records.WhatIfQuestion) -> records.WhatIf:
        """The decision that a connection would get, without opening it. Roles: operator, reader."""
        return cast(records.WhatIf, await self._ask("POST", ["whatif"], body=body))

    async def openapi(self) -> dict[str, Any]:
        """This OpenAPI description. Roles: device, mcp, operator, reader."""
        return await self._ask("GET", ["openapi.json"])
