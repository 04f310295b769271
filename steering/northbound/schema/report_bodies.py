"""What a relay reports of its sessions: POST /v1/mcps/{name}/sessions (docs/relay-reports.rst)."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from steering.northbound.http.body import Body
from steering.northbound.schema.bodies import LATEST, MAX_SEQUENCE, HostAddress

MOST_EVENTS = 250

Whole = Annotated[int, Field(ge=0, le=MAX_SEQUENCE)]
Number = Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]
Token = Annotated[str, Field(pattern="^[0-9a-f]{8}$")] | None
Time = Annotated[float, Field(ge=0, le=LATEST)]
End = tuple[HostAddress, Annotated[int, Field(ge=1, le=65_535)]]


class RelayState(StrEnum):
    """How well a relay is."""

    UP = "up"
    FULL = "full"  # one more is reset
    STARVED = "starved"  # no descriptor or memory for whoever waits
    STOPPING = "stopping"


class RelayEnd(StrEnum):
    """How a session ended."""

    ORDERLY = "orderly"
    RESET = "reset"
    DIAL_FAILED = "dial_failed"
    STOPPED = "stopped"
    REFUSED = "refused"


class BeganEvent(Body):
    """A session lives: its 4-tuple is that of the first subflow, the host's end is `client`."""

    event: Literal["began"]
    id: Number
    token: Token
    client: End
    server: End
    at: Time

    @model_validator(mode="after")
    def _of_one_family(self) -> "BeganEvent":
        if (":" in self.client[0]) != (":" in self.server[0]):
            raise ValueError("client and server are of two families")
        return self


class EndedEvent(Body):
    """A session lives no more."""

    event: Literal["ended"]
    id: Number
    token: Token
    how: RelayEnd
    at: Time


class SetPart(Body):
    """Which part of the whole set of live sessions this is."""

    part: Number
    last: bool


class RelayLoad(Body):
    """Load and health when the batch was sent; the counts are since the relay's start. `pace`: the relay reports again
    within so many seconds; null where it promises nothing."""

    health: RelayState
    load: Annotated[float, Field(ge=0, le=1)]
    sessions: Whole
    most_sessions: Whole
    accepted: Whole
    fallback: Whole
    dial_failed: Whole
    refused: Whole
    pace: Annotated[float, Field(ge=0.1, le=60)] | None = None


class SessionBatch(Body):
    """`whole` null: changes since the batch before. `sequence` is one more than that batch's."""

    version: Literal[1]
    generation: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    sequence: Number
    whole: SetPart | None
    live: Whole
    waiting: Whole
    events: Annotated[list[BeganEvent | EndedEvent], Field(max_length=MOST_EVENTS)]
    state: RelayLoad

    @model_validator(mode="after")
    def _whole_sets_only_begin(self) -> "SessionBatch":
        if self.whole is not None and any(isinstance(event, EndedEvent) for event in self.events):
            raise ValueError("a part of the whole set tells only of sessions that live")
        return self
