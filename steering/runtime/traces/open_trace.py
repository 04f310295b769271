"""The trace of a session's set-up that has not ended: the facts known so far, and the root span."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Protocol

from steering.core.outputs import Release
from steering.core.snapshots import set_up
from steering.model.set_up import SetUpFacts, SetUpPart, SetUpSegment

LONGEST = 60.0  # seconds after which a trace ends in any case

Attributes = Mapping[str, str | int | bool | list[str]]


class SetUpSpan(Protocol):
    """The root span of one trace. Times are seconds of the monotonic clock."""

    def child(self, name: str, begun: float, ended: float, attributes: Attributes) -> None: ...
    def note(self, name: str, now: float) -> None: ...
    def add(self, attributes: Attributes) -> None: ...
    def link(self, other: Any) -> None:
        """Link this span to another trace. `other`: the context of that trace's root span."""

    def end(self, now: float, attributes: Attributes, is_failed: bool) -> None: ...
    @property
    def context(self) -> Any: ...


class OpenTrace:
    """A set-up under way."""

    __slots__ = (
        "began", "entries", "frame", "is_join", "is_mcps", "is_reverse", "key", "release", "session", "since", "source", "span", "switches", "token",
        "until", "was_answered",
    )  # fmt: skip

    def __init__(self, segment: SetUpSegment, span: SetUpSpan, now: float) -> None:
        self.key = segment.key
        self.frame = (
            segment.frame
        )  # the frame as it came in; a release with this same object is a natural one
        self.token = segment.token  # a join's token; NO_TOKEN for a first SYN
        self.is_join = segment.token >= 0
        self.is_mcps = segment.part is SetUpPart.MCP_JOIN  # an MCP's join: the controller saw only a copy
        self.source = set_up.ends_of(segment.key)[0]
        self.span = span
        self.began = self.since = now  # `since`: when the present phase began
        self.until = now + LONGEST  # where the SYN waits for an authoriser: when it is denied
        self.session = 0  # the session's number; 0 while nothing is decided
        self.release: Release | None = None  # set while the segment waits for other switches
        self.entries = 0
        self.switches: list[str] = []
        self.was_answered = False
        self.is_reverse = False  # whether a server opened the session


def ends(segment: SetUpSegment) -> Attributes:
    """Both ends of a flow as attributes of OpenTelemetry's semantic conventions. The client is the end that opens the
    flow."""
    source, destination, sport, dport = set_up.ends_of(segment.key)
    if segment.part is SetUpPart.MCP_JOIN:
        source, destination, sport, dport = destination, source, dport, sport
    return {
        "client.address": str(ip_address(source)), "client.port": sport,
        "server.address": str(ip_address(destination)), "server.port": dport,
        "network.transport": "tcp", "network.type": "ipv4" if len(source) == 4 else "ipv6",
    }  # fmt: skip


def decision(found: SetUpFacts) -> Attributes:
    """The decision about a set-up as attributes."""
    told: dict[str, str | int] = {
        "steering.mcp": found.mcp, "steering.rule": found.rule, "steering.decision.reason": found.reason,
        "steering.policy.version": found.policy_version, "steering.mptcp.version": found.version,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value != ""}
