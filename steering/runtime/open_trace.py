"""A trace of a set-up under way: what is known of it, and the root span that is told of its phases."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Protocol

from steering.core.outputs import Release
from steering.core.snapshots import set_up
from steering.model.set_up import SetUpFacts, SetUpPart, SetUpSegment

LONGEST = 60.0  # seconds until a trace ends, whatever became of its session

Attributes = Mapping[str, str | int | bool | list[str]]


class SetUpSpan(Protocol):
    """The root span of one trace. Times are seconds of the monotonic clock."""

    def child(self, name: str, begun: float, ended: float, attributes: Attributes) -> None: ...
    def note(self, name: str, now: float) -> None: ...
    def add(self, attributes: Attributes) -> None: ...
    def link(self, other: Any) -> None:
        """`other`: the context of another trace's root."""

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
        self.frame = segment.frame  # as it came in: by this object a natural release is known
        self.token = segment.token  # of a join; NO_TOKEN for a first SYN
        self.is_join = segment.token >= 0
        self.is_mcps = segment.part is SetUpPart.MCP_JOIN  # a copy of it came, and it went on by itself
        self.source = set_up.ends_of(segment.key)[0]
        self.span = span
        self.began = self.since = now  # `since`: when its present phase began
        self.until = now + LONGEST  # of a SYN that waits for an authoriser: when it is denied
        self.session = 0  # 0: nothing is decided yet
        self.release: Release | None = None  # it waits for other switches
        self.entries = 0
        self.switches: list[str] = []
        self.was_answered = False
        self.is_reverse = False  # a server opened it


def ends(segment: SetUpSegment) -> Attributes:
    """Both ends of a flow by OpenTelemetry's semantic conventions. The client is who opens it."""
    source, destination, sport, dport = set_up.ends_of(segment.key)
    if segment.part is SetUpPart.MCP_JOIN:
        source, destination, sport, dport = destination, source, dport, sport
    return {
        "client.address": str(ip_address(source)), "client.port": sport,
        "server.address": str(ip_address(destination)), "server.port": dport,
        "network.transport": "tcp", "network.type": "ipv4" if len(source) == 4 else "ipv6",
    }  # fmt: skip


def decision(found: SetUpFacts) -> Attributes:
    """What was decided of a set-up."""
    told: dict[str, str | int] = {
        "steering.mcp": found.mcp, "steering.rule": found.rule, "steering.decision.reason": found.reason,
        "steering.policy.version": found.policy_version, "steering.mptcp.version": found.version,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value != ""}
