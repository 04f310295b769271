"""What a controller answers another one about its own events. No client is answered so: OpenAPI does not name it."""

from steering.model.event_kind import EventKind
from steering.northbound.schema.shapes import FLAG, TEXT, WHOLE, Json, closed, listed, one_of

# Of the whole controller. The others are for one MCP (N-7.1), or for the one reader that has missed something.
SHARED: tuple[EventKind, ...] = tuple(
    kind
    for kind in EventKind
    if kind not in (EventKind.SUBFLOWS, EventKind.BINDINGS, EventKind.RESET, EventKind.CONTROLLER)
)

# Members of a cluster are upgraded one by one, and refuse fields that they do not know, except in `data`: what is new goes there.
EVENTS: dict[str, Json] = {
    "MemberEvents": closed(
        run=TEXT,
        begin=WHOLE,
        end=WHOLE,
        more=FLAG,
        events=listed(closed(number=WHOLE, kind=one_of(*SHARED), data={"type": "object"})),
    ),
}
