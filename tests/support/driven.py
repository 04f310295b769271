"""A Control over a driven engine: what is given is handled at once."""

from typing import Any

from steering.core.inputs import PolicyReplaced
from steering.core.snapshots.whatif import whatif
from steering.model.control import (
    Condition,
    Json,
    McpAnswer,
    McpOutcome,
    PolicyOutcome,
    PolicyText,
    WhatIf,
    no_condition,
)
from steering.model.session_snapshot import DecisionSnapshot
from steering.policy import parse_policy
from steering.policy.language.findings import Code
from steering.policy.site_mcps import McpText
from tests.support.sites import Driver


class Driven:
    """Implements steering.model.control.Control; versions live in memory."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.given: list[Any] = []
        self.offset = 0
        self.texts = ["policy: 1\n"]

    def give(self, given: Any) -> None:
        self.given.append(given)
        self.driver.give(given)

    def take(self, given: Any) -> None:
        self.give(given)

    def policy(self) -> PolicyText:
        return PolicyText(len(self.texts), self.texts[-1])

    def replace_policy(
        self, text: str, who: str, dry_run: bool, unchanged: Condition = no_condition
    ) -> PolicyOutcome:
        policy, findings = parse_policy(text, "policy")
        if policy is None or findings:
            told = [{"path": one.file} | one.as_json() for one in findings]
            return PolicyOutcome(len(self.texts), told, False)
        if not dry_run:
            unchanged()
            self.texts.append(text)
            self.give(PolicyReplaced(policy))
        return PolicyOutcome(len(self.texts), [], True)

    def policy_versions(self) -> list[Json]:
        return [{"version": number, "time": None, "who": "tests"} for number in range(1, len(self.texts) + 1)]

    def policy_version(self, version: int) -> PolicyText | None:
        return PolicyText(version, self.texts[version - 1]) if 1 <= version <= len(self.texts) else None

    def rollback_policy(
        self, version: int, who: str, unchanged: Condition = no_condition
    ) -> PolicyOutcome | None:
        if version > len(self.texts):
            return None
        return self.replace_policy(self.texts[version - 1], who, False, unchanged)

    def mcp(self, name: str) -> Json | None:
        return next(({"name": one.name} for one in self.driver.engine.site.mcps if one.name == name), None)

    def put_mcp(self, text: str, name: str | None) -> McpOutcome:
        """Its site is no file, so none can be told in a file's shape: see tests/unit/runtime/orders/test_registrar.py."""
        told = McpText(text)
        wrong = told.unread() or [told.placed((), Code.UNSUPPORTED, "this site is no file")]
        return McpOutcome(McpAnswer.WRONG, told.name, [one.as_json() for one in wrong], False, 0)

    def remove_mcp(self, name: str, force: bool) -> McpOutcome:
        known = self.mcp(name) is not None
        return McpOutcome(McpAnswer.IN_USE if known else McpAnswer.UNKNOWN, name, [], False, 1)

    def whatif(self, question: WhatIf) -> DecisionSnapshot:
        return whatif(self.driver.engine, question, self.driver.now)

    def clock_offset(self) -> int:
        return self.offset

    def set_clock_offset(self, seconds: int) -> None:
        self.offset = seconds
