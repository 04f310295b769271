"""What the northbound may ask a running controller to do."""

from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from steering.model.snapshot import DecisionSnapshot

Json = dict[str, Any]


class PolicyText(NamedTuple):
    """The policy in force: its version and the text it was read from, YAML."""

    version: int
    text: str


class PolicyOutcome(NamedTuple):
    """What became of a policy somebody asked for. `version` is the one in force afterwards; `findings`:
    [{"path", "line", "column", "code", "message", "suggestion"}], of which only "message" must be there."""

    version: int
    findings: list[Json]
    accepted: bool


class WhatIf(NamedTuple):
    """A connection that nobody opens. Addresses packed, 4 or 16 bytes, both of one family."""

    source: bytes
    destination: bytes
    port: int
    access: str | None  # None: the access network that has the source's prefix
    mptcp_version: int
    source_port: int = 49_152


class McpAnswer(StrEnum):
    """What became of an MCP that somebody registered, changed or took out."""

    DONE = "done"
    WRONG = "wrong"  # it has findings
    TAKEN = "taken"  # there is one of that name
    UNKNOWN = "unknown"  # there is none
    IN_USE = "in-use"  # sessions live there


class McpOutcome(NamedTuple):
    """`findings` as of policies, "path" being a field of the MCP; `kept`: whether a controller that starts again
    has it so; `sessions`: how many live there."""

    answer: McpAnswer
    name: str
    findings: list[Json]
    kept: bool
    sessions: int


class Control(Protocol):
    """The writes. None of them waits: what is given takes effect at the engine's next turn."""

    def give(self, given: Any) -> None:
        """Feed the engine an input (steering.core.inputs.Input)."""

    def take(self, given: Any) -> None:
        """The same, and it has been handled when this comes back."""

    def policy(self) -> PolicyText:
        """The policy in force."""

    def replace_policy(self, text: str, who: str, dry_run: bool) -> PolicyOutcome:
        """Check `text` and, unless `dry_run` or found wanting, put it in force. `who`: a token's id."""

    def policy_versions(self) -> list[Json]:
        """Newest last: [{"version", "time": RFC 3339, "who", "digest", ...}]."""

    def rollback_policy(self, version: int, who: str) -> PolicyOutcome | None:
        """Put an earlier version in force again, as a new version. None: there is no such version."""

    def clock_offset(self) -> int:
        """Seconds that the clock of rules with windows is ahead of the machine's (D-3.2c)."""

    def set_clock_offset(self, seconds: int) -> None:
        """Another offset; rules go by it when this comes back."""

    def mcp(self, name: str) -> Json | None:
        """An MCP in the site file's shape; None for one that is not there."""

    def put_mcp(self, text: str, name: str | None) -> McpOutcome:
        """Register an MCP (YAML, in the site file's shape), or with `name` change that one."""

    def remove_mcp(self, name: str, force: bool) -> McpOutcome:
        """Take an MCP out; `force` ends the sessions that live there."""

    def whatif(self, question: WhatIf) -> DecisionSnapshot:
        """The decision on a connection without installing anything.

        Raises KeyError for an access network that is not known, or a source that is in none."""
