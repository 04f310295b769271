"""The route table: who may do what where."""

from collections.abc import Callable

from steering.northbound import events, parameters
from steering.northbound.admission import Admission
from steering.northbound.bindings import BindingRenewal, BindingWish
from steering.northbound.bodies import (
    AccessUpdate,
    AclList,
    ClockUpdate,
    LinkUpdate,
    LoadReport,
    OffloadOrder,
    Pairing,
    Registration,
    Rollback,
    SubscriberUpdate,
    WhatIfQuestion,
)
from steering.northbound.changes import ACCEPTED
from steering.northbound.exchange import EVERYONE, OPERATOR, READERS, TEXT_TYPE, Call, Reply, Route, Uses
from steering.northbound.mappings import MappingBatch
from steering.northbound.reservations import CREATED, Renewal, ReservationWish
from steering.northbound.reservations import Reserved as To
from steering.northbound.tokens import Role

MCPS = READERS | {Role.MCP}
LIST_MCPS = READERS | {Role.DEVICE}
DEVICES = OPERATOR | {Role.DEVICE}
OWN_MCP = OPERATOR | {Role.MCP}
OWN_DEVICE = OPERATOR | {Role.DEVICE}
IF_MATCH, SEQUENCE, STREAM = Uses.IF_MATCH, Uses.SEQUENCE, Uses.STREAM


def by(answer: Callable[[Admission, Call], Reply]) -> Callable[[To, Call], Reply]:
    """An answer of the resources of admission."""
    return lambda to, call: answer(to.admission, call)


