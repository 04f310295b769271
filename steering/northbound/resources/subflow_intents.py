"""Intents about live subflows as MCPs hear them: events of kind `subflows`, some at a time.

They hold hosts' addresses and tokens, so only the MCP that owns the sessions hears them.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from itertools import islice
from typing import Any

from steering.core.outputs import Prefer
from steering.model.event_kind import EventKind
from steering.model.preference import Intent
from steering.northbound.http.events import EventHub, StreamEvent
from steering.northbound.schema.view import View

Json = dict[str, Any]

KIND = EventKind.SUBFLOWS
AT_ONCE = 100  # intents in one event


class IntentPublisher:
    """`tell` takes what the engine puts out."""

    def __init__(self, view: View, hub: EventHub) -> None:
        self._view = view
        self._hub = hub

    def tell(self, prefer: Prefer) -> None:
        """Publish; never waits. Nobody keeps what nobody hears: whoever comes gets all that is wanted then."""
        if self._hub.streams:
            for data in self._batches(self._view.mcp_name(prefer.mcp), prefer.intents, False):
                self._hub.publish(KIND, data)

    def standing(self, mcp: str) -> list[tuple[str, Json]]:
        """All that is wanted of an MCP's subflows now, as the first events of its stream; what is not in it is
        as hosts wish."""
        found = list(self._batches(mcp, self._view.intents(mcp), True))
        return [(KIND, data) for data in found or [self._event(mcp, [], True)]]

    def _batches(self, mcp: str, intents: Iterable[Intent], first: bool) -> Iterator[Json]:
        waiting = iter(intents)
        while batch := list(islice(waiting, AT_ONCE)):
            yield self._event(mcp, batch, first)
            first = False

    def _event(self, mcp: str, intents: list[Intent], first: bool) -> Json:
        """`all`: from here on begins the whole of what is wanted, and what was told before is over."""
        told = [_told(intent, self._view.session_id(intent.session)) for intent in intents]
        return {"mcp": mcp, "all": first, "subflows": told}


def is_for(event: StreamEvent, mcp: str) -> bool:
    """Whether an event tells intents for this MCP."""
    return event.kind == KIND and event.data["mcp"] == mcp


def _told(intent: Intent, session: str) -> Json:
    """`session`: the id by which REST names it. `host` and `server` are the ends as the host's segments name them."""
    return {
        "session": session,
        "token": f"{intent.token:08x}",
        "host": str(ip_address(intent.src)),
        "host_port": intent.sport,
        "server": str(ip_address(intent.dst)),
        "server_port": intent.dport,
        "access": intent.access or None,
        "type": intent.access_type,
        "backup": intent.wish.backup,
        "allowed": intent.wish.allowed,
        "share": intent.wish.share,
    }
