"""All routes: path, HTTP method, answering method, roles, parameters. No route is declared anywhere else."""

from http import HTTPStatus

from steering.model.identity import Role
from steering.northbound.http import events, parameters
from steering.northbound.http.event_positions import AFTER
from steering.northbound.http.exchange import EVERYONE, OPERATOR, READERS, TEXT_TYPE, RestRoute, Uses
from steering.northbound.resources.access_networks import AccessNetworks
from steering.northbound.resources.acl import Acl
from steering.northbound.resources.bindings import Bindings
from steering.northbound.resources.clock import Clock
from steering.northbound.resources.cluster import ClusterResource
from steering.northbound.resources.decisions import Decisions
from steering.northbound.resources.description import Description
from steering.northbound.resources.event_streams import EventStreams
from steering.northbound.resources.layout import LayoutResource
from steering.northbound.resources.links import LinksResource
from steering.northbound.resources.mappings import MappingLog
from steering.northbound.resources.mcp_registration import McpRegistration
from steering.northbound.resources.mcps import Mcps
from steering.northbound.resources.pairings import McpDiscovery, Pairings
from steering.northbound.resources.policies import Policies
from steering.northbound.resources.registry import Registry
from steering.northbound.resources.reservations import ReservationsResource
from steering.northbound.resources.session_reports import SessionReports
from steering.northbound.resources.sessions import Sessions
from steering.northbound.resources.status import Status
from steering.northbound.resources.subscribers import Subscribers
from steering.northbound.schema.binding_bodies import BindingRenewal, BindingWish, MappingBatch
from steering.northbound.schema.bodies import (
    AccessUpdate,
    AclList,
    ClockUpdate,
    LinkUpdate,
    LoadReport,
    OffloadOrder,
    Pairing,
    Registration,
    Rollback,
    SubscriberName,
    SubscriberUpdate,
    WhatIfQuestion,
)
from steering.northbound.schema.report_bodies import SessionBatch
from steering.northbound.schema.reservation_bodies import Renewal, ReservationWish

CREATED, ACCEPTED = int(HTTPStatus.CREATED), int(HTTPStatus.ACCEPTED)
MCPS = READERS | {Role.MCP}
LIST_MCPS = READERS | {Role.DEVICE}
DEVICES = OPERATOR | {Role.DEVICE}
OWN_MCP = OPERATOR | {Role.MCP}
OWN_DEVICE = OPERATOR | {Role.DEVICE}
MCP_TEXT = 16_384  # bytes that describe one MCP
REPORT = 65_536  # bytes of a relay's report of sessions
IF_MATCH, SEQUENCE, STREAM, PEERS = Uses.IF_MATCH, Uses.SEQUENCE, Uses.STREAM, Uses.PEERS