ROUTES = (
    Route("GET", "health", "/v1/health", "State of the controller", To.health, "Health", EVERYONE),
    Route(
        "GET", "topology", "/v1/topology", "Switches, links, attachments, hosts", To.topology, "Topology"
    ),
    Route("GET", "links", "/v1/links", "Links and their weights", lambda to, call: to.links.links(call), "Links"),
    Route(
        "GET", "link", "/v1/links/{name}", "One link, by its ends", lambda to, call: to.links.link(call), "Link"
    ),
    Route(
        "PUT", "put_link", "/v1/links/{name}", "Another weight: new sessions go by it, live ones keep their paths",
        lambda to, call: to.links.put_link(call), "Link", OPERATOR, takes=LinkUpdate, uses=IF_MATCH, changes=True,
    ),
    Route("GET", "mcps", "/v1/mcps", "The MCPs and what they carry", To.mcps, "Mcps", LIST_MCPS),
    Route(
        "POST", "register_mcp", "/v1/mcps", "Register an MCP, in the site file's shape",
        lambda to, call: to.registering.register(call), "McpRegistered", OWN_MCP, takes=str, status=CREATED,
        uses=Uses.STATE, changes=True,
    ),
    Route(
        "GET", "mcp", "/v1/mcps/{name}", "One MCP; its ETag is that of what was declared of it", To.mcp,
        "McpDeclared", MCPS, bound=True,
    ),
    Route(
        "PUT", "change_mcp", "/v1/mcps/{name}", "Another description of an MCP, in the site file's shape",
        lambda to, call: to.registering.change(call), "McpRegistered", OWN_MCP, takes=str,
        uses=IF_MATCH | Uses.STATE, bound=True, changes=True,
    ),
    Route(
        "DELETE", "remove_mcp", "/v1/mcps/{name}", "Take an MCP out; 409 while sessions live there",
        lambda to, call: to.registering.remove(call), "McpRemoved", OWN_MCP, (parameters.FORCE,),
        uses=Uses.STATE, bound=True, changes=True,
    ),
    Route(
        "POST", "drain", "/v1/mcps/{name}/drain", "Keep its sessions, get no new ones", To.drain, "Drain",
        OPERATOR, status=ACCEPTED, changes=True,
    ),
    Route(
        "POST", "undrain", "/v1/mcps/{name}/undrain", "Get new sessions again", To.undrain, "Drain",
        OPERATOR, status=ACCEPTED, changes=True,
    ),
    Route(
        "PUT", "load", "/v1/mcps/{name}/load", "An MCP reports its health and load", To.load, "Load",
        OWN_MCP, takes=LoadReport, status=ACCEPTED, bound=True, changes=True,
    ),
    Route(
        "GET", "mcp_events", "/v1/mcps/{name}/events", "Server-Sent Events for an MCP: access, drain, policy, subflows",
        To.mcp_events, None, MCPS, media_type=events.MEDIA_TYPE, uses=STREAM, bound=True,
    ),
    Route(
        "GET", "access_networks", "/v1/access-networks", "The access networks, as they are now",
        To.access_networks, "AccessNetworks", MCPS,
    ),
    Route(
        "GET", "access_network", "/v1/access-networks/{name}", "One access network", To.access_network,
        "AccessNetwork", MCPS,
    ),
    Route(
        "PUT", "put_access_network", "/v1/access-networks/{name}",
        "Network access type information, effective on live sessions", To.put_access_network,
        "AccessNetwork", OPERATOR, takes=AccessUpdate, uses=IF_MATCH | SEQUENCE, changes=True,
    ),
    Route(
        "PUT", "put_subscriber_access", "/v1/subscribers/{id}/access",
        "Which accesses a subscriber may combine, effective on live sessions", To.put_subscriber_access,
        "SubscriberAccess", OPERATOR, takes=SubscriberUpdate, uses=SEQUENCE, changes=True,
    ),
    Route(
        "POST", "offload", "/v1/offload", "Move an access network's traffic to another, or back", To.offload,
        "Offload", OPERATOR, takes=OffloadOrder, status=ACCEPTED, changes=True,
    ),
    Route("GET", "acl", "/v1/acl", "The live access control list", by(Admission.acl), "Acl"),
    Route(
        "PUT", "put_acl", "/v1/acl", "Another access control list, effective at once", by(Admission.put_acl),
        "Acl", OPERATOR, takes=AclList, uses=IF_MATCH | SEQUENCE, changes=True,
    ),
    Route(
        "GET", "registry", "/v1/registry", "Registered subscribers, by pseudonym", by(Admission.registry),
        "Registry",
    ),
    Route(
        "POST", "register", "/v1/registry", "Register a subscriber, or change it", by(Admission.register),
        "Registered", OPERATOR, takes=Registration, uses=SEQUENCE, changes=True,
    ),
    Route(
        "DELETE", "strike", "/v1/registry/{id}", "Take a subscriber out", by(Admission.strike), "Struck",
        OPERATOR, changes=True,
    ),
    Route("GET", "pairings", "/v1/pairings", "Devices that are paired", by(Admission.pairings), "Pairings"),
    Route(
        "PUT", "pair", "/v1/pairings/{name}", "A device says where it speaks from", by(Admission.pair),
        "Paired", OWN_DEVICE, takes=Pairing, uses=SEQUENCE, bound=True, changes=True,
    ),
    Route(
        "DELETE", "unpair", "/v1/pairings/{name}", "A device is paired no more", by(Admission.unpair),
        "Unpaired", OWN_DEVICE, bound=True, changes=True,
    ),
    Route(
        "GET", "bindings", "/v1/bindings", "Ports that MCPs keep open for devices; a device sees its own",
        lambda to, call: to.bindings.listed(call), "Bindings", READERS | DEVICES,
    ),
    Route(
        "POST", "bind", "/v1/bindings", "Have an MCP keep a port open, so that connections from outside reach a device",
        lambda to, call: to.bindings.bind(call), "Binding", DEVICES, takes=BindingWish, status=CREATED,
        uses=Uses.STATE, changes=True,
    ),
    Route(
        "GET", "binding", "/v1/bindings/{id}", "One binding", lambda to, call: to.bindings.one(call), "Binding",
        READERS | DEVICES,
    ),
    Route(
        "PUT", "renew_binding", "/v1/bindings/{id}", "Begin its lifetime anew",
        lambda to, call: to.bindings.renew(call), "Binding", DEVICES, takes=BindingRenewal, uses=IF_MATCH,
        changes=True,
    ),
    Route(
        "DELETE", "unbind", "/v1/bindings/{id}", "Close it", lambda to, call: to.bindings.unbind(call), "Unbound",
        DEVICES, changes=True,
    ),
    Route(
        "GET", "discovery", "/v1/discovery", "The MCPs that a device may use", by(Admission.discovery),
        "Discovery", LIST_MCPS, uses=STREAM,
    ),
    Route("GET", "gateways", "/v1/gateways", "The ways to servers", To.gateways, "Gateways"),
    Route("GET", "policy", "/v1/policy", "The policy in force", To.policy, "Policy", OPERATOR),
    Route(
        "PUT", "put_policy", "/v1/policy", "Check a policy and put it in force", To.put_policy,
        "PolicyOutcome", OPERATOR, (parameters.DRY_RUN,), takes=str, uses=IF_MATCH, changes=True,
    ),
    Route(
        "GET", "policy_versions", "/v1/policy/versions", "Policies that were in force", To.policy_versions,
        "PolicyVersions",
    ),
    Route(
        "POST", "rollback", "/v1/policy/rollback", "Put an earlier policy in force again", To.rollback,
        "PolicyOutcome", OPERATOR, takes=Rollback, uses=IF_MATCH, changes=True,
    ),
    Route(
        "GET", "clock", "/v1/policy/clock", "The time that rules go by, and which windows are open",
        lambda to, call: to.clock.clock(call), "Clock",
    ),
    Route(
        "PUT", "put_clock", "/v1/policy/clock", "Put that clock off, until the controller starts again",
        lambda to, call: to.clock.put_clock(call), "Clock", OPERATOR, takes=ClockUpdate, uses=IF_MATCH, changes=True,
    ),
    Route(
        "GET", "subscribers", "/v1/subscribers", "Subscribers of the policy, by pseudonym", To.subscribers,
        "Subscribers",
    ),
    Route("GET", "limits", "/v1/limits", "Limits, their use, and what was refused", To.limits, "Limits"),
    Route(
        "GET", "sessions", "/v1/sessions", "M-sessions, a page at a time", To.sessions, "Sessions",
        parameters=(
            parameters.CURSOR, parameters.LIMIT, parameters.MCP, parameters.STATE, parameters.TOKEN,
            parameters.CLIENT,
        ),
    ),
    Route("GET", "session", "/v1/sessions/{id}", "One M-session and its subflows", To.session, "Session"),
    Route(
        "DELETE", "abort", "/v1/sessions/{id}", "Abort an M-session", To.abort, "Abort", OPERATOR,
        status=ACCEPTED, changes=True,
    ),
    Route(
        "POST", "report_mappings", "/v1/mcps/{name}/mappings", "An MCP reports who has which external address",
        lambda to, call: to.mappings.report(call), "MappingsKept", OWN_MCP, takes=MappingBatch, status=ACCEPTED,
        uses=Uses.LOOKUP, bound=True, changes=True,
    ),
    Route(
        "GET", "mappings", "/v1/mappings", "Who had an external address and port at a time",
        lambda to, call: to.mappings.find(call), "Mapping", OPERATOR,
        (parameters.IP, parameters.PORT, parameters.TIME), uses=Uses.LOOKUP, changes=True,
    ),
    Route(
        "GET", "reservations", "/v1/reservations", "What is reserved; a device sees its own", To.reservations,
        "Reservations", READERS | DEVICES,
    ),
    Route(
        "POST", "reserve", "/v1/reservations", "Ask for a rate or for subflows: granted, or offered less",
        To.reserve, "Reservation", DEVICES, takes=ReservationWish, status=CREATED, uses=Uses.STATE, changes=True,
    ),
    Route(
        "GET", "reservation", "/v1/reservations/{id}", "One reservation", To.reservation, "Reservation",
        READERS | DEVICES,
    ),
    Route(
        "PUT", "renew_reservation", "/v1/reservations/{id}", "Begin its lease anew", To.renew_reservation,
        "Reservation", DEVICES, takes=Renewal, uses=IF_MATCH | Uses.STATE, changes=True,
    ),
    Route(
        "DELETE", "release_reservation", "/v1/reservations/{id}", "Give it back", To.release_reservation,
        "Released", DEVICES, uses=Uses.STATE, changes=True,
    ),
    Route(
        "POST", "accept_reservation", "/v1/reservations/{id}/accept", "Accept less than was asked for",
        To.accept_reservation, "Reservation", DEVICES, uses=Uses.STATE, changes=True,
    ),
    Route(
        "GET", "decision", "/v1/decisions/{id}", "Why an MCP was chosen, or none", To.decision, "Decision"
    ),
    Route(
        "POST", "whatif", "/v1/whatif", "A decision on a connection that nobody opens", To.whatif, "WhatIf",
        takes=WhatIfQuestion,
    ),
    Route(
        "GET", "events", "/v1/events",
        "Server-Sent Events: session, subflow, refusal, topology, policy, access, drain, reservation", To.events, None,
        media_type=events.MEDIA_TYPE, uses=STREAM,
    ),
    Route("GET", "openapi", "/v1/openapi.json", "This description", To.openapi, None, EVERYONE),
    Route("GET", "metrics", "/metrics", "Prometheus metrics", To.metrics, None, media_type=TEXT_TYPE),
)  # fmt: skip
