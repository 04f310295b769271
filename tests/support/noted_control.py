"""A Control that writes down what it is told, and knows two versions of a policy."""

from collections.abc import Callable
from typing import Any

from steering.model.control import (
    Condition,
    McpAnswer,
    McpOutcome,
    PolicyOutcome,
    PolicyText,
    WhatIf,
    no_condition,
)
from steering.policy.language.findings import Code
from steering.policy.site_mcps import McpText
from tests.support.fixed_answers import DECISION, Json


class Noted:
    """Implements steering.model.control.Control: notes what is given, knows two versions of a policy."""

    def __init__(self) -> None:
        self.given: list[Any] = []
        self.asked: list[Any] = []
        self.current = PolicyText(3, "version: 1\n")
        self.checking: Callable[[], None] = lambda: None  # happens while a policy is checked
        self.offset = 0
        self.registered = {"core", "edge"}

    def give(self, given: Any) -> None:
        self.given.append(given)

    def take(self, given: Any) -> None:
        self.given.append(given)

    def policy(self) -> PolicyText:
        return self.current

    def clock_offset(self) -> int:
        return self.offset

    def set_clock_offset(self, seconds: int) -> None:
        self.offset = seconds

    def replace_policy(
        self, text: str, who: str, dry_run: bool, unchanged: Condition = no_condition
    ) -> PolicyOutcome:
        self.asked.append((text, who, dry_run))
        self.checking()
        if "wrong" in text:
            finding = {"line": 2, "column": 1, "code": "unknown-key", "message": "unknown key 'wrong'"}
            return PolicyOutcome(self.current.version, [finding], False)
        if not dry_run:
            unchanged()
            self.current = PolicyText(self.current.version + 1, text)
        return PolicyOutcome(self.current.version, [], True)

    def policy_versions(self) -> list[Json]:
        return [{"version": 3, "time": "2026-11-20T10:00:00+00:00", "who": "first"}]

    def policy_version(self, version: int) -> PolicyText | None:
        return PolicyText(3, "version: 1\n") if version == 3 else None

    def rollback_policy(
        self, version: int, who: str, unchanged: Condition = no_condition
    ) -> PolicyOutcome | None:
        return self.replace_policy("version: 1\n", who, False, unchanged) if version == 3 else None

    def mcp(self, name: str) -> Json | None:
        return {"name": name, "port": "s3:1"} if name in self.registered else None

    def put_mcp(self, text: str, name: str | None) -> McpOutcome:
        self.asked.append((text, name))
        told = McpText(text)
        if told.name == "wrong":
            wrong = told.placed(("name",), Code.BAD_VALUE, "not so").as_json()
            return McpOutcome(McpAnswer.WRONG, told.name, [wrong], False, 0)
        taken = McpAnswer.TAKEN if name is None and told.name in self.registered else McpAnswer.DONE
        self.registered.add(told.name)
        return McpOutcome(taken, told.name, [], True, 0)

    def remove_mcp(self, name: str, force: bool) -> McpOutcome:
        self.asked.append((name, force))
        if self.mcp(name) is None:
            return McpOutcome(McpAnswer.UNKNOWN, name, [], True, 0)
        busy = name == "core" and not force
        return McpOutcome(McpAnswer.IN_USE if busy else McpAnswer.DONE, name, [], name == "edge", 2)

    def whatif(self, question: WhatIf) -> Any:
        self.asked.append(question)
        if question.access == "nowhere" or question.source == bytes(4):
            raise KeyError(question.access)
        return {name: value for name, value in DECISION.items() if name != "id"}
