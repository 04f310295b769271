"""Reservations (D-6.4g): what may be asked for, what is answered, and how one ends."""

from enum import StrEnum
from typing import NamedTuple

from steering.model.session import NO_FLOW, FlowKey


class Level(StrEnum):
    SUBSCRIBER = "subscriber"  # all that a subscriber's hosts send and get through one MCP
    SESSION = "session"  # one M-session, whatever its subflows
    SUBFLOW = "subflow"  # one subflow's rate, or how many later subflows a session may have


class Standing(StrEnum):
    OFFERED = "offered"  # less than was asked for: held for a moment, until it is accepted
    GRANTED = "granted"


class ReservationRefusal(StrEnum):
    """Why nothing could be reserved; each has a counter (`steering_reservations_refused_total{reason}`)."""

    TOO_MANY = "too-many"  # reservations, of all or of one subscriber
    NOT_YOURS = "not-yours"  # a device asked for somebody else
    NO_SUBSCRIBER = "no-such-subscriber"
    NO_SESSION = "no-such-session"
    NO_SUBFLOW = "no-such-subflow"
    NO_MCP = "no-such-mcp"
    DUPLICATE = "reserved-already"
    NO_PATH = "no-path"  # between access, MCP and gateway
    NO_CAPACITY = "no-capacity"
    NO_NUMBER = "no-path-number"  # a label has 255 of them for each waypoint
    NO_SUBFLOWS = "no-subflows"
    NOT_OFFERED = "not-offered"  # accepted what is no offer
    UNKNOWN = "unknown"  # no such reservation, or no more


class ReservationOutcome(StrEnum):
    """What became of reservations (`steering_reservations_total{outcome}`)."""

    GRANTED = "granted"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    RENEWED = "renewed"
    RELEASED = "released"
    EXPIRED = "expired"  # its lease
    LAPSED = "lapsed"  # an offer that nobody accepted
    LOST = "lost"  # the network changed, and no path has room for it
    OVER = "over"  # its session ended


class ReservationRequest(NamedTuple):
    """What is asked for. `rate` bits/s and `subflows` (MP_JOINs): 0 for none, at least one of them is not.

    `session` is an id, `flow` the key of a subflow (core.sessions.flow_key); `lease` seconds, 0 for the policy's
    own. `owner`: the one subscriber that the asker may ask for, None for anybody.
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
        """What two reservations may not both have."""
        return (self.level, self.subscriber, self.session, self.flow, self.mcp, bool(self.rate))
