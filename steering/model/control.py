"""The changes that the northbound can make in a running controller."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from steering.model.policy import Policy
from steering.model.session_snapshot import DecisionSnapshot

Json = dict[str, Any]


Condition = Callable[[], None]
"""Called just before a change is made. It raises an exception of its own in order to prevent the change."""


def no_condition() -> None:
    """Never prevents a change."""


class PolicyText(NamedTuple):
    """A policy that is or was in force: its version, and the YAML text from which it was read."""

    version: int
    text: str


class PolicyOutcome(NamedTuple):
    """The result of a request for another policy. `version`: the version in force afterwards. `findings`: [{"path",
    "line", "column", "code", "message", "suggestion"}], of which only "message" is always there."""

    version: int
    findings: list[Json]
    accepted: bool


class PolicyWish(NamedTuple):
    """A policy that this controller has checked, and that is to come into force. `check_seconds`: how long the check
    took. `who`: the id of the writer's token."""

    policy: Policy
    text: str
    who: str
    comment: str
    check_seconds: float


class PolicyDisagreement(Exception):
    """A policy on which the controllers of the cell did not agree: it comes into force at none. The message is one line.

    `refused`: the controllers that refuse the policy, with their reasons. If it is empty, the policy may be tried again.
    """

    def __init__(self, message: str, refused: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.refused = refused or {}


class PolicyConsensus(Protocol):
    """The agreement of several controllers on one policy: a policy comes into force at all of them, or at none."""

    def put(self, wish: PolicyWish, unchanged: Condition) -> int:
        """Put a policy in force. Returns its version as soon as it is in force at this controller.

        `unchanged` is called when no other controller can put a policy in force any more. Raises PolicyDisagreement, what
        `unchanged` raises, and StateError.
        """


class PolicyTaker(Protocol):
    """A controller that obeys the policy on which the controllers of its cell have agreed."""

    def policy(self) -> PolicyText:
        """The policy in force here."""

    def check_policy(self, text: str) -> tuple[Policy | None, str]:
        """The policy in `text`, or None and one line that says why this controller's site does not allow it."""

    def activate(self, policy: Policy, version: int, text: str) -> None:
        """The policy is in force from now on."""


class WhatIf(NamedTuple):
    """A hypothetical connection, whose decision is asked for. Both addresses have 4 bytes, or both have 16."""

    source: bytes
    destination: bytes
    port: int
    access: str | None  # None: the access network whose prefix holds the source
    mptcp_version: int
    source_port: int = 49_152


class McpAnswer(StrEnum):
    """The result of a request to register, change or remove an MCP."""

    DONE = "done"
    WRONG = "wrong"  # the description has findings
    TAKEN = "taken"  # there is another MCP of that name
    UNKNOWN = "unknown"  # there is no MCP of that name
    IN_USE = "in-use"  # sessions use it


class McpOutcome(NamedTuple):
    """The result of a request about the MCP `name`. `findings`: as in PolicyOutcome, where "path" is a field of the MCP.
    `kept`: whether the change outlives a restart of the controller. `sessions`: how many sessions use the MCP."""

    answer: McpAnswer
    name: str
    findings: list[Json]
    kept: bool
    sessions: int


class Control(Protocol):
    """The changes that REST can make. Unless a method says otherwise, a call returns before the engine has handled the
    change."""

    def give(self, given: Any) -> None:
        """Feed the engine an input (steering.core.inputs.Input)."""

    def take(self, given: Any) -> None:
        """Feed the engine an input, and return when it has been handled."""

    def policy(self) -> PolicyText:
        """The policy in force."""

    def replace_policy(
        self, text: str, who: str, dry_run: bool, unchanged: Condition = no_condition
    ) -> PolicyOutcome:
        """Check `text` and put it in force, unless `dry_run` is set or there are errors. `who`: the id of a token.
        `unchanged` is called after the check, because another policy may have come into force during the check."""

    def policy_versions(self) -> list[Json]:
        """All versions, the newest last: [{"version", "time": RFC 3339, "who", "digest", ...}]."""

    def policy_version(self, version: int) -> PolicyText | None:
        """An earlier or the current version with its text. None where it is not kept."""

    def rollback_policy(
        self, version: int, who: str, unchanged: Condition = no_condition
    ) -> PolicyOutcome | None:
        """Put an earlier version in force again, as a new version. None where there is no such version. `unchanged`: as in
        `replace_policy`."""

    def clock_offset(self) -> int:
        """By how many seconds the clock for time windows of rules is ahead of the machine's clock (D-3.2c)."""

    def set_clock_offset(self, seconds: int) -> None:
        """Set the offset of `clock_offset`. Rules use it as soon as the call returns."""

    def mcp(self, name: str) -> Json | None:
        """An MCP in the form of the site file; None where there is no such MCP."""

    def put_mcp(self, text: str, name: str | None) -> McpOutcome:
        """Register an MCP, or with `name` change that MCP. `text`: YAML in the form of the site file."""

    def remove_mcp(self, name: str, force: bool) -> McpOutcome:
        """Remove an MCP. With `force`, sessions that use it are ended."""

    def whatif(self, question: WhatIf) -> DecisionSnapshot:
        """The decision that a connection would get. Nothing is installed in switches.

        Raises KeyError for an unknown access network, or for a source that is in no access network."""
