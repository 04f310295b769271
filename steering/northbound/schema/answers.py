"""JSON Schemas (2020-12) of all answers, for OpenAPI: what `northbound.schema.view.View` answers, and the bodies of requests."""

from typing import Any

from steering.model.reservation import Level, Standing
from steering.model.supervision import AlarmKind, ThingKind
from steering.northbound.schema import bodies
from steering.northbound.schema.binding_bodies import BindingRenewal, BindingWish, MappingBatch
from steering.northbound.schema.drawing_answers import DRAWING
from steering.northbound.schema.report_bodies import SessionBatch
from steering.northbound.schema.reservation_bodies import Renewal, ReservationWish
from steering.northbound.schema.session_answers import SESSIONS
from steering.northbound.schema.shapes import (
    FLAG,
    NUMBER,
    TEXT,
    WHOLE,
    reference,
)
from steering.northbound.schema.shapes import (
    closed as _object,
)
from steering.northbound.schema.shapes import (
    described as _described,
)
from steering.northbound.schema.shapes import (
    listed as _list,
)
from steering.northbound.schema.shapes import (
    maybe as _maybe,
)
from steering.northbound.schema.shapes import (
    one_of as _one_of,
)

Json = dict[str, Any]

_PLACE: dict[str, Json] = {
    "line": _maybe(WHOLE),
    "column": _maybe(WHOLE),
    "code": _maybe(TEXT),
    "suggestion": _maybe(TEXT),
}

_POOLED: dict[str, Json] = {
    "allowed": _list(reference("NetworkAccessType")),
    "preferred": _list(reference("NetworkAccessType")),
    "sequence": _described(WHOLE, "Of the last update, 0 for none"),
}

_FULL: dict[str, Json] = {"kind": TEXT, "name": TEXT, "most": WHOLE, "source": TEXT}

_MCP: dict[str, Json] = {
    "name": TEXT,
    "id": WHOLE,
    "type": _one_of("on-path", "off-path"),
    "type_computed": _maybe(TEXT),
    "interception": _one_of("steered", "self"),
    "location": _described(_maybe(TEXT), "Where it stands, in the operator's word"),
    "access_networks": _described(_list(TEXT), "Those it can be reached from; none named: all"),
    "public_addresses": _list(TEXT),
    "addresses": _list(TEXT),
    "port": TEXT,
    "capacity_sessions": WHOLE,
    "sessions": WHOLE,
    "subflows": WHOLE,
    "reachable": FLAG,
}

_MCP_MORE: dict[str, Json] = {
    "health": _one_of("up", "draining", "down", "unknown"),
    "load": _described(NUMBER, "0 to 1, the greatest that others report"),
    "operator": TEXT,
    "slow_servers": _described(
        _list(_object(address=TEXT, until=_described(NUMBER, "Seconds since 1970"))),
        "Servers that MPTCP makes slow, as it told; of one MCP only, not in lists",
    ),
    "distribution": _described(TEXT, "The policy's scheme, where no rule says another (N-5.6.2a)"),
}

_MOVE = _maybe(_object(share=TEXT, taker=TEXT))
_DECLARED = _described({"type": "object"}, "As an item of the site file's `mcps`")
_KEPT = _described(
    FLAG, "Whether it is so too when the controller starts again; of the site file's MCPs the file decides"
)

