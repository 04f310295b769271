"""The schema of a controller's own events as it answers another controller. No client gets this answer, so OpenAPI leaves
it out."""

from steering.model.event_kind import EventKind
from steering.northbound.schema.shapes import FLAG, TEXT, WHOLE, Json, closed, listed, one_of

# The kinds that other controllers get. SUBFLOWS and BINDINGS are for one MCP (N-7.1); RESET and CONTROLLER are about one
# reader's stream.
SHARED: tuple[EventKind, ...] = tuple(
    kind
    for kind in EventKind
    if kind not in (EventKind.SUBFLOWS, EventKind.BINDINGS, EventKind.RESET, EventKind.CONTROLLER)
)

# Members of a cluster are upgraded one by one, and refuse fields that they do not know, except in `data`. So new fields go there.
EVENTS: dict[str, Json] = {
    "MemberEvents": closed(
        run=TEXT,
        begin=WHOLE,
        end=WHOLE,
        more=FLAG,
        events=listed(closed(number=WHOLE, kind=one_of(*SHARED), data={"type": "object"})),
    ),
}
