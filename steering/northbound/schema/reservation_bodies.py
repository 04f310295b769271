"""The bodies of requests to /v1/reservations (D-6.4g)."""

from typing import Annotated

from pydantic import Field, model_validator

from steering.model.reservation import Level
from steering.northbound.http.body import Body
from steering.northbound.schema.bodies import IpAddress, Name

LEAST_RATE, MOST_RATE = 64_000, 10**12  # bit/s
MOST_SUBFLOWS = 1_024
MOST_LEASE = 604_800  # seconds
SESSION_ID = "^([A-Za-z0-9][A-Za-z0-9._-]{0,62}:)?[0-9]{1,18}$"
Port = Annotated[int, Field(ge=1, le=65_535)]
Lease = Annotated[float, Field(ge=1, le=MOST_LEASE)]


class Flow(Body):
    """A subflow, as its host sends it."""

    src: IpAddress
    sport: Port
    dst: IpAddress
    dport: Port


class ReservationWish(Body):
    """Level subscriber names `subscriber`, level session `session`; level subflow names `flow` for a rate, or
    `session` for so many later subflows (MP_JOINs). At least one of `rate_bps` and `subflows` is asked for. A session is
    named as /v1/sessions does: in a cluster with its controller, which is the one to ask."""

    level: Level
    subscriber: Name | None = None
    session: Annotated[str, Field(pattern=SESSION_ID)] | None = None
    flow: Flow | None = None
    mcp: Name | None = None
    rate_bps: Annotated[int, Field(ge=LEAST_RATE, le=MOST_RATE)] | None = None
    subflows: Annotated[int, Field(ge=1, le=MOST_SUBFLOWS)] | None = None
    lease_s: Lease | None = None

    @model_validator(mode="after")
    def _fits_its_level(self) -> "ReservationWish":
        if self.rate_bps is None and self.subflows is None:
            raise ValueError("rate_bps or subflows is wanted, or both")
        named = {name for name in ("subscriber", "session", "flow") if getattr(self, name) is not None}
        wanted = {"subscriber": {"subscriber"}, "session": {"session"}}.get(self.level.value)
        if wanted is None:
            wanted = {"flow"} if self.subflows is None else {"session"}
            if self.rate_bps is not None and self.subflows is not None:
                raise ValueError("at level subflow a rate is of one flow, and subflows are of a session")
        if named != wanted:
            raise ValueError(f"level {self.level} names {', '.join(wanted)} and nothing else")
        if self.mcp is not None and self.level is not Level.SUBSCRIBER:
            raise ValueError("only level subscriber names an MCP: a session has its own")
        return self


class Renewal(Body):
    """`lease_s` from now on; not given, as long as before."""

    lease_s: Lease | None = None