SCHEMAS: dict[str, Json] = {
    "Health": _object(
        status=_one_of("ok", "recovering", "no-switch"),
        version=TEXT,
        uptime_s=NUMBER,
        switches=_object(connected=WHOLE, known=WHOLE),
        sessions=_described({"type": "object", "additionalProperties": WHOLE}, "How many, by state"),
        policy_version=WHOLE,
        missing=_described(WHOLE, "Of what the site expects; what it is stands in /v1/status"),
    ),
    "Status": _object(
        expected=_list(_object(kind=_one_of(*ThingKind), expected=WHOLE, seen=WHOLE)),
        missing=_described(
            _list(
                _object(
                    kind=_one_of(*ThingKind),
                    name=TEXT,
                    port=_maybe(TEXT),
                    never_seen=_described(FLAG, "Not since the controller started"),
                    missing_s=_described(NUMBER, "For so many seconds, or since the start"),
                )
            ),
            "What is so for longest first",
        ),
        unknown_switches=_described(
            _list(_object(name=TEXT, dpid=TEXT, connected=FLAG)), "Connected, and not named in the site file"
        ),
        alarms=_list(
            _object(
                alarm=_one_of(*AlarmKind),
                name=_described(TEXT, "Of what"),
                text=TEXT,
                raised_s=_described(NUMBER, "For so many seconds"),
            )
        ),
    ),
    "Topology": _object(
        switches=_list(_object(name=TEXT, dpid=_maybe(TEXT), connected=FLAG)),
        refused=_described(
            _list(_object(dpid=TEXT, reason=TEXT, times=WHOLE)),
            "Connections that gave a datapath id and may not speak for that switch",
        ),
        links=_list(_object(a=TEXT, b=TEXT, weight=NUMBER, up=FLAG)),
        attachments=_list(_object(name=TEXT, role=TEXT, port=TEXT, up=FLAG, waypoint=WHOLE)),
        hosts=_list(_object(address=TEXT, mac=TEXT, port=TEXT)),
    ),
    "Ports": _object(
        ports=_list(
            _object(
                switch=TEXT,
                port=_described(TEXT, "As a site file writes it"),
                name=_described(TEXT, "As the switch calls it"),
                up=FLAG,
                speed_kbit=_maybe(WHOLE),
                leads_to=_described(_maybe(TEXT), "By the site file or by discovery"),
            )
        ),
        total=WHOLE,
    ),
    "Link": _object(
        name=_described(TEXT, "Its two ends"),
        a=TEXT,
        b=TEXT,
        weight=_described(NUMBER, "What counts, or is about to"),
        own_weight=_described(NUMBER, "The site file's, or 1"),
        set_weight=_described(_maybe(NUMBER), "An operator's, in its place"),
        up=_described(FLAG, "In both directions"),
    ),
    "Links": _object(
        links=_list(reference("Link")),
        settled=_described(FLAG, "Whether all but kept flows go by these weights"),
        kept_flows=_described(WHOLE, "Of live sessions, on paths that earlier weights made"),
    ),
    "Clock": _object(
        time=_described(TEXT, "Day and local time, as mon 17:05"),
        minute=_described(WHOLE, "Of the week, Monday 0:00 is 0"),
        offset_s=_described(WHOLE, "How far it is ahead of the controller's own clock"),
        rules=_described(_list(_object(name=TEXT, open=FLAG)), "Rules with windows"),
    ),
    "Mcp": _object(**_MCP, optional=_MCP_MORE),
    "McpDeclared": _object(**_MCP, declared=_DECLARED, optional=_MCP_MORE),
    "McpRegistered": _object(name=TEXT, kept=_KEPT, declared=_DECLARED),
    "McpRemoved": _object(name=TEXT, kept=_KEPT, sessions=_described(WHOLE, "That lived there, and end")),
    "Mcps": _object(mcps=_list(reference("Mcp"))),
    **SESSIONS,
    "AccessNetwork": _object(
        name=TEXT,
        type=reference("NetworkAccessType"),
        trust=reference("Trust"),
        sequence=_described(WHOLE, "Of the last update, 0 for the site file's own word"),
        prefixes=_list(TEXT),
        ports=_list(TEXT),
        offloaded_to=_described(_maybe(TEXT), "Where its traffic goes by an offload in force"),
    ),
    "AccessNetworks": _object(access_networks=_list(reference("AccessNetwork"))),
    "Gateway": _object(
        name=TEXT, prefixes=_list(TEXT), ports=_list(TEXT), addresses=_list(TEXT), next_hops=_list(TEXT)
    ),
    "Gateways": _object(gateways=_list(reference("Gateway"))),
    "Subscriber": _object(
        **{"class": TEXT},
        id=_described(TEXT, "A pseudonym, the same for the same subscriber"),
        prefixes=_list(TEXT),
        quotas=_described({"type": "object", "additionalProperties": _maybe(WHOLE)}, "Its own limits"),
        access=_described(
            _object(**_POOLED),
            "The last update of which accesses it may combine; nothing named: as rules say",
        ),
    ),
    "Subscribers": _object(subscribers=_list(reference("Subscriber"))),
    "Limits": _object(
        controller=_list(_object(limit=TEXT, most=WHOLE, used=WHOLE)),
        quotas=_list(_object(limit=TEXT, source=TEXT, most=WHOLE)),
        use=_described(_list(_object(kind=TEXT, name=TEXT, sessions=WHOLE)), "The busiest, those first"),
        refusals=_described({"type": "object", "additionalProperties": WHOLE}, "How many, by reason"),
        full=_described(_list(_object(**_FULL, count=WHOLE)), "Limits that were reached, the last one last"),
        last_full=_maybe(_object(**_FULL)),
    ),
    "AclEntry": _object(
        name=TEXT,
        action=_one_of("allow", "deny"),
        source=_list(TEXT),
        access=_list(TEXT),
        destination=_list(TEXT),
        port=_list(TEXT),
    ),
    "Acl": _object(entries=_list(reference("AclEntry"))),
    "Registered": _object(
        id=_described(TEXT, "A pseudonym, the same for the same subscriber"),
        allowed=FLAG,
        addresses=_list(TEXT),
    ),
    "Registry": _object(subscribers=_list(reference("Registered"))),
    "Pseudonym": _object(id=_described(TEXT, "The same for the same subscriber")),
    "Struck": _object(id=TEXT),
    "Paired": _object(name=TEXT, addresses=_list(TEXT)),
    "Binding": _object(
        id=TEXT,
        device=TEXT,
        mcp=TEXT,
        ext_address=_described(
            _maybe(TEXT), "The MCP's address that is connected to; null while it is not there"
        ),
        ext_port=WHOLE,
        address=TEXT,
        int_port=WHOLE,
        lifetime_s=WHOLE,
        remaining_s=NUMBER,
        version=WHOLE,
    ),
    "Bindings": _object(bindings=_list(reference("Binding"))),
    "Unbound": _object(id=TEXT),
    "Pairings": _object(pairings=_list(reference("Paired"))),
    "Unpaired": _object(name=TEXT),
    "Discovery": _object(
        device=_described(TEXT, "Whom the credential belongs to"),
        paired=FLAG,
        lasts_s=_described(WHOLE, "When to ask again"),
        mcps=_described(
            _list(_object(name=TEXT, type=_one_of("on-path", "off-path"), addresses=_list(TEXT))),
            "The MCPs that can be used now, the least loaded first",
        ),
    ),
    "Reservation": _object(
        id=TEXT,
        level=_one_of(*Level),
        standing=_described(_one_of(*Standing), "An offer is held for a moment, until it is accepted"),
        subscriber=_described(_maybe(TEXT), "A pseudonym"),
        session=_maybe(TEXT),
        flow=_maybe(_object(src=TEXT, sport=WHOLE, dst=TEXT, dport=WHOLE)),
        mcp=TEXT,
        rate_bps=WHOLE,
        subflows=_described(WHOLE, "Later subflows (MP_JOINs)"),
        asked=_object(rate_bps=WHOLE, subflows=WHOLE),
        path_number=_described(_maybe(WHOLE), "In its labels, null where no rate is reserved"),
        paths=_list(
            _object(
                direction=_one_of("up", "down"),
                between=_one_of("host-mcp", "mcp-server"),
                switches=_list(TEXT),
            )
        ),
        version=WHOLE,
        remaining_s=_described(NUMBER, "Of its lease, or of the offer"),
    ),
    "Reservations": _object(reservations=_list(reference("Reservation"))),
    "MappingsKept": _object(name=TEXT, kept=_described(WHOLE, "0 where logging is off")),
    "SessionsTaken": _object(
        name=TEXT, sequence=WHOLE, pace=_described(NUMBER, "Seconds in which the relay is to report again")
    ),
    "Mapping": _object(
        mcp=TEXT,
        internal=TEXT,
        external=TEXT,
        first_port=WHOLE,
        last_port=WHOLE,
        begin=_described(NUMBER, "Seconds since 1970"),
        end=_described(_maybe(NUMBER), "null: it goes on"),
        subscriber=_described(_maybe(TEXT), "A pseudonym"),
        destination=_maybe(TEXT),
    ),
    "Released": _object(id=TEXT),
    "SubscriberAccess": _object(
        id=_described(TEXT, "A pseudonym"),
        **_POOLED,
    ),
    "Offload": _object(**{"from": TEXT, "to": _maybe(TEXT)}),
    "Cluster": _object(
        controller=_described(_maybe(TEXT), "This one; null: it is alone"),
        etcd=_described(_maybe(FLAG), "Whether it answers"),
        revision=_described(WHOLE, "Of etcd, up to which all is known"),
        members=_list(_object(name=TEXT, address=TEXT, capacity=WHOLE, draining=FLAG)),
        shares=_list(
            _object(
                name=TEXT, owner=TEXT, generation=WHOLE, standbys=_list(_object(name=TEXT, generation=WHOLE))
            )
        ),
        switches=_described(_list(_object(name=TEXT, role=TEXT)), "What this controller is to each"),
        events=_described({"type": "object", "additionalProperties": WHOLE}, "How often each happened"),
        peers=_described(
            _list(_object(name=TEXT, reached=FLAG, tokens=WHOLE, whole=FLAG, unread=WHOLE)),
            "Other owners of shares: whether each is heard, how many tokens it told, whether all, and bytes it has not taken",
        ),
        rebalance=_described(_MOVE, "What moves to level the load; empty between two moves. null: no order"),
        gave_up=_described(_MOVE, "What was not taken, which ended the last order early. null: it did not"),
        unheard=_described(
            _list(TEXT), "Members that live by etcd, and that this controller has not heard for long"
        ),
    ),
    "Rebalance": _object(
        dry_run=FLAG,
        moves=_described(
            _list(_object(share=TEXT, giver=TEXT, taker=TEXT)), "One after the other, in this order"
        ),
    ),
    "Drain": _object(name=TEXT, draining=FLAG, changed=_described(FLAG, "False: it was so before")),
    "Load": _object(name=TEXT, alive=FLAG, load=_maybe(NUMBER)),
    "Policy": _object(version=WHOLE, text=_described(TEXT, "YAML")),
    "Finding": _object(path=_maybe(TEXT), message=TEXT, optional=_PLACE),
    "PolicyOutcome": _object(version=WHOLE, dry_run=FLAG, findings=_list(reference("Finding"))),
    "PolicyVersion": {
        "type": "object",
        "properties": {"version": WHOLE, "time": _maybe(TEXT), "who": _maybe(TEXT)},
        "required": ["version"],
        "additionalProperties": _maybe({"type": ["string", "integer", "boolean"]}),
    },
    "PolicyVersions": _object(versions=_list(reference("PolicyVersion"))),
    "Problem": _object(
        type=TEXT,
        title=TEXT,
        status=WHOLE,
        detail=TEXT,
        optional={"errors": _described(_list(reference("Finding")), "What is wrong where in the body")},
    ),
    **DRAWING,
    **bodies.schemas(
        (*bodies.MODELS, BindingWish, BindingRenewal, ReservationWish, Renewal, MappingBatch, SessionBatch)
    ),
}
