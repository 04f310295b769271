"""Reservations (D-6.4g): requests, refusals and outcomes."""

from enum import StrEnum
from typing import NamedTuple

from steering.model.session import NO_FLOW, FlowKey


class Level(StrEnum):
    """What a reservation is for."""

    SUBSCRIBER = "subscriber"  # all traffic of a subscriber's hosts through one MCP
    SESSION = "session"  # one M-session, whatever its subflows
    SUBFLOW = "subflow"  # one subflow's rate, or how many later subflows a session may have


class Standing(StrEnum):
    """The state of a reservation."""

    OFFERED = "offered"  # less than was asked for; the controller waits a short time for acceptance
    GRANTED = "granted"


class ReservationRefusal(StrEnum):
    """Why nothing was reserved. Each reason has a counter (`steering_reservations_refused_total{reason}`)."""

    TOO_MANY = "too-many"  # too many reservations exist, in all or for one subscriber
    NOT_YOURS = "not-yours"  # a device asked for another subscriber
    NO_SUBSCRIBER = "no-such-subscriber"
    NO_SESSION = "no-such-session"
    NO_SUBFLOW = "no-such-subflow"
    NO_MCP = "no-such-mcp"
    DUPLICATE = "reserved-already"
    NO_PATH = "no-path"  # there is no path between access, MCP and gateway
    NO_CAPACITY = "no-capacity"
    NO_NUMBER = "no-path-number"  # no path number is free: labels have 255 for each waypoint
    NO_SUBFLOWS = "no-subflows"  # the pool of reservable subflows is used up
    NOT_OFFERED = "not-offered"  # the reservation to accept is no offer
    UNKNOWN = "unknown"  # there is no such reservation, or it has ended


class ReservationOutcome(StrEnum):
    """What became of a reservation (`steering_reservations_total{outcome}`)."""

    GRANTED = "granted"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    RENEWED = "renewed"
    RELEASED = "released"
    EXPIRED = "expired"  # its lease ended
    LAPSED = "lapsed"  # an offer that nobody accepted
    LOST = "lost"  # the network changed, and no path has room for it
    OVER = "over"  # its session ended


class ReservationRequest(NamedTuple):
    """A request for a reservation. `rate`: bits/s. `subflows`: number of MP_JOINs. 0 stands for none, and at least one of
    both is not 0.

    `session`: a session's id. `flow`: the key of a subflow (core.sessions.flow_key). `lease`: seconds, 0 for the
    policy's default. `owner`: the only subscriber for which the requester may ask, None for any.
    """

    level: Level
    subscriber: str = ""
    session: int = 0
    flow: FlowKey = NO_FLOW
    mcp: str = ""
    rate: int = 0
    subflows: int = 0
    lease: float = 0.0
    owner: str | None = None

    @property
    def target(self) -> tuple[Level, str, int, FlowKey, str, bool]:
        """What is reserved. Two reservations may not have the same target."""
        return (self.level, self.subscriber, self.session, self.flow, self.mcp, bool(self.rate))


class Reserve(NamedTuple):
    """An input of the core: asks for a reservation (D-6.4g). `id`: the reservation's id, new and not guessable."""

    id: str
    wish: ReservationRequest


class AcceptReservation(NamedTuple):
    """An input of the core: an offer is accepted, and its lease begins."""

    id: str


class RenewReservation(NamedTuple):
    """An input of the core: a lease begins anew. `lease`: seconds, 0: as long as before."""

    id: str
    lease: float


class ReleaseReservation(NamedTuple):
    """An input of the core: a reservation is given back."""

    id: str
