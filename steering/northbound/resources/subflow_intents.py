"""Intents about live subflows as events of kind `subflows` for MCPs, at most AT_ONCE intents in an event.

An intent says how an MCP shall use a subflow: backup, allowed or not, share. The events hold hosts' addresses and tokens, so
only the MCP that owns the sessions gets them.
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
    """`tell` is called with each `Prefer` that the engine puts out."""

    def __init__(self, view: View, hub: EventHub) -> None:
        self._view = view
        self._hub = hub

    def tell(self, prefer: Prefer) -> None:
        """Publish intents; never waits. Without streams nothing is published: a new stream begins with all intents."""
        if self._hub.streams:
            for data in self._batches(self._view.mcp_name(prefer.mcp), prefer.intents, False):
                self._hub.publish(KIND, data)

    def standing(self, mcp: str) -> list[tuple[str, Json]]:
        """All present intents for an MCP's subflows, as the first events of its stream. A subflow without an intent is used as
        its host wishes."""
        found = list(self._batches(mcp, self._view.intents(mcp), True))
        return [(KIND, data) for data in found or [self._event(mcp, [], True)]]

    def _batches(self, mcp: str, intents: Iterable[Intent], first: bool) -> Iterator[Json]:
        waiting = iter(intents)
        while batch := list(islice(waiting, AT_ONCE)):
            yield self._event(mcp, batch, first)
            first = False

    def _event(self, mcp: str, intents: list[Intent], first: bool) -> Json:
        """The data of one event. `all` true: a whole set of intents begins here, and earlier intents are void."""
        told = [_told(intent, self._view.session_id(intent.session)) for intent in intents]
        return {"mcp": mcp, "all": first, "subflows": told}


def is_for(event: StreamEvent, mcp: str) -> bool:
    """Whether an event holds intents for this MCP."""
    return event.kind == KIND and event.data["mcp"] == mcp


def _told(intent: Intent, session: str) -> Json:
    """An intent as JSON. `session`: the id by which REST names the session. `host` and `server` are source and destination
    of the host's segments."""
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
