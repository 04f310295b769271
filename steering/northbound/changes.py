"""What the routes do that change something, and the streams of events."""

from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address
from threading import Lock
from typing import Any, cast

from steering.core.inputs import AbortSession, AccessChanged, McpAdmin, McpReport, Offload, SubscriberAccess
from steering.model.control import Control, PolicyOutcome, WhatIf
from steering.model.mapping import Mappings
from steering.northbound import bindings as bindings_
from steering.northbound import events, preferences
from steering.northbound.admission import Admission
from steering.northbound.bindings import Bindings
from steering.northbound.bodies import (
    AccessUpdate,
    LoadReport,
    OffloadOrder,
    Rollback,
    SubscriberUpdate,
    WhatIfQuestion,
    unprocessable,
)
from steering.northbound.clock import Clock
from steering.northbound.conditional import require_match, tag_of
from steering.northbound.events import Event, EventBody, EventHub, TooManyStreams, Wants
from steering.northbound.exchange import Call, Reply
from steering.northbound.links import Links
from steering.northbound.lists import Lists
from steering.northbound.mappings import MappingLog
from steering.northbound.orders import Orders, pooling_of
from steering.northbound.preferences import Preferences
from steering.northbound.problems import Problem, conflict, not_found, shown
from steering.northbound.registering import Registering
from steering.northbound.resources import Resources
from steering.northbound.watching import Watcher, policy_told

Json = dict[str, Any]

ACCEPTED = int(HTTPStatus.ACCEPTED)
FINDING = ("path", "line", "column", "code", "message", "suggestion")


