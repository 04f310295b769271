"""/v1/events: the event stream for operators. /v1/mcps/{name}/events: the event stream for one MCP."""

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from steering.model.period_begin import PeriodBegin
from steering.model.view import Pause
from steering.northbound.http import events
from steering.northbound.http.events import (
    EventBody,
    EventFilter,
    EventHub,
    Stream,
    StreamEvent,
    TooManyStreams,
    share_of,
)
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import Problem, bad_request, not_found
from steering.northbound.resources import bindings, subflow_intents
from steering.northbound.resources.access_networks import told_of
from steering.northbound.resources.access_updates import AccessUpdates
from steering.northbound.resources.bindings import Bindings
from steering.northbound.resources.mcps import mcp_named
from steering.northbound.resources.subflow_intents import IntentPublisher
from steering.northbound.resources.watcher import Watcher, policy_told
from steering.northbound.schema.view import View

if TYPE_CHECKING:
    from steering.northbound.resources.member_events import MemberEvents

Json = dict[str, Any]


class EventStreams:
    """`heartbeat`: seconds of silence after which a stream is sent a comment. `members`: the events of a cluster's other
    controllers, None for a controller alone."""

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
        members: "MemberEvents | None" = None,
    ) -> None:
        self._members = members
        self._pause = pause
        self._view = view
        self._hub = hub
        self._watcher = watcher
        self._updates = updates
        self._bindings = bindings
        self._intents = intents
        self._heartbeat = heartbeat

    def all(self, call: Call) -> RestReply:
        """All events but intents and bindings, which name hosts and are for their MCP alone (N-7.1). In a cluster a client gets
        the events of all controllers; another controller gets a page of this controller's own."""
        members = self._members
        if members is not None:
            return members.page(call) if call.asked_by else self._sent(lambda: members.open(call))
        if call.asked_by:
            raise not_found("this controller tells others nothing")
        if call.query["controller"] is not None:
            raise bad_request("this is no cluster whose controllers can be asked one by one")

        def wants(event: StreamEvent) -> bool:
            return event.kind not in (subflow_intents.KIND, bindings.KIND)

        return self._stream(call, wants, [], since=call.query["since"])

    def of_mcp(self, call: Call) -> RestReply:
        """Changes of access networks and of the policy, this MCP's drain, bindings, and intents for its subflows. The present
        state comes first."""
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
        self,
        call: Call,
        wants: EventFilter,
        first: list[tuple[str, Json]],
        hears_sessions: bool = True,
        since: PeriodBegin | None = None,
    ) -> RestReply:
        def opened() -> Stream:
            try:
                stream = self._hub.open(
                    wants, call.last_event, first, hears_sessions, since, share_of(call.who)
                )
            except ValueError as error:
                raise bad_request(f"since: {error}") from None
            self._watcher.look()
            return stream

        return self._sent(opened)

    def _sent(self, opened: Callable[[], Stream]) -> RestReply:
        try:
            stream = opened()
        except TooManyStreams as full:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(full), (("Retry-After", "5"),)) from None
        return RestReply(EventBody(self._hub, stream, self._heartbeat, self._pause), events.MEDIA_TYPE)
