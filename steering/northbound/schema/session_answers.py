"""Schemas of sessions and their subflows, of decisions, and of aborts."""

from steering.model.policy import Insertion
from steering.model.session import SessionState
from steering.northbound.schema.shapes import (
    FLAG,
    NUMBER,
    TEXT,
    WHOLE,
    Json,
    closed,
    described,
    listed,
    maybe,
    one_of,
    reference,
)

_HEAD: dict[str, Json] = {
    "id": described(TEXT, "Of a cluster's: its controller, a colon, a number"),
    "state": one_of(*SessionState),
    "mcp": maybe(TEXT),
    "insertion": described(one_of(*Insertion), "proactive: led there by entries set ahead"),
    "token": described(maybe(TEXT), "8 hex digits (RFC 8684 section 3.2), null while unknown"),
    "version": described(maybe(WHOLE), "MPTCP version, 0 or 1"),
    "client": TEXT,
    "server": TEXT,
    "explicit": described(FLAG, "The host addressed its MCP itself: `server` is the MCP's address"),
    "age_s": NUMBER,
}

_RULING: dict[str, Json] = {
    "rule": described(maybe(TEXT), "The policy's rule, null for its own terms"),
    "subscriber": described(maybe(TEXT), "A pseudonym"),
}

_CHOICE: dict[str, Json] = {
    "policy_version": WHOLE,
    "outcome": TEXT,
    "winner": maybe(TEXT),
    "reason": TEXT,
    "natural_cost": maybe(NUMBER),
    "candidates": listed(reference("Candidate")),
}

SESSIONS: dict[str, Json] = {
    "SessionSummary": closed(**_HEAD, subflows=WHOLE),
    "Sessions": closed(
        sessions=listed(reference("SessionSummary")),
        total=WHOLE,
        next=described(maybe(TEXT), "The cursor of the next page"),
        incomplete=described(
            listed(TEXT),
            "Controllers of a cluster whose sessions are missing here; header Steering-Incomplete",
        ),
    ),
    "Subflow": closed(
        src=TEXT,
        sport=WHOLE,
        dst=TEXT,
        dport=WHOLE,
        kind=TEXT,
        access_network=maybe(TEXT),
        path=one_of("natural", "redirected"),
        switch=TEXT,
        entries=described({}, "The session entries that pin it"),
        address_id=maybe(WHOLE),
        backup=described(maybe(FLAG), "The host's own wish, in its join"),
        optional={
            "access_type": described(maybe(TEXT), "Of the access network, as it is now"),
            "wanted": described(
                one_of("active", "backup", "closed"), "What policy makes of it and its MCP was told"
            ),
            "share": described(WHOLE, "Of the session's traffic, among those that have one; 0: none"),
            "bytes": described(WHOLE, "Sent by the host, where quotas have them counted"),
        },
    ),
    "Session": closed(
        **_HEAD,
        subflows=listed(reference("Subflow")),
        decision=described(maybe(TEXT), "Id of the decision, null for a session read back from switches"),
        optional={
            "server_leg": listed(closed(switch=TEXT, cookie=TEXT)),
            "access_switch": maybe(TEXT),
        },
    ),
    "Candidate": closed(
        mcp=TEXT,
        filtered=described(maybe(TEXT), "Why it was not considered"),
        cost=maybe(NUMBER),
        stretch=described(maybe(NUMBER), "Path cost through the MCP over the natural path's"),
        terms=described({"type": "object", "additionalProperties": maybe(NUMBER)}, "location, type, load"),
        score=maybe(NUMBER),
        optional={
            "path": described(listed(TEXT), "Switches from the access through the MCP to the gateway"),
            "on_path": described(FLAG, "Whether it stands on the session's natural path"),
            "sessions": described(WHOLE, "What it carried at that moment"),
            "port": TEXT,
        },
    ),
    "Decision": closed(
        id=TEXT,
        time_s=described(NUMBER, "On the controller's own clock"),
        age_s=NUMBER,
        **_CHOICE,
        optional=_RULING,
    ),
    "WhatIf": closed(time_s=NUMBER, **_CHOICE, optional=_RULING),
    "Abort": closed(id=TEXT),
    "AbortReport": closed(
        id=TEXT,
        over=described(FLAG, "Nothing more will be done"),
        ends=listed(
            closed(
                end=described(TEXT, "`host` or `server`"),
                address=TEXT,
                port=WHOLE,
                outcome=described(
                    TEXT,
                    "`asked`: nothing was heard of it yet; `told`: a reset was sent; `closed`: it has no such "
                    "connection any more; `silent`: it never answered",
                ),
            )
        ),
    ),
}