class Changes(Resources):
    """All routes; `control` does, `hub` tells."""

    def __init__(
        self,
        control: Control,
        hub: EventHub,
        watcher: Watcher,
        preferences: Preferences,
        heartbeat: float,
        lists: Lists,
        bindings: Bindings,
        mappings: Mappings,
        links: Links,
        orders: Orders,
        *reading: Any,
    ) -> None:
        super().__init__(*reading)
        self.links = links
        self._orders = orders
        self.clock = Clock(self._view, control)
        self._preferences = preferences
        self.admission = Admission(self._view, self._accesses, lists, self._pseudonym)
        self.bindings = bindings
        self.mappings = MappingLog(self._view, mappings, self._pseudonyms)
        self._control = control
        self._hub = hub
        self._watcher = watcher
        self._heartbeat = heartbeat
        # Checking a policy or a site may take a while, in which others are served: one after the other, or two
        # would pass the same If-Match.
        self._one_policy = Lock()
        self.registering = Registering(control, self._one_policy, orders)

    # ---- MCPs ----------------------------------------------------------------------------------

    def mcp(self, call: Call) -> Reply:
        return self.registering.shown(cast(Json, super().mcp(call).body))

    def drain(self, call: Call) -> Reply:
        return self._admin(call, True)

    def undrain(self, call: Call) -> Reply:
        return self._admin(call, False)

    def _admin(self, call: Call, draining: bool) -> Reply:
        mcp = self._mcp(call)
        self._orders.drain(mcp["name"], draining)
        self._control.give(McpAdmin(mcp["id"], draining))
        told = {"name": mcp["name"], "draining": draining}
        self._hub.publish("drain", told)
        return Reply(told, status=ACCEPTED)

    def load(self, call: Call) -> Reply:
        mcp, report = self._mcp(call), cast(LoadReport, call.body)
        if report.slow_servers is not None:
            self._slow.told(mcp["name"], {one.address: one.until for one in report.slow_servers})
        if report.model_fields_set != {"slow_servers"}:
            self._control.give(McpReport(mcp["id"], report.alive, report.load))
        return Reply({"name": mcp["name"], "alive": report.alive, "load": report.load}, status=ACCEPTED)

    def mcp_events(self, call: Call) -> Reply:
        """Access networks' changes, this MCP's own drain, and what is wanted of its subflows; first, how things
        stand."""
        mcp = self._mcp(call)
        name = mcp["name"]

        def wants(event: Event) -> bool:
            if event.kind == "drain":
                return bool(event.data["name"] == name)
            if event.kind in (preferences.KIND, bindings_.KIND):
                return preferences.is_for(event, name) or bindings_.is_for(event, name)
            return event.kind in ("access", "policy")

        first: list[tuple[str, Json]] = [("access", _told(access)) for access in self._accesses.all()]
        first.append(("drain", {"name": name, "draining": mcp.get("health") == "draining"}))
        first.append(("policy", policy_told(self._view)))
        first += self.bindings.standing(name)
        first += self._preferences.standing(name)
        return self._stream(call, wants, first)

    # ---- access networks -----------------------------------------------------------------------

    def put_access_network(self, call: Call) -> Reply:
        update = cast(AccessUpdate, call.body)
        before = self._access(call)
        require_match(call.if_match, tag_of(before))
        name = before["name"]
        if not self._accesses.accept(name, update.type, update.trust, update.sequence):
            raise conflict(f"update {update.sequence} of {name} is stale: {before['sequence']} is in force")
        self._orders.access(name, update)
        self._control.give(AccessChanged(name, update.type, update.trust))
        after = self._access(call)
        self._hub.publish("access", _told(after))
        return Reply(after, tag=tag_of(after))

    def put_subscriber_access(self, call: Call) -> Reply:
        """By the pseudonym, so that no log has a subscriber's own name (N-7.1)."""
        update, wanted = cast(SubscriberUpdate, call.body), call.path["id"]
        known = (one["id"] for one in self._view.subscribers())
        subscriber = next((name for name in known if self._pseudonym(name) == wanted), None)
        if subscriber is None:
            raise not_found(f"no subscriber {shown(wanted)}")
        for kind in update.preferred:
            if update.allowed and kind not in update.allowed:
                raise _wrong("preferred", f"{kind} is preferred and not allowed")
        last = self._accesses.accept_subscriber(subscriber, update)
        if last is not None:
            raise conflict(f"update {update.sequence} of this subscriber is stale: {last} is in force")
        self._orders.subscriber(wanted, update)
        self._control.give(SubscriberAccess(subscriber, pooling_of(update)))
        return Reply({"id": wanted} | self._accesses.of_subscriber(subscriber))

    def offload(self, call: Call) -> Reply:
        """Move an access network's traffic to another, or back (D-1.u2)."""
        order = cast(OffloadOrder, call.body)
        for key, name in (("from", order.source), ("to", order.target)):
            if name is not None and self._accesses.one(name) is None:
                raise _wrong(key, f"no access network {shown(name)}")
        if order.source == order.target:
            raise _wrong("to", "another access network is wanted")
        self._orders.offload(order.source, order.target)
        self._control.give(Offload(order.source, order.target))
        return Reply({"from": order.source, "to": order.target}, status=ACCEPTED)

    # ---- policy --------------------------------------------------------------------------------

    def policy(self, _: Call) -> Reply:
        body = self._policy()
        return Reply(body, tag=tag_of(body))

    def put_policy(self, call: Call) -> Reply:
        dry_run = call.query["dry_run"]
        with self._one_policy:
            if not dry_run or call.if_match is not None:
                require_match(call.if_match, tag_of(self._policy()))
            outcome = self._control.replace_policy(cast(str, call.body), call.who.id, dry_run)
        return self._outcome(outcome, dry_run)

    def policy_versions(self, _: Call) -> Reply:
        return Reply({"versions": self._control.policy_versions()})

    def rollback(self, call: Call) -> Reply:
        version = cast(Rollback, call.body).version
        with self._one_policy:
            require_match(call.if_match, tag_of(self._policy()))
            outcome = self._control.rollback_policy(version, call.who.id)
        if outcome is None:
            raise not_found(f"no version {version} of the policy is kept")
        return self._outcome(outcome, False)

    def _policy(self) -> Json:
        return self._control.policy()._asdict()

    def _outcome(self, outcome: PolicyOutcome, dry_run: bool) -> Reply:
        findings = [{name: one.get(name) for name in FINDING} for one in outcome.findings]
        if not outcome.accepted:
            raise unprocessable(findings, "the policy has findings; the one in force stays")
        body = {"version": outcome.version, "dry_run": dry_run, "findings": findings}
        return Reply(body, tag=None if dry_run else tag_of(self._policy()))

    # ---- sessions ------------------------------------------------------------------------------

    def abort(self, call: Call) -> Reply:
        wanted = call.path["id"]
        self.session(call)  # 404 where there is none
        if not (wanted.isascii() and wanted.isdecimal()):
            raise not_found(f"no session {shown(wanted)}")
        self._control.give(AbortSession(int(wanted)))
        return Reply({"id": wanted}, status=ACCEPTED)

    def whatif(self, call: Call) -> Reply:
        asked = cast(WhatIfQuestion, call.body)
        # pydantic has made addresses of both texts.
        source = cast(IPv4Address | IPv6Address, asked.source)
        destination = cast(IPv4Address | IPv6Address, asked.destination)
        if source.version != destination.version:
            raise _wrong("destination", "source and destination are of one address family")
        question = WhatIf(
            source.packed,
            destination.packed,
            asked.port,
            asked.access,
            asked.mptcp_version,
            asked.source_port,
        )
        try:
            found = self._control.whatif(question)
        except KeyError:
            if asked.access is None:
                raise _wrong("source", "no access network has this address's prefix") from None
            raise _wrong("access", "no such access network; /v1/access-networks lists them") from None
        return Reply(self._discreet(found))

    # ---- events --------------------------------------------------------------------------------

    def events(self, call: Call) -> Reply:
        """All but intents and bindings: those name hosts, and are for their MCP alone (N-7.1)."""
        return self._stream(call, lambda event: event.kind not in (preferences.KIND, bindings_.KIND), [])

    def _stream(self, call: Call, wants: Wants, first: list[tuple[str, Json]]) -> Reply:
        try:
            stream = self._hub.open(wants, call.last_event, first)
        except TooManyStreams:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{events.MAX_STREAMS} event streams are open, which is all there are",
                (("Retry-After", "5"),),
            ) from None
        self._watcher.look()
        return Reply(EventBody(self._hub, stream, self._heartbeat), events.MEDIA_TYPE)


def _told(access: Json) -> Json:
    """An access network as events tell it: what an MCP needs to know a subflow's by its address."""
    return {name: access[name] for name in ("name", "type", "trust", "sequence", "prefixes")}


def _wrong(path: str, message: str) -> Problem:
    return unprocessable([{"path": path, "message": message}], message)
