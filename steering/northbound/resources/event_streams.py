"""/v1/events and /v1/mcps/{name}/events: what changes, for operators and for one MCP."""

from http import HTTPStatus
from typing import Any

from steering.model.view import Pause
from steering.northbound.http import events
from steering.northbound.http.events import EventBody, EventHub, StreamEvent, TooManyStreams, Wants
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import Problem
from steering.northbound.resources import bindings, subflow_intents
from steering.northbound.resources.access_networks import told_of
from steering.northbound.resources.access_updates import AccessUpdates
from steering.northbound.resources.bindings import Bindings
from steering.northbound.resources.mcps import mcp_named
from steering.northbound.resources.subflow_intents import IntentPublisher
from steering.northbound.resources.watcher import Watcher, policy_told
from steering.northbound.schema.view import View

Json = dict[str, Any]


class EventStreams:
    """`heartbeat`: seconds of silence after which a stream is sent a comment."""

    def __init__(
        self,
        view: View,
        hub: EventHub,
        watcher: Watcher,
        updates: AccessUpdates,
        bindings: Bindings,
        intents: IntentPublisher,
        heartbeat: float,
        pause: Pause,
    ) -> None:
        self._pause = pause
        self._view = view
        self._hub = hub
        self._watcher = watcher
        self._updates = updates
        self._bindings = bindings
        self._intents = intents
        self._heartbeat = heartbeat

    def all(self, call: Call) -> RestReply:
        """All but intents and bindings: those name hosts, and are for their MCP alone (N-7.1)."""
        return self._stream(call, lambda event: event.kind not in (subflow_intents.KIND, bindings.KIND), [])

    def of_mcp(self, call: Call) -> RestReply:
        """Access networks' changes, this MCP's own drain, and what is wanted of its subflows; first, how things
        stand."""
        mcp = mcp_named(self._view, call.path["name"])
        name = mcp["name"]

        def wants(event: StreamEvent) -> bool:
            if event.kind == "drain":
                return bool(event.data["name"] == name)
            if event.kind in (subflow_intents.KIND, bindings.KIND):
                return subflow_intents.is_for(event, name) or bindings.is_for(event, name)
            return event.kind in ("access", "policy")

        first: list[tuple[str, Json]] = [("access", told_of(access)) for access in self._updates.all()]
        first.append(("drain", {"name": name, "draining": mcp.get("health") == "draining"}))
        first.append(("policy", policy_told(self._view)))
        first += self._bindings.standing(name)
        first += self._intents.standing(name)
        return self._stream(call, wants, first, hears_sessions=False)

    def _stream(
        self, call: Call, wants: Wants, first: list[tuple[str, Json]], hears_sessions: bool = True
    ) -> RestReply:
        try:
            stream = self._hub.open(wants, call.last_event, first, hears_sessions)
        except TooManyStreams:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{events.MAX_STREAMS} event streams are open, which is all there are",
                (("Retry-After", "5"),),
            ) from None
        self._watcher.look()
        return RestReply(EventBody(self._hub, stream, self._heartbeat, self._pause), events.MEDIA_TYPE)