ROUTES = (
    RestRoute("GET", "health", "/v1/health", "State of the controller", Status.health, "Health", EVERYONE),
    RestRoute(
        "GET", "status", "/v1/status", "The things that the site expects, which of them are missing, and since when", Status.status,
        "Status",
    ),
    RestRoute(
        "GET", "topology", "/v1/topology", "Switches, links, attachments, hosts", Status.topology, "Topology"
    ),
    RestRoute(
        "GET", "layout", "/v1/topology/layout", "The network as a picture: what is and what is lost, each with its place",
        LayoutResource.layout, "Layout",
    ),
    RestRoute(
        "GET", "ports", "/v1/ports", "Ports of connected switches, and what is there", Status.ports, "Ports",
        parameters=(parameters.SWITCH,),
    ),
    RestRoute(
        "GET", "cluster", "/v1/cluster", "The controllers of the cluster, and which of them decides for which switches",
        ClusterResource.current, "Cluster",
    ),
    RestRoute(
        "POST", "drain_controller", "/v1/cluster/{name}/drain", "Drain a controller: it gives all of its switches to its standbys",
        ClusterResource.drain, "Drain", OPERATOR, status=ACCEPTED, uses=Uses.LOOKUP, changes=True,
    ),
    RestRoute(
        "POST", "undrain_controller", "/v1/cluster/{name}/undrain", "Let a drained controller decide for switches again",
        ClusterResource.undrain, "Drain", OPERATOR, status=ACCEPTED, uses=Uses.LOOKUP, changes=True,
    ),
    RestRoute(
        "POST", "rebalance_cluster", "/v1/cluster/rebalance", "Level the load of the controllers: shares of switches move one after the other",
        ClusterResource.rebalance, "Rebalance", OPERATOR, (parameters.DRY_RUN,), status=ACCEPTED,
        uses=Uses.LOOKUP | Uses.STATE, changes=True,
    ),
    RestRoute("GET", "links", "/v1/links", "Links and their weights", LinksResource.listed, "Links"),
    RestRoute(
        "GET", "link", "/v1/links/{name}", "One link, by its ends", LinksResource.one, "Link"
    ),
    RestRoute(
        "PUT", "put_link", "/v1/links/{name}", "Set a link's weight: new sessions are routed by it, live sessions keep their paths",
        LinksResource.put, "Link", OPERATOR, takes=LinkUpdate, uses=IF_MATCH, changes=True,
    ),
    RestRoute("GET", "mcps", "/v1/mcps", "The MCPs and their sessions", Mcps.listed, "Mcps", LIST_MCPS),
    RestRoute(
        "POST", "register_mcp", "/v1/mcps", "Register an MCP, described as in the site file",
        McpRegistration.register, "McpRegistered", OWN_MCP, takes=str, status=CREATED,
        uses=Uses.STATE, changes=True, largest=MCP_TEXT,
    ),
    RestRoute(
        "GET", "mcp", "/v1/mcps/{name}", "One MCP; the ETag is that of its description", Mcps.one,
        "McpDeclared", MCPS, bound=True,
    ),
    RestRoute(
        "PUT", "change_mcp", "/v1/mcps/{name}", "Replace the description of an MCP, given as in the site file",
        McpRegistration.change, "McpRegistered", OWN_MCP, takes=str,
        uses=IF_MATCH | Uses.STATE, bound=True, changes=True, largest=MCP_TEXT,
    ),
    RestRoute(
        "DELETE", "remove_mcp", "/v1/mcps/{name}", "Remove an MCP; 409 while it has live sessions",
        McpRegistration.remove, "McpRemoved", OWN_MCP, (parameters.FORCE,),
        uses=Uses.STATE, bound=True, changes=True,
    ),
    RestRoute(
        "POST", "drain", "/v1/mcps/{name}/drain", "Drain an MCP: it keeps its sessions and gets no new ones", Mcps.drain, "Drain",
        OPERATOR, status=ACCEPTED, changes=True,
    ),
    RestRoute(
        "POST", "undrain", "/v1/mcps/{name}/undrain", "Let a drained MCP get new sessions again", Mcps.undrain, "Drain",
        OPERATOR, status=ACCEPTED, changes=True,
    ),
    RestRoute(
        "PUT", "load", "/v1/mcps/{name}/load", "An MCP reports its health and load", Mcps.load, "Load",
        OWN_MCP, takes=LoadReport, status=ACCEPTED, bound=True, changes=True,
    ),
    RestRoute(
        "GET", "mcp_events", "/v1/mcps/{name}/events", "Server-Sent Events for an MCP: access, drain, policy, subflows",
        EventStreams.of_mcp, None, MCPS, media_type=events.MEDIA_TYPE, uses=STREAM, bound=True,
    ),
    RestRoute(
        "GET", "access_networks", "/v1/access-networks", "The access networks, as they are now",
        AccessNetworks.listed, "AccessNetworks", MCPS,
    ),
    RestRoute(
        "GET", "access_network", "/v1/access-networks/{name}", "One access network", AccessNetworks.one,
        "AccessNetwork", MCPS,
    ),
    RestRoute(
        "PUT", "put_access_network", "/v1/access-networks/{name}",
        "Set the network access type information of an access network, effective on live sessions", AccessNetworks.put,
        "AccessNetwork", OPERATOR, takes=AccessUpdate, uses=IF_MATCH | SEQUENCE, changes=True,
    ),
    RestRoute(
        "PUT", "put_subscriber_access", "/v1/subscribers/{id}/access",
        "Set which accesses a subscriber may combine, effective on live sessions", Subscribers.put_access,
        "SubscriberAccess", OPERATOR, takes=SubscriberUpdate, uses=SEQUENCE, changes=True,
    ),
    RestRoute(
        "POST", "offload", "/v1/offload", "Move an access network's traffic to another, or back", AccessNetworks.offload,
        "Offload", OPERATOR, takes=OffloadOrder, status=ACCEPTED, changes=True,
    ),
    RestRoute("GET", "acl", "/v1/acl", "The live access control list", Acl.current, "Acl"),
    RestRoute(
        "PUT", "put_acl", "/v1/acl", "Replace the access control list, effective at once", Acl.put,
        "Acl", OPERATOR, takes=AclList, uses=IF_MATCH | SEQUENCE, changes=True,
    ),
    RestRoute(
        "GET", "registry", "/v1/registry", "Registered subscribers, by pseudonym", Registry.listed,
        "Registry",
    ),
    RestRoute(
        "POST", "register", "/v1/registry", "Register a subscriber, or change it", Registry.register,
        "Registered", OPERATOR, takes=Registration, uses=SEQUENCE, changes=True,
    ),
    RestRoute(
        "DELETE", "strike", "/v1/registry/{id}", "Remove a subscriber from the registry", Registry.strike, "Struck",
        OPERATOR, changes=True,
    ),
    RestRoute("GET", "pairings", "/v1/pairings", "Devices that are paired", Pairings.listed, "Pairings"),
    RestRoute(
        "PUT", "pair", "/v1/pairings/{name}", "Pair a device with the addresses that it sends from", Pairings.pair,
        "Paired", OWN_DEVICE, takes=Pairing, uses=SEQUENCE, bound=True, changes=True,
    ),
    RestRoute(
        "DELETE", "unpair", "/v1/pairings/{name}", "End the pairing of a device", Pairings.unpair,
        "Unpaired", OWN_DEVICE, bound=True, changes=True,
    ),
    RestRoute(
        "GET", "bindings", "/v1/bindings", "Ports that MCPs keep open for devices; a device sees its own",
        Bindings.listed, "Bindings", READERS | DEVICES,
    ),
    RestRoute(
        "POST", "bind", "/v1/bindings", "Have an MCP keep a port open, so that connections from outside reach a device",
        Bindings.bind, "Binding", DEVICES, takes=BindingWish, status=CREATED,
        uses=Uses.STATE, changes=True,
    ),
    RestRoute(
        "GET", "binding", "/v1/bindings/{id}", "One binding", Bindings.one, "Binding",
        READERS | DEVICES,
    ),
    RestRoute(
        "PUT", "renew_binding", "/v1/bindings/{id}", "Begin the lifetime of a binding anew",
        Bindings.renew, "Binding", DEVICES, takes=BindingRenewal, uses=IF_MATCH,
        changes=True,
    ),
    RestRoute(
        "DELETE", "unbind", "/v1/bindings/{id}", "End a binding: its port is closed", Bindings.unbind, "Unbound",
        DEVICES, changes=True,
    ),
    RestRoute(
        "GET", "discovery", "/v1/discovery", "The MCPs that a device may use", McpDiscovery.told,
        "Discovery", LIST_MCPS, uses=STREAM,
    ),
    RestRoute("GET", "gateways", "/v1/gateways", "The ways to servers", Status.gateways, "Gateways"),
    RestRoute("GET", "policy", "/v1/policy", "The policy in force", Policies.current, "Policy", OPERATOR),
    RestRoute(
        "PUT", "put_policy", "/v1/policy", "Check a policy and put it in force", Policies.put,
        "PolicyOutcome", OPERATOR, (parameters.DRY_RUN,), takes=str, uses=IF_MATCH | Uses.STATE, changes=True,
    ),
    RestRoute(
        "GET", "policy_versions", "/v1/policy/versions", "Policies that were in force", Policies.versions,
        "PolicyVersions",
    ),
    RestRoute(
        "GET", "policy_version", "/v1/policy/versions/{id}", "The text of a policy that was in force", Policies.version,
        "Policy", OPERATOR,
    ),
    RestRoute(
        "POST", "rollback", "/v1/policy/rollback", "Put an earlier policy in force again", Policies.rollback,
        "PolicyOutcome", OPERATOR, takes=Rollback, uses=IF_MATCH | Uses.STATE, changes=True,
    ),
    RestRoute(
        "GET", "clock", "/v1/policy/clock", "The time that the policy's rules use, and which of their time windows are open",
        Clock.current, "Clock",
    ),
    RestRoute(
        "PUT", "put_clock", "/v1/policy/clock", "Set the time that the policy's rules use, until the controller starts again",
        Clock.put, "Clock", OPERATOR, takes=ClockUpdate, uses=IF_MATCH, changes=True,
    ),
    RestRoute(
        "GET", "subscribers", "/v1/subscribers", "Subscribers of the policy, by pseudonym", Subscribers.listed,
        "Subscribers",
    ),
    RestRoute(
        "POST", "pseudonym", "/v1/pseudonyms", "The pseudonym of a subscriber's own name", Subscribers.named,
        "Pseudonym", OPERATOR, takes=SubscriberName,
    ),
    RestRoute("GET", "limits", "/v1/limits", "Limits, their use, and what was refused", Status.limits, "Limits"),
    RestRoute(
        "GET", "sessions", "/v1/sessions", "M-sessions, a page at a time", Sessions.listed, "Sessions",
        parameters=(
            parameters.CURSOR, parameters.LIMIT, parameters.MCP, parameters.STATE, parameters.TOKEN,
            parameters.CLIENT, parameters.CONTROLLER,
        ),
        uses=PEERS,
    ),
    RestRoute(
        "GET", "session", "/v1/sessions/{id}", "One M-session and its subflows", Sessions.one, "Session", uses=PEERS
    ),
    RestRoute(
        "GET", "session_paths", "/v1/sessions/{id}/paths", "The switches on the natural and pinned paths of a session's subflows",
        Sessions.paths, "SessionPaths", uses=PEERS,
    ),
    RestRoute(
        "GET", "aborted", "/v1/aborts/{id}", "How each end of an aborted session has answered",
        Sessions.aborted, "AbortReport", OPERATOR, uses=PEERS,
    ),
    RestRoute(
        "DELETE", "abort", "/v1/sessions/{id}", "Abort an M-session", Sessions.abort, "Abort", OPERATOR,
        status=ACCEPTED, uses=PEERS, changes=True,
    ),
    RestRoute(
        "POST", "report_mappings", "/v1/mcps/{name}/mappings", "An MCP reports which subscriber has which external address",
        MappingLog.report, "MappingsKept", OWN_MCP, takes=MappingBatch, status=ACCEPTED,
        uses=Uses.LOOKUP, bound=True, changes=True,
    ),
    RestRoute(
        "POST", "report_sessions", "/v1/mcps/{name}/sessions", "A relay reports its sessions, load and health",
        SessionReports.report, "SessionsTaken", OWN_MCP, takes=SessionBatch, status=ACCEPTED,
        uses=Uses.STATE | Uses.LOOKUP, bound=True, largest=REPORT,
    ),
    RestRoute(
        "GET", "mappings", "/v1/mappings", "The subscriber that had an external address and port at a time",
        MappingLog.find, "Mapping", OPERATOR,
        (parameters.IP, parameters.PORT, parameters.TIME), uses=Uses.LOOKUP, changes=True,
    ),
    RestRoute(
        "GET", "reservations", "/v1/reservations", "Reservations; a device sees its own", ReservationsResource.listed,
        "Reservations", READERS | DEVICES,
    ),
    RestRoute(
        "POST", "reserve", "/v1/reservations", "Ask for a rate or for subflows: granted, or offered less",
        ReservationsResource.reserve, "Reservation", DEVICES, takes=ReservationWish, status=CREATED, uses=Uses.STATE, changes=True,
    ),
    RestRoute(
        "GET", "reservation", "/v1/reservations/{id}", "One reservation", ReservationsResource.one, "Reservation",
        READERS | DEVICES,
    ),
    RestRoute(
        "PUT", "renew_reservation", "/v1/reservations/{id}", "Begin the lease of a reservation anew", ReservationsResource.renew,
        "Reservation", DEVICES, takes=Renewal, uses=IF_MATCH | Uses.STATE, changes=True,
    ),
    RestRoute(
        "DELETE", "release_reservation", "/v1/reservations/{id}", "Release a reservation", ReservationsResource.release,
        "Released", DEVICES, uses=Uses.STATE, changes=True,
    ),
    RestRoute(
        "POST", "accept_reservation", "/v1/reservations/{id}/accept", "Accept a reservation of less than was asked for",
        ReservationsResource.accept, "Reservation", DEVICES, uses=Uses.STATE, changes=True,
    ),
    RestRoute(
        "GET", "decision", "/v1/decisions/{id}", "Why an MCP was chosen, or none", Decisions.one, "Decision",
        uses=PEERS,
    ),
    RestRoute(
        "POST", "whatif", "/v1/whatif", "The decision that a connection would get, without opening it", Decisions.whatif, "WhatIf",
        takes=WhatIfQuestion,
    ),
    RestRoute(
        "GET", "events", "/v1/events",
        "Server-Sent Events: session, subflow, refusal, topology, policy, access, drain, reservation", EventStreams.all, None,
        parameters=(parameters.EVENTS_OF, parameters.SINCE), media_type=events.MEDIA_TYPE, uses=STREAM | PEERS, of_peers=(AFTER,),
    ),
    RestRoute("GET", "openapi", "/v1/openapi.json", "This OpenAPI description", Description.openapi, None, EVERYONE),
    RestRoute("GET", "metrics", "/metrics", "Prometheus metrics", Description.metrics, None, media_type=TEXT_TYPE),
)  # fmt: skip
