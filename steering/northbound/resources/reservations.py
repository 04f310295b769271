"""/v1/reservations: ask for a reservation, accept an offer, renew, release (D-6.4g).

A token of role device belongs to one subscriber: the token's name is the subscriber's id. Such a token can reserve for that
subscriber alone, and gets only that subscriber's reservations.
"""

import secrets
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address
from typing import Any, cast

from steering.core.inputs import AcceptReservation, Input, ReleaseReservation, RenewReservation, Reserve
from steering.model.control import Control
from steering.model.identity import Role
from steering.model.reservation import ReservationRefusal, ReservationRequest
from steering.model.session import NO_FLOW, FlowKey
from steering.northbound.http.conditional import require_match, tag_of
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import Problem, not_found, shown
from steering.northbound.schema.reservation_bodies import Flow, Renewal, ReservationWish
from steering.northbound.schema.view import View

Json = dict[str, Any]

CREATED = int(HTTPStatus.CREATED)
ID_BYTES = 8

WHY = {
    ReservationRefusal.TOO_MANY: "there are as many reservations as may be",
    ReservationRefusal.NOT_YOURS: "a device reserves for its own subscriber alone",
    ReservationRefusal.NO_SUBSCRIBER: "the policy has no such subscriber",
    ReservationRefusal.NO_SESSION: "there is no such session, or no more",
    ReservationRefusal.NO_SUBFLOW: "no session has such a subflow",
    ReservationRefusal.NO_MCP: "the site has no such MCP, or the subscriber has no session that tells which one",
    ReservationRefusal.DUPLICATE: "this is reserved already: renew that, or release it first",
    ReservationRefusal.NO_PATH: "no path leads from the access network by the MCP to the server",
    ReservationRefusal.NO_CAPACITY: "the links on every such path have too little left to offer anything",
    ReservationRefusal.NO_NUMBER: "the labels of these waypoints have no path number left",
    ReservationRefusal.NO_SUBFLOWS: "no subflow is left to reserve",
    ReservationRefusal.NOT_OFFERED: "only an offer can be accepted, only what is granted renewed",
    ReservationRefusal.UNKNOWN: "there is no such reservation, or no more",
}


class ReservationsResource:
    """`pseudonym`: a subscriber's own name -> its pseudonym, which is shown."""

    def __init__(self, view: View, control: Control, pseudonym: Callable[[str], str]) -> None:
        self._view = view
        self._control = control
        self._pseudonym = pseudonym

    def listed(self, call: Call) -> RestReply:
        mine = _own(call)
        found = [one for one in self._view.reservations() if mine is None or one["subscriber"] == mine]
        return RestReply({"reservations": [self._shown(one) for one in found]})

    def one(self, call: Call) -> RestReply:
        return self._reply(self._found(call))

    def reserve(self, call: Call) -> RestReply:
        asked = cast(ReservationWish, call.body)
        wish = ReservationRequest(
            asked.level,
            self._own_id(asked.subscriber or ""),
            self._view.session_number(asked.session or ""),
            _key(asked.flow) if asked.flow is not None else NO_FLOW,
            asked.mcp or "",
            asked.rate_bps or 0,
            asked.subflows or 0,
            asked.lease_s or 0.0,
            _own(call),
        )
        name = secrets.token_hex(ID_BYTES)
        self._do(Reserve(name, wish), name)
        return self._reply(self._view.reservation(name), CREATED)

    def _own_id(self, subscriber: str) -> str:
        """The policy's id of a subscriber that a request names by that id or by its pseudonym."""
        known = [one["id"] for one in self._view.subscribers()] if subscriber else []
        if subscriber in known:
            return subscriber
        return next((name for name in known if self._pseudonym(name) == subscriber), subscriber)

    def accept(self, call: Call) -> RestReply:
        name = self._found(call)["id"]
        self._do(AcceptReservation(name), name)
        return self._reply(self._view.reservation(name))

    def renew(self, call: Call) -> RestReply:
        if call.if_match is None:
            require_match(None, "")
        before = self._found(call)
        require_match(call.if_match, _tag(before))
        name = before["id"]
        self._do(RenewReservation(name, cast(Renewal, call.body).lease_s or 0.0), name)
        return self._reply(self._view.reservation(name))

    def release(self, call: Call) -> RestReply:
        name = self._found(call)["id"]
        self._do(ReleaseReservation(name), name)
        return RestReply({"id": name})

    def _found(self, call: Call) -> Json:
        """The reservation that the path names. Raises Problem 404, also for another subscriber's reservation."""
        wanted, mine = call.path["id"], _own(call)
        found = self._view.reservation(wanted)
        if found is None or (mine is not None and found["subscriber"] != mine):
            raise not_found(f"no reservation {shown(wanted)}")
        return found

    def _do(self, given: Input, name: str) -> None:
        """Give the engine an input about reservation `name`. Raises Problem 409 with the engine's reason where it refuses, 403
        where the reservation is another subscriber's."""
        self._control.take(given)
        denied = self._view.denied(name)
        if denied is None:
            return
        reason = ReservationRefusal(denied)
        status = HTTPStatus.FORBIDDEN if reason is ReservationRefusal.NOT_YOURS else HTTPStatus.CONFLICT
        errors = [{"path": "$", "message": WHY[reason], "code": reason.value}]
        raise Problem(status, f"{reason.value}: {WHY[reason]}", errors=errors)

    def _reply(self, found: Json | None, status: int = int(HTTPStatus.OK)) -> RestReply:
        if found is None:
            raise not_found("the reservation is over already")
        return RestReply(self._shown(found), status=status, tag=_tag(found))

    def _shown(self, found: Json) -> Json:
        who = found["subscriber"]
        return {**found, "subscriber": None if who is None else self._pseudonym(who)}


def _own(call: Call) -> str | None:
    """The subscriber of a token of role device; None for roles that may act for every subscriber."""
    return call.who.name if call.who.role is Role.DEVICE else None


def _tag(found: Json) -> str:
    return tag_of([found["id"], found["version"]])


def _key(flow: Flow) -> FlowKey:
    # pydantic has made addresses of both texts.
    src, dst = cast(IPv4Address | IPv6Address, flow.src), cast(IPv4Address | IPv6Address, flow.dst)
    return FlowKey(src.packed + dst.packed + flow.sport.to_bytes(2, "big") + flow.dport.to_bytes(2, "big"))
