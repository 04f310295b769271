"""A policy file as read, the compiled policy, and the index in the file of each list item."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from steering.model.policy import Policy
from steering.policy.language.findings import Path
from steering.policy.rules.policy_schema import PolicyFile


@dataclass(slots=True)
class PolicyPlan:
    """A policy file as read. `lost`: sections of which something could not be read, so that a name which is missing
    there may still exist."""

    file: PolicyFile
    policy: Policy
    numbers: dict[str, list[int]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    def path(self, section: str, index: int, *rest: str | int) -> Path:
        """The path in the file of item `index` of a section of the plan."""
        places = self.numbers.get(section)
        return (section, places[index] if places else index, *rest)

    def sections(self) -> Iterator[tuple[str, list[str]]]:
        """The names that each list of the file defines."""
        yield "classes", [item.name for item in self.file.classes]
        yield "subscribers", [item.id for item in self.file.subscribers]
        yield "applications", [item.name for item in self.file.applications]
        yield "acl", [item.name for item in self.file.acl]
        yield "rules", [item.name for item in self.file.rules]
